//! The task: the contents of a task slot.

use core::num::NonZeroU64;

use crate::backoff::Backoff;
use crate::ids::{DeliveryId, TaskId};
use crate::lifecycle::State;
use crate::list::NIL;
use crate::retry::Tries;
use crate::time::{NEVER, after};
use crate::{CancelReason, Instant, Offer, OutcomeKind, Plan, Priority, Route, Terms, Times};

/// A task, from its admission until its outcome is released and its attempt has stopped.
///
/// A task and its id take 136 bytes if a job, an output, an error, a panic and the metadata take 8 bytes each, a
/// callback and a waiter 16.
pub(crate) struct Task<P: Plan> {
    pub(crate) state: State,
    pub(crate) priority: Priority,
    /// The effects that the task owes the host.
    pub(crate) pending: Pending,
    /// The kind of the outcome, once it is fixed.
    pub(crate) kind: Option<OutcomeKind>,
    /// How many attempts were started, without snoozed ones. The retry policy counts these.
    pub(crate) attempts: u32,
    /// How many attempts were started in all. Each has its own generation of the slot.
    pub(crate) starts: u32,
    pub(crate) tries: Tries,
    /// Delayed or backing off: when it becomes ready. Queued: since when. Running or halting: when its start-to-close
    /// time-out began to count. Settled: since when.
    pub(crate) since: Instant,
    /// Unsettled: the schedule-to-close deadline. Settled: when its wait ended.
    close_by_or_waited_until: Instant,
    admitted_at: Instant,
    start_to_close: u64,
    /// Unsettled: the schedule-to-start time-out. Retained: since when.
    schedule_to_start_or_retained_at: u64,
    pub(crate) backoff_or_reason: BackoffOrReason,
    /// The slot of the running attempt's first sleep; [`NIL`] if it has none. Valid only while an attempt runs, or has
    /// just ended.
    pub(crate) first_sleep: u32,
    pub(crate) claimant: Claimant<P>,
    pub(crate) payload: Payload<P>,
    pub(crate) meta: P::Meta,
}

/// The backoff of an unsettled task, or the reason of a cancelled one.
///
/// The bounds of a backoff leave the two highest bits free. One of them is set here, which makes `high` non-zero, so
/// the enum takes no more room than a backoff.
#[derive(Clone, Copy)]
pub(crate) enum BackoffOrReason {
    Backoff { high: NonZeroU64, low: u64 },
    Reason(CancelReason),
}

/// The receiver of the outcome.
pub(crate) enum Claimant<P: Plan> {
    Nobody,
    Callback(P::Callback),
    Handle(Option<P::Waiter>),
    Retention,
    /// A source: its engine hears how the task ended, and nobody gets the outcome.
    Delivery(DeliveryId),
}

/// The one value of the task that the machine holds.
pub(crate) enum Payload<P: Plan> {
    /// No value: the host has the job or the outcome, or the outcome has none.
    Away,
    Job(P::Job),
    Output(P::Output),
    Error(P::Error),
    Panic(P::Panic),
}

/// A settled task without its values.
pub(crate) struct Record<M> {
    pub(crate) task: TaskId,
    pub(crate) meta: M,
    pub(crate) attempts: u32,
    pub(crate) kind: Option<OutcomeKind>,
    pub(crate) times: Times,
}

/// The set of effects that a task owes the host. Only a settled task owes any of them except `STOP`. The host takes
/// them in the order stop, wake, observe, settle, discard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending(u8);

impl Pending {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const STOP: Self = Self(1);
    pub(crate) const SETTLE: Self = Self(2);
    pub(crate) const WAKE: Self = Self(4);
    pub(crate) const DISCARD: Self = Self(8);
    pub(crate) const OBSERVE: Self = Self(16);
    /// Not an effect: the claimant may not have the outcome, because the host has yet to observe it, or is observing
    /// it.
    pub(crate) const HELD: Self = Self(32);
    /// Not an effect: the task was cancelled for a reason, which leaves with the outcome.
    pub(crate) const REASON: Self = Self(64);
    /// Void once the outcome has left.
    pub(crate) const OF_OUTCOME: Self = Self(2 | 4 | 8 | 16 | 32);

