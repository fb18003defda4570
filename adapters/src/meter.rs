//! Metrics, by the feature `metrics`. Without it [`unmetered`](../unmetered.rs) is in the place of this file.
//!
//! Counters and gauges are published from one look at the machine: by a worker, by a call of
//! [`Access::publish_metrics`](crate::Access::publish_metrics), and once more at the end. Histograms are recorded for each settled task. A recorder is
//! foreign code: none of that happens under a lock.

use std::time::Duration;

use plimsoll_core::{Instant, Limits};

use crate::probes::health_period;
use crate::settlement::Settlement;
use crate::work::AnyWork;

mod handles;

use handles::Handles;
pub(crate) use handles::Seen;

/// The upper bounds, in seconds, of the buckets that suit the histograms of a processor's metrics: from a tenth of a
/// millisecond to ten seconds. See [`Builder::metrics`](crate::Builder::metrics).
pub const DURATION_BOUNDS: [f64; 17] =
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// What the builder was told about metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metering {
    is_on: bool,
}

impl Metering {
    pub(crate) const OFF: Self = Self { is_on: false };
    pub(crate) const ON: Self = Self { is_on: true };
}

/// The metrics of a processor, if it has any.
pub(crate) struct Meter(Option<Handles>);

impl Meter {
    /// Registers them with the recorder that is installed.
    pub(crate) fn new(metering: Metering, processor: &str) -> Self {
        Self(
            metering.is_on.then(|| metrics::with_recorder(|recorder| Handles::register(recorder, processor))),
        )
    }

    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Sets the counters and gauges to what was seen.
    pub(crate) fn publish(&self, seen: &Seen) {
        if let Some(handles) = &self.0 {
            handles.publish(seen);
        }
    }

    /// Records the times of a settled task.
    pub(crate) fn note_settled<W: AnyWork>(&self, settled: &Settlement<W>) {
        let Some(handles) = &self.0 else { return };
        // One that ended while it waited still has its job.
        let ran = settled.job.is_none().then(|| settled.times.ran());
        handles.record(settled.kind(), settled.times.waited(), ran);
    }
}

/// When the metrics are published next. Under the machine's lock.
pub(crate) struct Publishing {
    /// The end of time if there are none.
    next: Instant,
    every: Duration,
    is_due: bool,
}

impl Publishing {
    pub(crate) fn new(metering: Metering, limits: &Limits, now: Instant) -> Self {
        let every = health_period(limits);
        let next = if metering.is_on { now.saturating_add(every) } else { Instant::MAX };
        Self { next, every, is_due: false }
    }

    /// When the timekeeper has to [look](Self::look).
    #[inline]
    pub(crate) const fn next(&self) -> Instant {
        self.next
    }

    /// The timekeeper looks whether they are due. Times that were missed are skipped.
    pub(crate) fn look(&mut self, now: Instant) {
        if now >= self.next {
            self.next = now.saturating_add(self.every);
            self.is_due = true;
        }
    }

    /// Whether a worker has to publish them.
    #[inline]
    pub(crate) const fn is_due(&self) -> bool {
        self.is_due
    }

    /// As [`is_due`](Self::is_due), for a worker that does so.
    pub(crate) fn take_due(&mut self) -> bool {
        std::mem::take(&mut self.is_due)
    }
}
