//! The retry policy: how often a task is tried, and whether its delays are fixed or an exponential backoff with jitter.
//! `backoff` draws the delays, and `processor/retry.rs` carries the policy out.

use core::fmt;
use core::time::Duration;

use crate::backoff::Backoff;

/// The retry policy of a task: how often it is tried, and how long it waits between attempts.
///
/// The delay after the *n*-th failure is drawn uniformly from `0 ..= min(cap, base * 2^(n-1))`: "full jitter" as in
/// *Exponential Backoff And Jitter* (Marc Brooker, AWS Architecture Blog, 2015). It spreads the attempts of many tasks
/// that failed together better than a jitter around a fixed delay. [`jitter`](Self::jitter) chooses another jitter, and
/// [`least`](Self::least) sets a lower bound. The generator is seeded, so the same run has the same delays.
///
/// Durations are stored as 37 bits and a power of two. Up to 137 s they are exact, as are whole seconds up to 19 hours.
/// Other longer durations are rounded down, by less than a part in ten billion.
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::Retry;
/// let retry = Retry::times(4).base(Duration::from_millis(50)).cap(Duration::from_secs(10));
/// assert!(retry.allows(4) && !retry.allows(5));
/// let every_second = Retry::times(4).fixed(Duration::from_secs(1));
/// assert_eq!(every_second.total(), 5);
/// assert!(Retry::NONE.unlimited().allows(1_000_000));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::RetryForm", into = "crate::serialized::RetryForm")
)]
pub struct Retry {
    pub(crate) backoff: Backoff,
    pub(crate) tries: Tries,
}

impl fmt::Debug for Retry {
    /// In the words of the methods that set it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [base, cap, least] = self.backoff.bounds().map(Duration::from_nanos);
        f.debug_struct("Retry")
            .field("attempts", &self.total())
            .field("base", &base)
            .field("cap", &cap)
            .field("least", &least)
            .field("jitter", &self.tries.jitter())
            .field("on_panic", &self.tries.on_panic())
            .field("on_timeout", &self.tries.on_timeout())
            .finish()
    }
}

/// How much of a delay is random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Jitter {
    /// All of it: uniform from zero to the bound. The default.
    #[default]
    Full,
    /// Half of it: uniform from half of the bound to the bound.
    Equal,
    /// None of it: the delay is the bound.
    None,
}

/// How many attempts a task may have. The highest bits say whether it is tried again after a panic or a time-out, and
/// which jitter the delays have. One word, because each task stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tries(u32);

impl Tries {
    const ON_PANIC: u32 = 1 << 31;
    const NO_JITTER: u32 = 1 << 30;
    const EQUAL: u32 = 1 << 29;
    const ON_TIMEOUT: u32 = 1 << 28;
    const JITTER: u32 = Self::EQUAL | Self::NO_JITTER;
    const TOTAL: u32 = Self::ON_TIMEOUT - 1;

    #[inline]
    pub(crate) const fn total(self) -> u32 {
        self.0 & Self::TOTAL
    }

    #[inline]
    pub(crate) const fn jitter(self) -> Jitter {
        match self.0 & Self::JITTER {
            Self::EQUAL => Jitter::Equal,
            Self::NO_JITTER => Jitter::None,
            _ => Jitter::Full,
        }
    }

    /// Without a bound always true: the number of attempts never reaches [`Retry::UNLIMITED`].
    #[inline]
    pub(crate) const fn allow(self, failed: u32) -> bool {
        failed < self.total()
    }

    #[inline]
    pub(crate) const fn on_panic(self) -> bool {
        self.0 & Self::ON_PANIC != 0
    }

    #[inline]
    pub(crate) const fn on_timeout(self) -> bool {
        self.0 & Self::ON_TIMEOUT != 0
    }

    /// Sets or clears the bits of `mask`.
    const fn with(self, mask: u32, is_set: bool) -> Self {
        Self(if is_set { self.0 | mask } else { self.0 & !mask })
    }
}

impl Retry {
    /// One attempt: the default. Its base of 100 ms and its cap of 30 s apply once more attempts are allowed.
    pub const NONE: Self = Self { backoff: Backoff::new(100_000_000, 30_000_000_000), tries: Tries(1) };

    /// The number of attempts that means no bound, 2^28 - 1. See [`unlimited`](Self::unlimited).
    pub const UNLIMITED: u32 = Tries::TOTAL;

    /// Allows up to `further` attempts after the first one.
    #[must_use]
    pub const fn times(further: u32) -> Self {
        Self::NONE.attempts(further.saturating_add(1))
    }

    /// Sets how many attempts a task has in total, the first one included; zero is taken as one, and
    /// [`UNLIMITED`](Self::UNLIMITED) or more as no bound.
    #[must_use]
    pub const fn attempts(mut self, total: u32) -> Self {
        let total = match total {
            0 => 1,
            1..=Self::UNLIMITED => total,
            _ => Self::UNLIMITED,
        };
        self.tries.0 = (self.tries.0 & !Tries::TOTAL) | total;
        self
    }

