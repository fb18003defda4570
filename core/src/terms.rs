//! The terms on which a task is submitted.

use core::cmp::Ordering;
use core::fmt;
use core::time::Duration;

use crate::{Plan, Retry};

/// What is agreed about a task when it is submitted, besides its job.
#[must_use]
pub struct Terms<P: Plan> {
    /// Copied into events, the last error and the settlement.
    pub meta: P::Meta,
    /// The one place to which the outcome goes.
    pub route: Route<P::Callback>,
    /// Which class of the queue it waits in.
    pub priority: Priority,
    /// How long it is kept back before it is put in the queue. Meanwhile it takes one of
    /// [`Limits::delayed`](crate::Limits::delayed). One that reaches past the end of
    /// [`Instant`](crate::Instant)'s range is for ever: only a time-out, a cancel or the end brings the task out.
    pub delay: Duration,
    /// Its time-outs.
    pub timeouts: Timeouts,
    /// What happens when an attempt fails.
    pub retry: Retry,
}

impl<P: Plan> Terms<P> {
    /// Terms with this metadata and defaults for the rest: the outcome goes nowhere, priority
    /// [`Priority::NORMAL`], no delay, no time-outs, one try.
    pub const fn new(meta: P::Meta) -> Self {
        Self {
            meta,
            route: Route::Nowhere,
            priority: Priority::NORMAL,
            delay: Duration::ZERO,
            timeouts: Timeouts::NONE,
            retry: Retry::NONE,
        }
    }
}

impl<P: Plan> fmt::Debug for Terms<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Terms")
            .field("route", &self.route)
            .field("priority", &self.priority)
            .field("delay", &self.delay)
            .field("timeouts", &self.timeouts)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// The one place to which the outcome of a task goes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route<C> {
    /// It leaves by [`Effect::Settle`](crate::Effect::Settle) without a callback; the host drops it.
    Nowhere,
    /// It leaves by [`Effect::Settle`](crate::Effect::Settle) together with this callback.
    Callback(C),
    /// It is kept until [`claim`](crate::Processor::claim) or [`release`](crate::Processor::release) is
    /// called. From `submit` on this takes one of [`Limits::unclaimed`](crate::Limits::unclaimed).
    Handle,
    /// It is kept until [`take_result`](crate::Processor::take_result), until newer results need its place
    /// or until its time to live is over. See [`Limits::results`](crate::Limits::results).
    Retain,
}

impl<C> fmt::Debug for Route<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "Nowhere",
            Self::Callback(_) => "Callback",
            Self::Handle => "Handle",
            Self::Retain => "Retain",
        })
    }
}

/// The class of the queue in which a task waits: those of the highest priority are served first, each class in order of
/// arrival. Priorities compare as their names do, `HIGHEST > NORMAL > LOWEST`; classes are numbered in the order in which
/// they are served, so that [`HIGHEST`](Self::HIGHEST) is class 0.
///
/// A class cannot be starved: every [`Priority::FAIR_EVERY`]th start serves the task that has waited
/// longest, whatever its class. So a task that has `n` tasks queued before it starts at the latest with
/// the `FAIR_EVERY × (n + 1)`th start after it was queued.
///
/// It says who is next among those that wait, and nothing about who is let in: a full queue refuses every class.
///
/// ```
/// # use plimsoll_core::Priority;
/// assert!(Priority::HIGHEST > Priority::NORMAL && Priority::NORMAL > Priority::LOWEST);
/// assert_eq!(Priority::new(0), Priority::HIGHEST);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority(u8);

impl Priority {
    /// How many classes there are.
    pub const CLASSES: usize = 8;
    /// Every how many starts the longest waiting task is served whatever its class.
    pub const FAIR_EVERY: u32 = 8;
    /// The class that is served first.
    pub const HIGHEST: Self = Self(0);
    /// The default.
    pub const NORMAL: Self = Self(4);
    /// The class that is served last.
    pub const LOWEST: Self = Self(7);

    /// The class with this number, 0 (the highest priority) to 7; larger numbers give the lowest priority.
    #[must_use]
    pub const fn new(class: u8) -> Self {
        if class < 7 { Self(class) } else { Self::LOWEST }
    }

    /// The class's number.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0
    }
}

impl Ord for Priority {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.cmp(&self.0)
    }
}

impl PartialOrd for Priority {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// The three time-outs of a task. `None` means no limit, as does a duration that reaches past the end of
/// [`Instant`](crate::Instant)'s range. Zero is over at once: only what is reported at the instant at which it began to
/// count comes before it. Hosts whose tasks take time may refuse it ([`ZeroTimeout`](crate::Refusal::ZeroTimeout)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// How long one stay in the queue may last (a start delay and a backoff do not count). A task that
    /// waits longer settles as [`Outcome::Expired`](crate::Outcome::Expired).
    pub schedule_to_start: Option<Duration>,
    /// How long one attempt may run, from [`start_next`](crate::Processor::start_next) or, where the host reports that,
    /// from the call of its handler ([`began`](crate::Processor::began)); else the task settles as
    /// [`TimedOut`](crate::Outcome::TimedOut), or is tried again ([`Retry::on_timeout`]).
    pub start_to_close: Option<Duration>,
    /// How long the task may take from `submit` on, waiting and all its attempts included, else it settles
    /// as [`TimedOut`](crate::Outcome::TimedOut).
    pub schedule_to_close: Option<Duration>,
}

impl Timeouts {
    /// No time-outs.
    pub const NONE: Self = Self { schedule_to_start: None, start_to_close: None, schedule_to_close: None };

    /// Whether one of them is zero.
    #[must_use]
    pub fn have_zero(&self) -> bool {
        [self.schedule_to_start, self.start_to_close, self.schedule_to_close].contains(&Some(Duration::ZERO))
    }
}
