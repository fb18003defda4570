//! What a task's slot holds.

use core::time::Duration;

use crate::ids::{AttemptId, TimerId};
use crate::lifecycle::State;
use crate::list::{Linked, Links};
use crate::{Instant, OutcomeKind, Plan, Priority, Retry, Route, Terms};

/// The lane of the queue and of the outbox. A task is never in both.
pub(crate) const QUEUE: usize = 0;
/// The lane of the retained results.
pub(crate) const RESULTS: usize = 1;

/// The instant of a deadline that never comes.
pub(crate) const NEVER: Instant = Instant::MAX;

/// A task from its admission until its outcome is released and its attempt has stopped.
pub(crate) struct Task<P: Plan> {
    pub(crate) state: State,
    pub(crate) priority: Priority,
    /// Effects that the host has not taken yet.
    pub(crate) pending: Pending,
    /// The kind of the outcome, once it is fixed.
    pub(crate) kind: Option<OutcomeKind>,
    /// How many attempts were started.
    pub(crate) attempts: u32,
    /// The attempt that is running, or was the last to.
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) timer: Option<TimerId>,
    /// Delayed and backing off: when it is ready. Queued: since when. Running: since when. Settled: since when.
    pub(crate) since: Instant,
    pub(crate) close_by: Instant,
    schedule_to_start: u64,
    start_to_close: u64,
    /// Its place in the order in which tasks were queued.
    pub(crate) sequence: u64,
    pub(crate) retry: Retry,
    pub(crate) meta: P::Meta,
    pub(crate) claimant: Claimant<P>,
    pub(crate) payload: Payload<P>,
    links: [Links; 2],
}

/// Who gets the outcome.
pub(crate) enum Claimant<P: Plan> {
    Nobody,
    Callback(P::Callback),
    Handle(Option<P::Waiter>),
    Retention,
}

/// The one value of the task that is in the machine's hands.
pub(crate) enum Payload<P: Plan> {
    /// The host has it.
    Away,
    Job(P::Job),
    Output(P::Output),
    Error(P::Error),
}

/// A set of effects that a settled task owes the host, taken in this order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending(u8);

impl Pending {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const STOP: Self = Self(1);
    pub(crate) const SETTLE: Self = Self(2);
    pub(crate) const WAKE: Self = Self(4);
    pub(crate) const DISCARD: Self = Self(8);

    pub(crate) const fn has(self, effect: Self) -> bool {
        self.0 & effect.0 != 0
    }

    pub(crate) const fn with(self, effect: Self) -> Self {
        Self(self.0 | effect.0)
    }

    pub(crate) const fn without(self, effect: Self) -> Self {
        Self(self.0 & !effect.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::NONE
    }
}

impl<P: Plan> Task<P> {
    pub(crate) fn new(now: Instant, job: P::Job, terms: Terms<P>) -> Self {
        let delayed = !terms.delay.is_zero();
        Self {
            state: if delayed { State::Delayed } else { State::Queued },
            priority: terms.priority,
            pending: Pending::NONE,
            kind: None,
            attempts: 0,
            attempt: None,
            timer: None,
            since: if delayed { now.checked_add(terms.delay).unwrap_or(NEVER) } else { now },
            close_by: after(now, nanos(terms.timeouts.schedule_to_close)),
            schedule_to_start: nanos(terms.timeouts.schedule_to_start),
            start_to_close: nanos(terms.timeouts.start_to_close),
            sequence: 0,
            retry: terms.retry,
            meta: terms.meta,
            claimant: match terms.route {
                Route::Nowhere => Claimant::Nobody,
                Route::Callback(callback) => Claimant::Callback(callback),
                Route::Handle => Claimant::Handle(None),
                Route::Retain => Claimant::Retention,
            },
            payload: Payload::Job(job),
            links: [Links::default(); 2],
        }
    }

    /// The nearest deadline of the state it is in; [`NEVER`] when there is none.
    pub(crate) fn deadline(&self) -> Instant {
        match self.state {
            State::Delayed | State::Backoff => self.since.min(self.close_by),
            State::Queued => self.start_by().min(self.close_by),
            State::Running => after(self.since, self.start_to_close).min(self.close_by),
            State::Stopping | State::Orphan | State::Settled => NEVER,
        }
    }

    /// When its stay in the queue is over.
    pub(crate) fn start_by(&self) -> Instant {
        after(self.since, self.schedule_to_start)
    }

    /// Whether its outcome is fixed and still here.
    pub(crate) fn is_kept(&self) -> bool {
        matches!(self.state, State::Settled | State::Stopping)
    }
}

impl<P: Plan> Linked<QUEUE> for Task<P> {
    fn links(&mut self) -> &mut Links {
        &mut self.links[QUEUE]
    }

    fn links_ref(&self) -> &Links {
        &self.links[QUEUE]
    }
}

impl<P: Plan> Linked<RESULTS> for Task<P> {
    fn links(&mut self) -> &mut Links {
        &mut self.links[RESULTS]
    }

    fn links_ref(&self) -> &Links {
        &self.links[RESULTS]
    }
}

/// No time-out is as good as one of 584 years, the range of [`Instant`].
const fn nanos(timeout: Option<Duration>) -> u64 {
    match timeout {
        Some(timeout) if timeout.as_nanos() < u64::MAX as u128 => timeout.as_nanos() as u64,
        _ => u64::MAX,
    }
}

const fn after(start: Instant, nanos: u64) -> Instant {
    Instant::from_nanos(start.as_nanos().saturating_add(nanos))
}
