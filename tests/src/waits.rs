//! How long tasks wait in the queue.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Waiting times: their distribution to two digits, their sum and their maximum. Its memory is fixed.
#[derive(Debug)]
pub struct Waits(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    histogram: Histogram<u64>,
    /// How many did not wait at all. Most do not, and they join the histogram when somebody looks at it.
    none: u64,
    total: Duration,
    longest: Duration,
}

impl Inner {
    fn record(&mut self, wait: Duration) {
        if wait.is_zero() {
            self.none += 1;
            return;
        }
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(micros);
        self.total = self.total.saturating_add(wait);
        self.longest = self.longest.max(wait);
    }
}

impl Waits {
    /// No times yet. All memory, about 60 KiB, is allocated here.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, u64::MAX / 2, 2).expect("the bounds are legal");
        Self(Mutex::new(Inner { histogram, none: 0, total: Duration::ZERO, longest: Duration::ZERO }))
    }

    /// Notes one.
    pub fn record(&self, wait: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).record(wait);
    }

    /// Notes one of so many nanoseconds, for the only owner: without a lock.
    #[inline]
    pub fn record_mut(&mut self, wait: u64) {
        let inner = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if wait == 0 {
            inner.none += 1;
        } else {
            inner.record(Duration::from_nanos(wait));
        }
    }

    /// Median and 99th percentile.
    #[must_use]
    pub fn percentiles(&self) -> [Duration; 2] {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let none = std::mem::take(&mut inner.none);
        inner.histogram.saturating_record_n(0, none);
        [0.5, 0.99].map(|quantile| Duration::from_micros(inner.histogram.value_at_quantile(quantile)))
    }

    /// Sum and maximum.
    #[must_use]
    pub fn sums(&self) -> (Duration, Duration) {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.total, inner.longest)
    }
}

impl Default for Waits {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_two_digits() {
        let mut waits = Waits::new();
        (1..=1_000).for_each(|millis| waits.record(Duration::from_millis(millis)));
        let [median, high] = waits.percentiles().map(|wait| wait.as_millis());
        assert!((495..=505).contains(&median) && (980..=1_000).contains(&high), "{median} {high}");
        assert_eq!(waits.sums(), (Duration::from_millis(500_500), Duration::from_secs(1)));

        (0..500).for_each(|_| waits.record(Duration::ZERO));
        (0..498).for_each(|_| waits.record_mut(0));
        let median = || waits.percentiles()[0].as_millis();
        assert_eq!((median(), median()), (1, 1), "998 of 1,998 have not waited");
        (0..3).for_each(|_| waits.record(Duration::ZERO));
        assert_eq!((waits.percentiles()[0], waits.sums().1), (Duration::ZERO, Duration::from_secs(1)));
    }
}
