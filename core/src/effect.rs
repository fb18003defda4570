//! What the machine asks its host to do: effects, attempts to start, and when to come back.

use core::fmt;

use crate::{AttemptId, Due, EmitterId, Instant, OutcomeKind, Plan, ScheduleId, Settlement, TaskId};

/// An attempt for the host to run, from [`Processor::start_next`](crate::Processor::start_next).
#[must_use = "an attempt that is not run must be reported as `stopped`, else it keeps its concurrency place"]
#[non_exhaustive]
pub struct Start<P: Plan> {
    /// Which task.
    pub task: TaskId,
    /// Which attempt. Reports name it.
    pub attempt: AttemptId,
    /// The attempt's number, from 1. An attempt after a [`snoozed`](crate::Processor::snoozed) one has the same number
    /// as that one.
    pub number: u32,
    /// The payload. The host has it now. It goes back to the machine only with a report after which the task may be
    /// tried again.
    pub job: P::Job,
    /// The metadata the task was submitted with.
    pub meta: P::Meta,
    /// When the attempt times out, unless [`began`](crate::Processor::began) reports that it began later. `None` if it
    /// has no deadline. Without [heartbeats](crate::Processor::heartbeat) it may time out before.
    pub deadline: Option<Instant>,
    /// How many further attempts are allowed; never 0 if there is no bound. With 0, a copy of the job is of use only if
    /// the attempt is [`snoozed`](crate::Processor::snoozed).
    pub further: u32,
}

impl<P: Plan> fmt::Debug for Start<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("task", &self.task)
            .field("attempt", &self.attempt)
            .field("number", &self.number)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Something for the host to do, from [`Processor::poll_effect`](crate::Processor::poll_effect).
#[must_use = "an effect carries values that leave the machine, and duties that nobody else has"]
#[non_exhaustive]
pub enum Effect<P: Plan> {
    /// Make this attempt stop. Report [`stopped`](crate::Processor::stopped) when it has, or its result if it had one
    /// after all. Until then it keeps its concurrency place. If its task is settled it is an orphan, and any value that
    /// is reported comes back as [`Late`](crate::Late). Otherwise another attempt follows, and all reports count.
    Stop(Stop),
    /// Look at the outcome before anybody else has it, then give it and the job back with
    /// [`observed`](crate::Processor::observed). Callback and waiter are `None`. This comes only while
    /// [`observe`](crate::Processor::observe) is on, and only for outcomes that are kept. All others come by
    /// [`Settle`](Self::Settle).
    Observe(Settlement<P>),
    /// Call the callback, if there is one, with the outcome, and drop the rest.
    Settle(Settlement<P>),
    /// Wake this waiter.
    Wake(P::Waiter),
    /// Drop an outcome that nobody took: a newer result needed its place, or the machine ended.
    Discard(Settlement<P>),
    /// Drop the registrations of an emitter: the machine is draining.
    Detach(Detached<P::Listener>),
    /// Do what this schedule is for, such as to submit a task. If its work [may not overlap](crate::Overlap::Skip), call
    /// [`schedule_done`](crate::Processor::schedule_done) when it is over, also if there was none to do.
    Due(Due),
    /// Forget this schedule: it has ended, because the machine is draining.
    Unschedule(ScheduleId),
    /// Drop a cache entry: the machine has ended.
    Uncache(P::Key, P::Value),
    /// Call [`sweep`](crate::Processor::sweep): the cleanup interval has passed.
    Sweep,
    /// The machine has ended and holds only what its end kept; [`remains`](crate::Processor::remains) says what was
    /// left. No effect follows, except wakes for outcomes that the host gives back later, by
    /// [`observed`](crate::Processor::observed).
    Drained,
}

impl<P: Plan> fmt::Debug for Effect<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop(stop) => f.debug_tuple("Stop").field(stop).finish(),
            Self::Observe(settlement) => f.debug_tuple("Observe").field(settlement).finish(),
            Self::Settle(settlement) => f.debug_tuple("Settle").field(settlement).finish(),
            Self::Wake(_) => f.write_str("Wake"),
            Self::Discard(settlement) => f.debug_tuple("Discard").field(settlement).finish(),
            Self::Detach(detached) => f.debug_tuple("Detach").field(detached).finish(),
            Self::Due(due) => f.debug_tuple("Due").field(due).finish(),
            Self::Unschedule(schedule) => f.debug_tuple("Unschedule").field(schedule).finish(),
            Self::Uncache(..) => f.write_str("Uncache"),
            Self::Sweep => f.write_str("Sweep"),
            Self::Drained => f.write_str("Drained"),
        }
    }
}

/// An attempt that is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stop {
    /// Which task. It is settled already, or will be tried again when the attempt has stopped.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: AttemptId,
    /// [`TimedOut`](OutcomeKind::TimedOut) or [`Cancelled`](OutcomeKind::Cancelled).
    pub why: OutcomeKind,
}

/// An emitter's three registrations. An emitter is attached as long as they exist.
///
/// The machine keeps them in the emitter's slot and hands out exactly these when the emitter is detached. Other
/// registrations with the same emitter are not touched.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "the registrations of an emitter are undone by dropping them"]
pub struct Guard<L> {
    /// The registration for single tasks.
    pub task: L,
    /// The registration for batches.
    pub batch: L,
    /// The registration for errors.
    pub error: L,
}

impl<L> fmt::Debug for Guard<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard { 3 listeners }")
    }
}

/// An emitter that was detached.
#[must_use = "the registrations of an emitter are undone by dropping them"]
#[non_exhaustive]
pub struct Detached<L> {
    /// Which emitter.
    pub emitter: EmitterId,
    /// Its registrations.
    pub guard: Guard<L>,
    /// What it fed while it was attached.
    pub fed: Fed,
}

impl<L> fmt::Debug for Detached<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached")
            .field("emitter", &self.emitter)
            .field("fed", &self.fed)
            .finish_non_exhaustive()
    }
}

/// What an emitter has fed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Fed {
    /// Tasks that were admitted.
    pub admitted: u64,
    /// Tasks that were refused and handed back.
    pub refused: u64,
    /// Errors that it reported.
    pub errors: u64,
}

/// When the host has to come back, from [`Processor::next_wake`](crate::Processor::next_wake).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Wake {
    /// There is something to do now.
    Now(Reason),
    /// Call [`advance`](crate::Processor::advance) at this instant.
    At(Instant, Reason),
    /// Nothing will happen until the host makes a call.
    Never,
}

/// Why the host has to come back, and so why a loop spins, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// [`poll_effect`](crate::Processor::poll_effect) has an effect.
    Effect,
    /// [`start_next`](crate::Processor::start_next) has an attempt.
    Start,
    /// The end has work left: call [`advance`](crate::Processor::advance).
    End,
    /// A timer is due.
    Timer,
    /// The timer store has to re-sort far timers. Perhaps no timer is due.
    Cascade,
}

/// What [`Processor::advance`](crate::Processor::advance) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Advanced {
    /// How much of the budget was used.
    pub used: u32,
    /// Whether work that is due now is left. If so, call again.
    pub more: bool,
}