    /// Whether the set has any of these effects.
    pub(crate) const fn has(self, effect: Self) -> bool {
        self.0 & effect.0 != 0
    }

    pub(crate) const fn with(self, effect: Self) -> Self {
        Self(self.0 | effect.0)
    }

    pub(crate) const fn without(self, effect: Self) -> Self {
        Self(self.0 & !effect.0)
    }

    /// The effects of a task that settles now, if the host observes its outcome first: the waiter is woken when the
    /// host gives the outcome back. If the end discards the outcome, the waiter is woken at once.
    #[cold]
    pub(crate) fn held(self) -> Self {
        let held = self.with(Self::OBSERVE).with(Self::HELD);
        if self.has(Self::DISCARD) { held } else { held.without(Self::WAKE) }
    }

    /// Whether the host is owed nothing.
    pub(crate) const fn is_empty(self) -> bool {
        self.without(Self::HELD.with(Self::REASON)).0 == 0
    }

    /// Whether the host is observing the outcome, and may give it back.
    pub(crate) const fn is_out(self) -> bool {
        self.has(Self::HELD) && !self.has(Self::OBSERVE.with(Self::DISCARD))
    }
}

/// The highest bit.
const MARK: NonZeroU64 = NonZeroU64::MIN.saturating_add(u64::MAX >> 1);

impl BackoffOrReason {
    #[inline]
    fn of(backoff: Backoff) -> Self {
        let (high, low) = backoff.halves();
        Self::Backoff { high: MARK | high, low }
    }

    /// The backoff; `None` if this is a reason.
    pub(crate) const fn backoff(self) -> Option<Backoff> {
        match self {
            Self::Backoff { high, low } => Some(Backoff::from_halves(high.get() & !MARK.get(), low)),
            Self::Reason(_) => None,
        }
    }
}

impl<P: Plan> Task<P> {
    /// A new task. It begins in `state`, which is delayed or queued.
    #[inline]
    pub(crate) fn new(now: Instant, offer: Offer<P>, terms: &Terms, state: State) -> Self {
        let Offer { job, meta, route } = offer;
        Self {
            state,
            priority: terms.priority,
            pending: Pending::NONE,
            kind: None,
            attempts: 0,
            starts: 0,
            tries: terms.tries,
            since: terms.ready_at(now),
            close_by_or_waited_until: after(now, terms.schedule_to_close),
            admitted_at: now,
            start_to_close: terms.start_to_close,
            schedule_to_start_or_retained_at: terms.schedule_to_start,
            backoff_or_reason: BackoffOrReason::of(terms.backoff),
            first_sleep: NIL,
            claimant: match route {
                Route::Nowhere => Claimant::Nobody,
                Route::Callback(callback) => Claimant::Callback(callback),
                Route::Handle => Claimant::Handle(None),
                Route::Retain => Claimant::Retention,
            },
            payload: Payload::Job(job),
            meta,
        }
    }

