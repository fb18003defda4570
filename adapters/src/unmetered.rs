//! In the place of [`meter`](../meter.rs) without the feature `metrics`: the same calls, with nothing in them.

use plimsoll_core::{Instant, Limits, Plan, Processor};

use crate::settlement::Settlement;
use crate::work::AnyWork;

/// What the builder was told about metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metering;

impl Metering {
    pub(crate) const OFF: Self = Self;
}

/// The metrics of a processor.
pub(crate) struct Meter;

impl Meter {
    pub(crate) const fn new(_: Metering, _: &str) -> Self {
        Self
    }

    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        false
    }

    pub(crate) const fn publish(&self, _: &Seen) {}

    #[inline]
    pub(crate) fn note_settled<W: AnyWork>(&self, _: &Settlement<W>) {}
}

/// One look at the machine.
pub(crate) struct Seen;

impl Seen {
    pub(crate) const fn of<P: Plan>(_: &Processor<P>, _: Instant) -> Self {
        Self
    }
}

/// When the metrics are published next.
pub(crate) struct Publishing;

impl Publishing {
    pub(crate) const fn new(_: Metering, _: &Limits, _: Instant) -> Self {
        Self
    }

    #[inline]
    pub(crate) const fn next(&self) -> Instant {
        Instant::MAX
    }

    #[inline]
    pub(crate) const fn look(&mut self, _: Instant) {}

    #[inline]
    pub(crate) const fn is_due(&self) -> bool {
        false
    }

    #[inline]
    pub(crate) const fn take_due(&mut self) -> bool {
        false
    }
}
