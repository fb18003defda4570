//! Rates and holds: until when no attempt may start. Rates are the generic cell rate algorithm (ITU-T I.371, virtual
//! scheduling).

use core::fmt;
use core::time::Duration;

use crate::Instant;
use crate::time::after;

/// At most `starts` attempts are started in `per`, evenly spread.
///
/// Every start is due one interval, `per / starts`, after the one before it. A start that comes later than it is due
/// moves the next one only if it is late by a tick of the timers (a millisecond) or more. So a rate is reached exactly
/// over time, whatever its interval is, and in no time `t` are more than `t / interval + burst + 1` attempts started.
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::Rate;
/// const HUNDRED_A_SECOND: Rate = Rate::new(100, Duration::from_secs(1)).burst(10);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::RateForm", into = "crate::serialized::RateForm")
)]
#[must_use]
pub struct Rate {
    /// The interval between two starts, in nanoseconds.
    pub(crate) interval: u64,
    pub(crate) burst: u32,
}

impl Rate {
    /// `starts` attempts in `per`, with bursts of one. The interval is rounded up to a nanosecond. 0 starts count as
    /// one, and a `per` of zero is no limit.
    pub const fn new(starts: u32, per: Duration) -> Self {
        let starts = if starts == 0 { 1 } else { starts as u128 };
        let interval = per.as_nanos().div_ceil(starts);
        #[allow(clippy::cast_possible_truncation, reason = "checked")]
        let interval = if interval > u64::MAX as u128 { u64::MAX } else { interval as u64 };
        Self { interval, burst: 1 }
    }

    /// Sets how many attempts may be started at once after a time without starts. Default 1; 0 counts as 1.
    pub const fn burst(self, burst: u32) -> Self {
        Self { burst: if burst == 0 { 1 } else { burst }, ..self }
    }
}

impl fmt::Debug for Rate {
    /// In the words of the methods, for one start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate")
            .field("starts", &1)
            .field("per", &Duration::from_nanos(self.interval))
            .field("burst", &self.burst)
            .finish()
    }
}

/// Until when a rate and a hold shut a lane, or the gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shutter {
    /// When the next start is due: the theoretical arrival time of the algorithm.
    due: Instant,
    held_until: Instant,
}

/// A start that is late by less than this does not move the next one: timers are rounded up to it.
const TICK: Duration = Duration::from_millis(1);

impl Shutter {
    /// No start yet, and no hold; the first start is due now.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { due: now, held_until: Instant::ZERO }
    }

    /// Holds starts back until an instant. One that is not in the future ends the hold.
    pub(crate) const fn hold_until(&mut self, until: Instant) {
        self.held_until = until;
    }

    /// Counts a start. Without a rate nothing is counted.
    pub(crate) fn start(&mut self, rate: Option<Rate>, now: Instant) {
        let Some(rate) = rate else { return };
        let is_in_time = now.saturating_since(self.due) < TICK;
        let from = if is_in_time { self.due } else { now };
        self.due = after(from, rate.interval);
    }

    /// The earliest instant of the next start.
    pub(crate) fn opens_at(&self, rate: Option<Rate>) -> Instant {
        self.by_rate(rate).max(self.held_until)
    }

    /// Whether the hold ends no earlier than the rate would allow the next start.
    pub(crate) fn is_held(&self, rate: Option<Rate>) -> bool {
        self.held_until >= self.by_rate(rate)
    }

    /// When the rate allows the next start.
    fn by_rate(&self, rate: Option<Rate>) -> Instant {
        let Some(rate) = rate else { return Instant::ZERO };
        let ahead = rate.interval.saturating_mul(u64::from(rate.burst - 1));
        Instant::from_nanos(self.due.as_nanos().saturating_sub(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn debug_is_in_the_words_of_the_methods() {
        let rate = Rate::new(500, Duration::from_secs(1)).burst(10);
        assert_eq!(alloc::format!("{rate:?}"), "Rate { starts: 1, per: 2ms, burst: 10 }");
    }

    /// The instants at which attempts are started that all wait from `from` on, with timers that fire on whole
    /// milliseconds.
    fn starts(shutter: &mut Shutter, rate: Rate, from: Instant, count: usize) -> Vec<u64> {
        let mut now = from;
        (0..count)
            .map(|_| {
                let opens_at = shutter.opens_at(Some(rate));
                if opens_at > now {
                    now = Instant::from_millis(opens_at.as_nanos().div_ceil(1_000_000));
                }
                shutter.start(Some(rate), now);
                now.as_nanos() / 1_000
            })
            .collect()
    }

    #[test]
    fn starts_are_evenly_spread() {
        let (rate, mut shutter) = (Rate::new(100, Duration::from_secs(1)), Shutter::new(Instant::ZERO));
        assert_eq!(starts(&mut shutter, rate, Instant::ZERO, 4), [0, 10_000, 20_000, 30_000]);
        let later = Instant::from_millis(1_000);
        assert_eq!(starts(&mut shutter, rate, later, 3), [1_000_000, 1_010_000, 1_020_000], "no credit");
    }

    #[test]
    fn a_burst_after_a_rest() {
        let rate = Rate::new(10, Duration::from_secs(1)).burst(3);
        let mut shutter = Shutter::new(Instant::ZERO);
        assert_eq!(starts(&mut shutter, rate, Instant::ZERO, 5), [0, 0, 0, 100_000, 200_000]);
        assert_eq!(starts(&mut shutter, rate, Instant::from_millis(350), 3), [350_000, 400_000, 500_000]);
    }

    #[test]
    fn a_rate_is_exact_whatever_its_interval() {
        for (count, per) in [(3, 1_000), (7_000, 1_000), (1_000, 333)] {
            let (rate, mut shutter) =
                (Rate::new(count, Duration::from_millis(per)), Shutter::new(Instant::ZERO));
            let times = starts(&mut shutter, rate, Instant::ZERO, count as usize * 10 + 1);
            let last = times.last().copied().unwrap_or_default();
            assert!((per * 10_000..=per * 10_000 + 1_000).contains(&last), "{count} in {per} ms: {last}");
        }
    }

    #[test]
    fn odd_rates_are_no_trouble() {
        let unlimited = Rate::new(5, Duration::ZERO);
        let mut shutter = Shutter::new(Instant::ZERO);
        assert_eq!(starts(&mut shutter, unlimited, Instant::ZERO, 3), [0, 0, 0]);
        for rate in [Rate::new(0, Duration::MAX), Rate::new(1, Duration::MAX).burst(u32::MAX)] {
            let mut shutter = Shutter::new(Instant::from_millis(5));
            shutter.start(Some(rate), Instant::MAX);
            assert!(shutter.opens_at(Some(rate.burst(0))) == Instant::MAX);
        }
    }
}