    /// The earliest deadline of the task in its state; [`NEVER`] if there is none. Its timer is armed to this, or earlier if
    /// the [monitor](crate::monitor) has an earlier one.
    #[inline]
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline_in(self.state)
    }

    /// As [`deadline`](Self::deadline), for a caller that knows the state.
    #[inline]
    pub(crate) fn deadline_in(&self, state: State) -> Instant {
        debug_assert!(self.state == state, "the task is in that state");
        match state {
            State::Delayed | State::Backoff => self.since.min(self.close_by()),
            State::Queued => self.start_by().min(self.close_by()),
            State::Running => self.overdue_at().min(self.close_by()),
            State::Halting => self.close_by(),
            State::Stopping | State::Orphan | State::Settled => NEVER,
        }
    }

    /// Queued: its schedule-to-start deadline.
    #[inline]
    pub(crate) fn start_by(&self) -> Instant {
        after(self.since, self.schedule_to_start_or_retained_at)
    }

    /// Running: the start-to-close deadline of its attempt.
    #[inline]
    pub(crate) fn overdue_at(&self) -> Instant {
        after(self.since, self.start_to_close)
    }

    /// Notes the reason why the task was cancelled.
    pub(crate) fn set_reason(&mut self, reason: CancelReason) {
        debug_assert!(self.kind == Some(OutcomeKind::Cancelled), "it was cancelled");
        self.backoff_or_reason = BackoffOrReason::Reason(reason);
        self.pending = self.pending.with(Pending::REASON);
    }

    /// The reason why the task was cancelled, if one was given.
    #[inline]
    pub(crate) fn reason(&self) -> Option<CancelReason> {
        match self.backoff_or_reason {
            BackoffOrReason::Backoff { .. } => None,
            BackoffOrReason::Reason(reason) => Some(reason),
        }
    }

    /// Unsettled: its schedule-to-close deadline.
    #[inline]
    pub(crate) fn close_by(&self) -> Instant {
        self.close_by_or_waited_until
    }

    /// Notes the kind of the outcome and when it was fixed. `runs` says that an attempt was running until now.
    #[inline]
    pub(crate) fn settle(&mut self, kind: OutcomeKind, runs: bool, now: Instant) {
        self.kind = Some(kind);
        self.close_by_or_waited_until = if runs { self.since } else { now };
        self.since = now;
    }

    /// The settled task without its values.
    #[inline]
    pub(crate) fn record(&self, task: TaskId) -> Record<P::Meta> {
        let (admitted, began) = (self.admitted_at, self.close_by_or_waited_until);
        let times = Times { admitted, began, settled: self.since };
        Record { task, meta: self.meta, attempts: self.attempts, kind: self.kind, times }
    }

    /// Whether the task owes its settlement and nothing else, and its attempt is over. Then the settlement frees the
    /// slot.
    #[inline]
    pub(crate) fn owes_only_settlement(&self) -> bool {
        self.pending == Pending::SETTLE && self.state == State::Settled
    }

    /// Whether the outcome is fixed and has not left.
    #[inline]
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.state, State::Settled | State::Stopping)
    }

    /// Notes that the task is retained from now on.
    pub(crate) fn retain(&mut self, now: Instant) {
        self.schedule_to_start_or_retained_at = now.as_nanos();
    }

    /// Retained: since when.
    pub(crate) fn retained_at(&self) -> Instant {
        Instant::from_nanos(self.schedule_to_start_or_retained_at)
    }

    /// Counts the start of an attempt. It has no sleeps yet.
    #[inline]
    pub(crate) fn start(&mut self, now: Instant) {
        self.since = now;
        self.starts = self.starts.wrapping_add(1);
        self.attempts = self.attempts.wrapping_add(1);
        self.first_sleep = NIL;
    }

    #[inline]
    pub(crate) fn is_for_handle(&self) -> bool {
        matches!(self.claimant, Claimant::Handle(_))
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use crate::slots::Slots;
    use alloc::boxed::Box;

    struct Usual;
    impl Plan for Usual {
        type Job = u64;
        type Output = u64;
        type Error = u64;
        type Panic = u64;
        type Meta = u64;
        type Callback = Box<dyn FnOnce()>;
        type Waiter = core::task::Waker;
        type Listener = ();
        type Key = ();
        type Value = ();
    }

    #[test]
    fn a_slot_takes_136_bytes() {
        assert_eq!(size_of::<Task<Usual>>(), 128);
        assert_eq!(Slots::<TaskId, Task<Usual>>::bytes(1), 136);
        assert_eq!(crate::sleeps::Sleeps::<core::task::Waker>::bytes(1), 56);
    }
}
