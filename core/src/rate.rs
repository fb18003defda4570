//! Rates: at most so many starts in a time. The generic cell rate algorithm (ITU-T I.371, virtual scheduling).

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Rate {
    /// The interval between two starts, in nanoseconds.
    interval: u64,
    burst: u32,
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

/// How far the starts under a rate have come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    /// When the next start is due: the theoretical arrival time of the algorithm.
    due: Instant,
}

/// A start that is late by less than this does not move the next one: timers are rounded up to it.
const TICK: Duration = Duration::from_millis(1);

impl Meter {
    /// No start yet; the first one is due now.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { due: now }
    }

    /// Counts a start.
    pub(crate) fn start(&mut self, rate: Rate, now: Instant) {
        let is_in_time = now.saturating_since(self.due) < TICK;
        let from = if is_in_time { self.due } else { now };
        self.due = after(from, rate.interval);
    }

    /// The earliest instant of the next start.
    pub(crate) fn opens_at(&self, rate: Rate) -> Instant {
        let ahead = rate.interval.saturating_mul(u64::from(rate.burst - 1));
        Instant::from_nanos(self.due.as_nanos().saturating_sub(ahead))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// The instants at which attempts are started that all wait from `from` on, with timers that fire on whole
    /// milliseconds.
    fn starts(meter: &mut Meter, rate: Rate, from: Instant, count: usize) -> Vec<u64> {
        let mut now = from;
        (0..count)
            .map(|_| {
                let opens_at = meter.opens_at(rate);
                if opens_at > now {
                    now = Instant::from_millis(opens_at.as_nanos().div_ceil(1_000_000));
                }
                meter.start(rate, now);
                now.as_nanos() / 1_000
            })
            .collect()
    }

    #[test]
    fn starts_are_evenly_spread() {
        let (rate, mut meter) = (Rate::new(100, Duration::from_secs(1)), Meter::new(Instant::ZERO));
        assert_eq!(starts(&mut meter, rate, Instant::ZERO, 4), [0, 10_000, 20_000, 30_000]);
        let later = Instant::from_millis(1_000);
        assert_eq!(starts(&mut meter, rate, later, 3), [1_000_000, 1_010_000, 1_020_000], "no credit");
    }

    #[test]
    fn a_burst_after_a_rest() {
        let rate = Rate::new(10, Duration::from_secs(1)).burst(3);
        let mut meter = Meter::new(Instant::ZERO);
        assert_eq!(starts(&mut meter, rate, Instant::ZERO, 5), [0, 0, 0, 100_000, 200_000]);
        assert_eq!(starts(&mut meter, rate, Instant::from_millis(350), 3), [350_000, 400_000, 500_000]);
    }

    #[test]
    fn a_rate_is_exact_whatever_its_interval() {
        for (count, per) in [(3, 1_000), (7_000, 1_000), (1_000, 333)] {
            let (rate, mut meter) = (Rate::new(count, Duration::from_millis(per)), Meter::new(Instant::ZERO));
            let times = starts(&mut meter, rate, Instant::ZERO, count as usize * 10 + 1);
            let last = times.last().copied().unwrap_or_default();
            assert!((per * 10_000..=per * 10_000 + 1_000).contains(&last), "{count} in {per} ms: {last}");
        }
    }

    #[test]
    fn odd_rates_are_no_trouble() {
        let unlimited = Rate::new(5, Duration::ZERO);
        let mut meter = Meter::new(Instant::ZERO);
        assert_eq!(starts(&mut meter, unlimited, Instant::ZERO, 3), [0, 0, 0]);
        for rate in [Rate::new(0, Duration::MAX), Rate::new(1, Duration::MAX).burst(u32::MAX)] {
            let mut meter = Meter::new(Instant::from_millis(5));
            meter.start(rate, Instant::MAX);
            assert!(meter.opens_at(rate.burst(0)) == Instant::MAX);
        }
    }
}
