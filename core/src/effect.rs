//! What the machine asks its host to do.

use core::fmt;

use crate::{AttemptId, Instant, OutcomeKind, Plan, Settlement, SourceId, TaskId};

/// An attempt to be started, from [`Processor::start_next`](crate::Processor::start_next).
#[must_use = "an attempt that is not run must be reported as `stopped`, else it keeps its concurrency place"]
#[non_exhaustive]
pub struct Start<P: Plan> {
    /// Which task.
    pub task: TaskId,
    /// Which attempt: reports name it.
    pub attempt: AttemptId,
    /// The attempt's number, from 1. One that follows a [`snoozed`](crate::Processor::snoozed) one has the number of that.
    pub number: u32,
    /// The payload. The host has it now; it comes back to the machine only with a report that allows a
    /// further try.
    pub job: P::Job,
    /// The metadata the task was submitted with.
    pub meta: P::Meta,
    /// When the attempt times out, unless [`began`](crate::Processor::began) says that it begins later.
    pub deadline: Option<Instant>,
    /// How many further tries would be allowed; never 0 without a bound. With 0 a copy of the job is
    /// of use only to one that is [`snoozed`](crate::Processor::snoozed).
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

/// Something the host has to do, from [`Processor::poll_effect`](crate::Processor::poll_effect).
#[must_use = "an effect carries values that leave the machine, and duties that nobody else has"]
#[non_exhaustive]
pub enum Effect<P: Plan> {
    /// Make this attempt stop, and report [`stopped`](crate::Processor::stopped) once it has, or what it came to after all.
    /// Until then it keeps its concurrency place: as an orphan if its task is settled, and any value that is reported comes
    /// back as `Late`; else because another attempt follows, and all reports count.
    Stop(Stop),
    /// See how the task ended, before anybody has the outcome, and give that and the job back by
    /// [`observed`](crate::Processor::observed). Callback and waiter are not there. Only if
    /// [`observe`](crate::Processor::observe) was asked for, and for outcomes that are kept: all others come by
    /// [`Settle`](Self::Settle).
    Observe(Settlement<P>),
    /// Call the callback, if there is one, with the outcome; drop the rest.
    Settle(Settlement<P>),
    /// Wake this waiter.
    Wake(P::Waiter),
    /// Drop an outcome that nobody took: newer results needed its place, or the machine ended.
    Discard(Settlement<P>),
    /// Drop the guard of a source: the machine is draining.
    Detach(Detached<P::Listener>),
    /// Drop a cache entry: the machine has ended.
    Uncache(P::Key, P::Value),
    /// The cleanup interval has come: call [`sweep`](crate::Processor::sweep).
    Sweep,
    /// The end: nothing is left but what it has kept, and [`remains`](crate::Processor::remains) tells what that end has
    /// met. This is the last effect of all, but for the wakes of waiters whose outcome is given back only then.
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
    /// Which task. It is settled, or tried again when the attempt has stopped.
    pub task: TaskId,
    /// Which attempt.
    pub attempt: AttemptId,
    /// [`TimedOut`](OutcomeKind::TimedOut) or [`Cancelled`](OutcomeKind::Cancelled).
    pub why: OutcomeKind,
}

/// A source's three registrations: what it means to be attached.
///
/// The machine keeps them in the source's slot and hands them out when it is detached, and only them:
/// what others registered with the same emitter is not its business.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[must_use = "the registrations of a source are undone by dropping them"]
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

/// A source that was detached.
#[must_use = "the registrations of a source are undone by dropping them"]
#[non_exhaustive]
pub struct Detached<L> {
    /// Which source.
    pub source: SourceId,
    /// Its registrations.
    pub guard: Guard<L>,
    /// What it had fed.
    pub fed: Fed,
}

impl<L> fmt::Debug for Detached<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached")
            .field("source", &self.source)
            .field("fed", &self.fed)
            .finish_non_exhaustive()
    }
}

/// What a source has fed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fed {
    /// Tasks that were admitted.
    pub admitted: u64,
    /// Tasks that were refused and handed back.
    pub refused: u64,
    /// Errors it reported.
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
    /// Nothing will happen by itself.
    Never,
}

/// Why the host has to come back. A loop that spins explains itself by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// [`poll_effect`](crate::Processor::poll_effect) has something.
    Effect,
    /// [`start_next`](crate::Processor::start_next) has something.
    Start,
    /// The end goes on: call [`advance`](crate::Processor::advance).
    End,
    /// A timer is due.
    Timer,
    /// The timer store has to re-sort far timers; none may be due.
    Cascade,
}

/// What [`Processor::advance`](crate::Processor::advance) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Progress {
    /// How much of the budget was used.
    pub used: u32,
    /// Whether work that is due now is left: call again.
    pub more: bool,
}