    /// Allows any number of attempts: a task is tried again until it completes, is cancelled, or reaches a deadline. It
    /// is admitted only if [`Limits::attempts`](crate::Limits::attempts) sets no bound either.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use plimsoll_core::Retry;
    /// let retry = Retry::NONE.unlimited().base(Duration::from_secs(1)).cap(Duration::from_secs(60));
    /// assert!(retry.is_unlimited() && retry.total() == Retry::UNLIMITED);
    /// ```
    #[must_use]
    pub const fn unlimited(self) -> Self {
        self.attempts(Self::UNLIMITED)
    }

    /// Sets the upper bound of the first delay. The bound doubles with each further failure. More than `u64::MAX`
    /// nanoseconds (584 years) counts as that.
    #[must_use]
    pub const fn base(mut self, base: Duration) -> Self {
        self.backoff = self.backoff.with_base(nanos(base));
        self
    }

    /// Sets the upper bound of every delay. More than `u64::MAX` nanoseconds (584 years) counts as that.
    #[must_use]
    pub const fn cap(mut self, cap: Duration) -> Self {
        self.backoff = self.backoff.with_cap(nanos(cap));
        self
    }

    /// Sets the lower bound of every delay, whatever the jitter. Default zero. The upper bound is never below it, so
    /// while the upper bound would be smaller, the delay is exactly `least`. A value above the cap counts as the cap.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use plimsoll_core::Retry;
    /// // The first delay is between 50 and 100 ms, the second between 50 and 200 ms.
    /// let retry = Retry::times(4).base(Duration::from_millis(100)).least(Duration::from_millis(50));
    /// # assert!(retry.allows(4));
    /// ```
    #[must_use]
    pub const fn least(mut self, least: Duration) -> Self {
        self.backoff = self.backoff.with_least(nanos(least));
        self
    }

    /// Sets how much of each delay is random.
    #[must_use]
    pub const fn jitter(mut self, jitter: Jitter) -> Self {
        let bits = match jitter {
            Jitter::Full => 0,
            Jitter::Equal => Tries::EQUAL,
            Jitter::None => Tries::NO_JITTER,
        };
        self.tries.0 = (self.tries.0 & !Tries::JITTER) | bits;
        self
    }

    /// Sets every delay to this one, without jitter.
    #[must_use]
    pub const fn fixed(self, delay: Duration) -> Self {
        self.base(delay).cap(delay).jitter(Jitter::None)
    }

    /// Sets whether a task is tried again after a panic, as after a failure. Default `false`.
    #[must_use]
    pub const fn on_panic(mut self, retried: bool) -> Self {
        self.tries = self.tries.with(Tries::ON_PANIC, retried);
        self
    }

    /// Sets whether a task is tried again after an attempt missed its start-to-close deadline or was silent for longer
    /// than its heartbeat time-out, as after a failure. The attempt is asked to stop, and the next one follows only
    /// when it has. The schedule-to-close deadline ends the task in any case. Default `false`.
    #[must_use]
    pub const fn on_timeout(mut self, retried: bool) -> Self {
        self.tries = self.tries.with(Tries::ON_TIMEOUT, retried);
        self
    }

    /// How many attempts a task may have in total, at least one; [`UNLIMITED`](Self::UNLIMITED) if there is no bound.
    #[must_use]
    pub const fn total(&self) -> u32 {
        self.tries.total()
    }

    /// Whether the number of attempts has no bound.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.total() == Self::UNLIMITED
    }

    /// Whether a further attempt is allowed after `failed` attempts.
    #[must_use]
    pub const fn allows(&self, failed: u32) -> bool {
        self.is_unlimited() || self.tries.allow(failed)
    }

    /// Whether a task is tried again after a panic.
    #[must_use]
    pub const fn retries_panics(&self) -> bool {
        self.tries.on_panic()
    }

    /// Whether a task is tried again after an attempt missed its start-to-close deadline.
    #[must_use]
    pub const fn retries_timeouts(&self) -> bool {
        self.tries.on_timeout()
    }

    /// Draws the delay before the attempt that follows `failed` failures. O(1), one or a few draws.
    #[cfg(any(test, feature = "testkit"))]
    pub(crate) fn delay(&self, failed: u32, rng: &mut fastrand::Rng) -> Duration {
        self.backoff.delay(failed, self.tries.jitter(), rng)
    }
}

impl Default for Retry {
    /// [`Retry::NONE`].
    fn default() -> Self {
        Self::NONE
    }
}

