//! How many bytes a processor asks of the allocator.

use std::pin::Pin;
use std::sync::Arc;

use plimsoll_core::Limits;

use crate::cell::Cell;
use crate::driver::Driver;
use crate::engine::{Engine, Place};
use crate::grace::Graces;
use crate::idle::Idle;
use crate::lent::Lent;
use crate::shared::{Layout, Shared, Types};
use crate::signal::{PlaceSignal, WorkerSignal};
use crate::worker::Worker;

/// Bytes that a processor asks of the allocator when it is built, by part, from [`Builder::footprint`].
///
/// After that it asks for nothing, except for the box of a callback and for what a handler leaves with
/// [`Context::cancelled`](crate::Context::cancelled). What jobs, futures and other values of yours own is not in it,
/// nor is what the runtime allocates.
///
/// [`Builder::footprint`]: crate::Builder::footprint
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// The state machine.
    pub machine: plimsoll_core::Footprint,
    /// The cache.
    pub cache: usize,
    /// The places, in each of which one future of the handler lives at a time.
    pub places: usize,
    /// What workers and places are woken by.
    pub signals: usize,
    /// What is shared, the handler and the timer.
    pub shared: usize,
    /// Not in the total, because the runtime asks for it: the futures of the workers and the driver, without the
    /// runtime's own header for each.
    pub spawned: usize,
}

impl Footprint {
    /// `clock` is the size of the runtime's clock.
    pub(crate) fn of<J, O, E, M: Copy, H, F, T>(
        limits: &Limits,
        layout: Layout,
        graces: bool,
        cache: usize,
        clock: usize,
    ) -> Self {
        let (places, workers) = (layout.places as usize, layout.workers() as usize);
        let slots = limits.task_slots() as usize;
        let graces = if graces { Graces::bytes(layout.places) } else { 0 };
        let one_place = Lent::<Place<J, O, E, M, H, F>>::bytes(1) + size_of::<Cell<J, O, E, M, H, F>>();
        let one_signal = WorkerSignal::BYTES_A_PLACE + size_of::<ArcInner<PlaceSignal>>();
        let one_worker = size_of::<Arc<WorkerSignal>>() + size_of::<ArcInner<WorkerSignal>>();
        let shared = size_of::<ArcInner<Shared<J, O, E, M>>>()
            + size_of::<ArcInner<Engine<J, O, E, M, H, F, T>>>()
            + size_of::<ArcInner<H>>()
            + size_of::<T>()
            + Lent::<Pin<Box<T>>>::bytes(1)
            + size_of::<ArcInner<()>>();
        Self {
            machine: limits.footprint::<Types<J, O, E, M>>(),
            cache,
            places: places
                .saturating_mul(one_place)
                .saturating_add(workers.saturating_mul(size_of::<Lent<Place<J, O, E, M, H, F>>>())),
            signals: places
                .saturating_mul(one_signal)
                .saturating_add(workers.saturating_mul(one_worker))
                .saturating_add(Idle::bytes(layout.workers())),
            shared: slots
                .saturating_mul(size_of::<u32>())
                .saturating_add(graces)
                .saturating_add(shared)
                .saturating_add(clock.next_multiple_of(align_of::<usize>())),
            spawned: workers
                .saturating_mul(size_of::<Worker<J, O, E, M, H, F, T>>())
                .saturating_add(size_of::<Driver<J, O, E, M, H, F, T>>()),
        }
    }

    /// The sum of all parts but [`spawned`](Self::spawned).
    #[must_use]
    pub const fn total(&self) -> usize {
        self.machine
            .total()
            .saturating_add(self.cache)
            .saturating_add(self.places)
            .saturating_add(self.signals)
            .saturating_add(self.shared)
    }
}

/// The shape of what an [`Arc`] points to, for its size.
#[repr(C)]
#[allow(dead_code, reason = "never built, only measured")]
pub(crate) struct ArcInner<T> {
    strong: usize,
    weak: usize,
    value: T,
}
