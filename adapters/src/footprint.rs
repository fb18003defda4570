//! How many bytes a processor asks of the allocator.

use plimsoll_core::Limits;

use crate::engine::base::Shape;
use crate::engine::footprint::{self, ArcInner};
use crate::engine::types::Types;
use crate::work::AnyWork;

/// Bytes that a processor asks of the allocator when it is built, by part, from [`Builder::footprint`].
///
/// After that it asks for nothing but what is asked of it by name: the box of a callback or of a spawned future, room in a
/// [`CompletionQueue`](crate::CompletionQueue) or for a stream of results, who waits until it is
/// [`idle`](crate::Access::idle), a load into a cache, and what a handler leaves with
/// [`Context::cancelled`](crate::Context::cancelled). What jobs, futures and other values of yours own is not in it,
/// nor is what the runtime allocates.
///
/// [`Builder::footprint`]: crate::Builder::footprint
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Footprint {
    /// The state machine.
    pub machine: plimsoll_core::Footprint,
    /// The cache.
    pub cache: usize,
    /// The places, in each of which one future of the handler lives at a time.
    pub places: usize,
    /// What attempts, workers and the timekeeper are woken by.
    pub signals: usize,
    /// What is shared, the handler and the timer.
    pub shared: usize,
    /// The futures of the workers and the timekeeper, without the runtime's own header for each.
    pub futures: usize,
}

impl Footprint {
    /// `clock` is the size of the runtime's clock.
    pub(crate) fn of<W: AnyWork, H, F, A, T>(
        limits: &Limits,
        shape: Shape,
        cache: usize,
        clock: usize,
    ) -> Self {
        let engine = footprint::footprint::<W, H, F, A, T>(limits, shape);
        let shared = engine.shared.saturating_add(size_of::<ArcInner<()>>());
        Self {
            machine: limits.footprint::<Types<W>>(),
            cache,
            places: engine.places,
            signals: engine.signals,
            shared: shared.saturating_add(clock.next_multiple_of(align_of::<usize>())),
            futures: engine.futures,
        }
    }

    /// The sum of all parts.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.machine
            .total()
            .saturating_add(self.cache)
            .saturating_add(self.places)
            .saturating_add(self.signals)
            .saturating_add(self.shared)
            .saturating_add(self.futures)
    }
}
