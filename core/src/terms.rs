//! The terms on which tasks are admitted: priority, delay, time-outs, retry policy.

use core::cmp::Ordering;
use core::time::Duration;

use crate::backoff::Backoff;
use crate::retry::Tries;
use crate::time::{NEVER, after};
use crate::timers::TICK;
use crate::{Instant, Lane, Retry, Unique};

/// How the machine treats a task. Terms are made once, in the form in which the machine keeps them, and passed by
/// reference with each task.
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::{Priority, Retry, Terms, Timeouts};
/// const HURRIED: Terms = Terms::new().priority(Priority::HIGHEST).retry(Retry::times(2));
/// let limit = Some(Duration::from_secs(5));
/// let terms = HURRIED.timeouts(Timeouts { start_to_close: limit, ..Timeouts::NONE });
/// assert_ne!(terms, HURRIED);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::TermsForm", into = "crate::serialized::TermsForm")
)]
#[must_use]
pub struct Terms {
    pub(crate) priority: Priority,
    pub(crate) tries: Tries,
    pub(crate) backoff: Backoff,
    /// In nanoseconds, as are the time-outs; `NEVER` stands for no time-out. `Task::deadline_in` makes deadlines of
    /// them.
    pub(crate) delay: u64,
    pub(crate) schedule_to_start: u64,
    pub(crate) start_to_close: u64,
    pub(crate) schedule_to_close: u64,
    /// In whole ticks of the timers.
    pub(crate) heartbeat: u64,
    pub(crate) slow_after: u64,
    pub(crate) lane: Option<Lane>,
    pub(crate) unique: Option<Unique>,
    /// Whether there is a lane, a key, a heartbeat time-out or a soft limit, so that an admission asks once for all of them.
    pub(crate) has_extras: bool,
}

impl Terms {
    /// The defaults: priority [`Priority::NORMAL`], no delay, no time-outs, one attempt.
    #[inline]
    pub const fn new() -> Self {
        Self {
            priority: Priority::NORMAL,
            tries: Retry::NONE.tries,
            backoff: Retry::NONE.backoff,
            delay: 0,
            schedule_to_start: NEVER.as_nanos(),
            start_to_close: NEVER.as_nanos(),
            schedule_to_close: NEVER.as_nanos(),
            heartbeat: NEVER.as_nanos(),
            slow_after: NEVER.as_nanos(),
            lane: None,
            unique: None,
            has_extras: false,
        }
    }

    /// Sets the class of the queue in which the task waits.
    pub const fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets how long the task waits before it enters the queue. Meanwhile it counts towards
    /// [`Limits::delayed`](crate::Limits::delayed). A delay past the end of [`Instant`]'s range lasts for ever: only a
    /// time-out, a cancel or the end settles the task.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = nanos(Some(delay));
        self
    }

    /// Sets all time-outs.
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.schedule_to_start = nanos(timeouts.schedule_to_start);
        self.start_to_close = nanos(timeouts.start_to_close);
        self.schedule_to_close = nanos(timeouts.schedule_to_close);
        self.heartbeat = in_ticks(nanos(timeouts.heartbeat));
        self.note_extras()
    }

    /// Sets the soft limit: an attempt that runs for longer than this is reported once, by
    /// [`Event::Slow`](crate::Event::Slow), in [`Totals::slow`](crate::Totals::slow) and
    /// [`Health::slow`](crate::Health::slow). For the task it changes nothing. It counts as
    /// [`Timeouts::start_to_close`] does. An attempt that is asked to stop before is not reported. Needs
    /// [`Limits::monitor`](crate::Limits::monitor). Default: none.
    pub const fn slow_after(mut self, limit: Duration) -> Self {
        self.slow_after = nanos(Some(limit));
        self.note_extras()
    }

    /// Sets what happens after an attempt fails.
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.tries = retry.tries;
        self.backoff = retry.backoff;
        self
    }

    /// Sets the lane to which the task belongs. The lane is treated as these terms say from then on. Default: the lane of
    /// all tasks without a key.
    pub const fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self.note_extras()
    }

    /// Sets a key that no two tasks have at the same time, and what happens to the second. Default: none.
    pub const fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self.note_extras()
    }

    const fn note_extras(mut self) -> Self {
        self.has_extras = self.lane.is_some() || self.unique.is_some() || self.need_monitor();
        self
    }

    /// Whether they need [`Limits::monitor`](crate::Limits::monitor): they have a heartbeat time-out or a soft limit.
    #[must_use]
    pub const fn need_monitor(&self) -> bool {
        self.heartbeat != NEVER.as_nanos() || self.slow_after != NEVER.as_nanos()
    }

    /// Whether a delay or a time-out counts from the submission, or a rate may shut the lane there. Then the submission needs
    /// an exact time, and may set a timer.
    #[must_use]
    #[inline]
    pub const fn count_from_submit(&self) -> bool {
        self.delay != 0
            || self.schedule_to_start != u64::MAX
            || self.schedule_to_close != u64::MAX
            || (self.has_extras && self.have_rate())
    }

    const fn have_rate(&self) -> bool {
        matches!(&self.lane, Some(Lane { rate: Some(_), .. }))
    }

    /// Whether the task has a delay before it is queued.
    #[inline]
    pub(crate) const fn is_delayed(&self) -> bool {
        self.delay != 0
    }

    /// When a task that is submitted at `now` is ready; [`NEVER`] past the end of the range.
    #[inline]
    pub(crate) const fn ready_at(&self, now: Instant) -> Instant {
        after(now, self.delay)
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self::new()
    }
}