/// Nanoseconds, at most `u64::MAX`.
const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_in_the_words_of_the_methods() {
        let retry = Retry::times(2).base(Duration::from_millis(50)).on_timeout(true);
        let shown = "Retry { attempts: 3, base: 50ms, cap: 30s, least: 0ns, jitter: Full, on_panic: false, on_timeout: true }";
        assert_eq!(alloc::format!("{retry:?}"), shown);
    }

    fn retry(base: Duration, cap: Duration) -> Retry {
        Retry::NONE.attempts(10).base(base).cap(cap)
    }

    #[test]
    fn one_attempt_unless_told() {
        assert_eq!(Retry::default(), Retry::NONE);
        assert_eq!(Retry::NONE.total(), 1);
        assert!(!Retry::NONE.allows(1) && !Retry::NONE.retries_panics() && !Retry::NONE.retries_timeouts());
        assert_eq!(Retry::NONE.attempts(0).total(), 1);
        let unlimited = Retry::NONE.on_panic(true).unlimited();
        assert_eq!(
            (unlimited.total(), unlimited),
            ((1 << 28) - 1, Retry::NONE.on_panic(true).attempts(u32::MAX))
        );
        assert!(unlimited.is_unlimited() && unlimited.allows(u32::MAX) && unlimited.retries_panics());
        let three = Retry::NONE.attempts(3).on_panic(true);
        assert_eq!(
            (three.attempts(2).retries_panics(), three.on_panic(false).retries_panics()),
            (true, false)
        );
        assert!(three.allows(2) && !three.allows(3) && three.retries_panics());
    }

    #[test]
    fn every_setting_leaves_the_others_alone() {
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
            for (first, then) in [(true, false), (false, true), (true, true)] {
                let retry = Retry::times(2).on_panic(first).on_timeout(then).jitter(Jitter::Equal);
                let retry = retry.jitter(jitter).on_panic(then).on_timeout(first).attempts(7);
                assert_eq!((retry.total(), retry.tries.jitter()), (7, jitter));
                assert_eq!((retry.retries_panics(), retry.retries_timeouts()), (then, first));
            }
        }
        assert_eq!((Retry::times(0), Retry::times(u32::MAX).total()), (Retry::NONE, (1 << 28) - 1));
    }

    #[test]
    fn each_jitter_has_its_range() {
        let drawn = |retry: Retry, failed| -> [u64; 1_000] {
            let mut rng = fastrand::Rng::with_seed(1);
            core::array::from_fn(|_| retry.delay(failed, &mut rng).as_nanos() as u64)
        };
        let range = |retry, failed| {
            let delays = drawn(retry, failed);
            (delays.into_iter().min().unwrap_or(0), delays.into_iter().max().unwrap_or(0))
        };
        let retry = retry(Duration::from_nanos(10), Duration::from_nanos(35));
        assert_eq!((range(retry, 1), range(retry, 9)), ((0, 10), (0, 35)));
        let equal = retry.jitter(Jitter::Equal);
        assert_eq!((range(equal, 1), range(equal, 9)), ((5, 10), (17, 35)));
        let none = retry.jitter(Jitter::None);
        let least = retry.least(Duration::from_nanos(8));
        let [least_full, least_equal, least_none] =
            [Jitter::Full, Jitter::Equal, Jitter::None].map(|jitter| least.jitter(jitter));
        assert_eq!([1, 2, 9].map(|failed| range(least_full, failed)), [(8, 10), (8, 20), (8, 35)]);
        assert_eq!([1, 2, 9].map(|failed| range(least_equal, failed)), [(8, 10), (10, 20), (17, 35)]);
        assert_eq!([1, 2, 9].map(|failed| range(least_none, failed)), [(10, 10), (20, 20), (35, 35)]);
        assert_eq!(range(least.least(Duration::MAX), 1), (35, 35));
        for retry in [retry, equal, none, least_full, least_equal, least_none] {
            assert_eq!(retry.backoff.shortest(9, retry.tries.jitter()), range(retry, 9).0);
        }
        assert_eq!([1, 2, 3, 9].map(|failed| range(none, failed)), [(10, 10), (20, 20), (35, 35), (35, 35)]);
        let fixed = retry.fixed(Duration::from_nanos(4));
        assert_eq!([1, 9].map(|failed| range(fixed, failed)), [(4, 4); 2]);
    }

    #[test]
    fn no_value_overflows() {
        for base in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1), Duration::MAX] {
            for cap in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
                for failed in [0, 1, 2, 63, 64, 65, u32::MAX] {
                    let delay = retry(base, cap).delay(failed, &mut fastrand::Rng::with_seed(1));
                    assert!(delay <= cap);
                    assert!(base > Duration::ZERO || delay == Duration::ZERO);
                }
            }
        }
    }

    #[test]
    fn the_jitter_is_full_and_uniform() {
        let retry = retry(Duration::from_nanos(7), Duration::from_secs(1));
        let mut rng = fastrand::Rng::with_seed(42);
        let mut seen = [0u32; 15];
        for _ in 0..150_000 {
            let delay = retry.delay(2, &mut rng).as_nanos() as usize;
            seen[delay] += 1;
        }
        // 10,000 are expected of each; five standard deviations are 483.
        assert!(seen.iter().all(|&n| n.abs_diff(10_000) < 500), "{seen:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let retry = retry(Duration::from_millis(10), Duration::from_secs(10));
        let delays = |seed| -> [Duration; 16] {
            let mut rng = fastrand::Rng::with_seed(seed);
            core::array::from_fn(|failed| retry.delay(failed as u32, &mut rng))
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }
}
