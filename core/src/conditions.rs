//! How a task is to be treated, worked out once for many tasks.

use core::time::Duration;

use crate::backoff::Backoff;
use crate::retry::Tries;
use crate::{Instant, Priority, Retry, Timeouts};

/// Everything in [`Terms`](crate::Terms) but the metadata and who gets the outcome, in the form in which the machine
/// keeps it. A host whose tasks are mostly treated alike makes it once and passes a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    pub(crate) priority: Priority,
    pub(crate) tries: Tries,
    pub(crate) backoff: Backoff,
    /// All in nanoseconds; no time-out is as good as one of 584 years, the range of [`Instant`].
    pub(crate) delay: u64,
    pub(crate) schedule_to_start: u64,
    pub(crate) start_to_close: u64,
    pub(crate) schedule_to_close: u64,
}

impl Conditions {
    /// The conditions that these parts of [`Terms`](crate::Terms) come to.
    #[must_use]
    #[inline]
    pub const fn new(priority: Priority, delay: Duration, timeouts: &Timeouts, retry: &Retry) -> Self {
        Self {
            priority,
            tries: retry.tries,
            backoff: retry.backoff,
            delay: nanos(Some(delay)),
            schedule_to_start: nanos(timeouts.schedule_to_start),
            start_to_close: nanos(timeouts.start_to_close),
            schedule_to_close: nanos(timeouts.schedule_to_close),
        }
    }

    /// Whether a delay or a time-out counts from the submission, so that this needs an exact time.
    #[must_use]
    #[inline]
    pub const fn count_from_submit(&self) -> bool {
        self.delay != 0 || self.schedule_to_start != u64::MAX || self.schedule_to_close != u64::MAX
    }

    /// Whether it is kept back before it is queued.
    #[inline]
    pub(crate) const fn is_delayed(&self) -> bool {
        self.delay != 0
    }

    /// When a task submitted now is ready; a delay past the range is for ever.
    #[inline]
    pub(crate) const fn ready_at(&self, now: Instant) -> Instant {
        after(now, self.delay)
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

/// The instant of a deadline that never comes.
pub(crate) const NEVER: Instant = Instant::MAX;

/// The instant so long after another, or [`NEVER`].
#[inline]
pub(crate) const fn after(start: Instant, nanos: u64) -> Instant {
    Instant::from_nanos(start.as_nanos().saturating_add(nanos))
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
    fn only_what_counts_from_the_submission_needs_its_time() {
        let conditions = |delay, timeouts| Conditions::new(Priority::NORMAL, delay, &timeouts, &Retry::NONE);
        let (none, second) = (Duration::ZERO, Some(Duration::from_secs(1)));
        let from_start = Timeouts { start_to_close: second, ..Timeouts::NONE };
        assert!(!conditions(none, from_start).count_from_submit());
        assert!(conditions(Duration::from_nanos(1), Timeouts::NONE).count_from_submit());
        for timeouts in [
            Timeouts { schedule_to_start: second, ..Timeouts::NONE },
            Timeouts { schedule_to_close: second, ..Timeouts::NONE },
        ] {
            assert!(conditions(none, timeouts).count_from_submit());
        }
    }
}