const fn nanos(duration: Option<Duration>) -> u64 {
    match duration {
        Some(duration) => {
            duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
        }
        None => NEVER.as_nanos(),
    }
}

/// Rounded up to whole ticks of the timers. So heartbeats within one tick move the deadline to the same tick, and a host
/// may report the first of them only.
const fn in_ticks(nanos: u64) -> u64 {
    match nanos.checked_next_multiple_of(TICK) {
        Some(nanos) => nanos,
        None => NEVER.as_nanos(),
    }
}

/// The class of the queue in which a task waits. The class of the highest priority is served first, each class in order
/// of arrival. Priorities compare as their names say, `HIGHEST > NORMAL > LOWEST`. Classes are numbered in the order in
/// which they are served, so [`HIGHEST`](Self::HIGHEST) is class 0.
///
/// No class can starve: every [`Priority::FAIR_EVERY`]th start serves the task that has waited longest, whatever its
/// class. So a task with `n` tasks queued before it starts at the latest with the `FAIR_EVERY × (n + 1)`th start after
/// it was queued.
///
/// The priority decides which queued task is next. It has no say in admission: a full queue refuses every class.
///
/// ```
/// # use plimsoll_core::Priority;
/// assert!(Priority::HIGHEST > Priority::NORMAL && Priority::NORMAL > Priority::LOWEST);
/// assert_eq!(Priority::new(0), Priority::HIGHEST);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::PriorityForm", into = "crate::serialized::PriorityForm")
)]
pub struct Priority(u8);

impl Priority {
    /// How many classes there are.
    pub const CLASSES: usize = 8;
    /// One start in this many serves the longest waiting task, whatever its class.
    pub const FAIR_EVERY: u32 = 8;
    /// The class that is served first.
    pub const HIGHEST: Self = Self(0);
    /// The default.
    pub const NORMAL: Self = Self(4);
    /// The class that is served last.
    pub const LOWEST: Self = Self(7);

    /// The class with this number, from 0 (the highest priority) to 7. Larger numbers give the lowest priority.
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

/// The time-outs of a task. `None` means no limit, as does a duration past the end of [`Instant`](crate::Instant)'s
/// range. A time-out of zero passes at once: only a report at the very instant at which it began to count comes before
/// it. Hosts whose tasks take time may refuse it ([`ZeroTimeout`](crate::Refusal::ZeroTimeout)). A later version may
/// add time-outs: end a literal with `..Timeouts::NONE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Timeouts {
    /// How long one stay in the queue may last; a start delay and a backoff do not count. A task that waits longer
    /// settles as [`Outcome::Expired`](crate::Outcome::Expired).
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub schedule_to_start: Option<Duration>,
    /// How long one attempt may run, from [`start_next`](crate::Processor::start_next) or, if the host reports it, from
    /// the call of its handler ([`began`](crate::Processor::began)). Beyond that the task settles as
    /// [`TimedOut`](crate::Outcome::TimedOut), or is tried again ([`Retry::on_timeout`]).
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub start_to_close: Option<Duration>,
    /// How long the task may take from `submit` on, with all waiting and all attempts. Beyond that it settles as
    /// [`TimedOut`](crate::Outcome::TimedOut).
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub schedule_to_close: Option<Duration>,
    /// For how long an attempt may be silent: from its start, counted as for `start_to_close`, to its first
    /// [`heartbeat`](crate::Processor::heartbeat), and from each to the next. Rounded up to whole milliseconds. Beyond that
    /// it is treated as an attempt that ran for too long. Needs [`Limits::monitor`](crate::Limits::monitor).
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub heartbeat: Option<Duration>,
}

impl Timeouts {
    /// No time-outs.
    pub const NONE: Self =
        Self { schedule_to_start: None, start_to_close: None, schedule_to_close: None, heartbeat: None };

    /// Whether one of them is zero.
    #[must_use]
    pub fn have_zero(&self) -> bool {
        [self.schedule_to_start, self.start_to_close, self.schedule_to_close, self.heartbeat]
            .contains(&Some(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_timeout_overflows() {
        assert_eq!(nanos(Some(Duration::new(1, 2))), 1_000_000_002);
        let longest = Duration::from_nanos(u64::MAX - 1);
        assert_eq!(nanos(Some(longest)), u64::MAX - 1);
        assert_eq!(
            [nanos(None), nanos(Some(Duration::MAX)), nanos(Some(Duration::from_nanos(u64::MAX)))],
            [u64::MAX; 3]
        );
    }

    #[test]
    fn only_terms_that_count_from_the_submission_need_its_time() {
        let second = Some(Duration::from_secs(1));
        let from_start = Timeouts { start_to_close: second, ..Timeouts::NONE };
        assert!(!Terms::new().timeouts(from_start).count_from_submit());
        assert!(Terms::new().delay(Duration::from_nanos(1)).count_from_submit());
        assert!(!Terms::new().lane(Lane::new(1)).count_from_submit());
        let rate = crate::Rate::new(1, Duration::from_secs(1));
        assert!(Terms::new().lane(Lane::new(1).rate(rate)).count_from_submit());
        for timeouts in [
            Timeouts { schedule_to_start: second, ..Timeouts::NONE },
            Timeouts { schedule_to_close: second, ..Timeouts::NONE },
        ] {
            assert!(Terms::new().timeouts(timeouts).count_from_submit());
        }
    }
}
