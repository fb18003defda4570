//! How many bytes an engine asks of the allocator.

use std::sync::Arc;

use plimsoll_core::Limits;

use super::base::{BoxCell, Engine, Shape};
use super::grace::Graces;
use super::machine::Shared;
use super::place::Cell;
use super::places::Places;
use super::signals::Signals;
use super::stop_waiters::StopWaiters;
use super::timekeeper::Timekeeper;
use super::wake::{WAKER_BYTES, Wakes};
use super::worker::Worker;
use crate::work::AnyWork;

/// Bytes by part, as in the public [`Footprint`](crate::Footprint).
pub(crate) struct EngineFootprint {
    pub(crate) places: usize,
    pub(crate) signals: usize,
    pub(crate) shared: usize,
    pub(crate) futures: usize,
}

/// The bytes that [`build`](super::build::build) asks of the allocator for these types and a timer `T`, without the list of
/// futures, which is the caller's.
pub(crate) fn footprint<W: AnyWork, H, F, A, T>(limits: &Limits, shape: Shape) -> EngineFootprint {
    let (places, workers) = (limits.concurrency as usize, shape.workers as usize);
    let slots = limits.task_slots() as usize;
    let graces = if shape.has_grace { Graces::bytes(limits.concurrency) } else { 0 };
    let one_place = Places::<BoxCell<W, H, F>, W::Sharing>::BYTES_EACH + size_of::<Cell<W, H, F>>();
    let one_worker = size_of::<Worker<W, H, F, A>>()
        .saturating_add(Worker::<W, H, F, A>::bytes(shape, limits.concurrency));
    let of_places = [Signals::<W::Sharing>::bytes(limits), StopWaiters::bytes(limits.concurrency)];
    let signals = [
        Wakes::bytes(limits.concurrency, shape.workers),
        places.saturating_mul(size_of::<ArcInner<()>>() + WAKER_BYTES),
        size_of::<ArcInner<Wakes>>() + size_of::<ArcInner<Signals<W::Sharing>>>(),
    ];
    let shared = [
        slots.saturating_mul(size_of::<u32>()),
        graces,
        size_of::<ArcInner<Shared<W>>>(),
        size_of::<ArcInner<Engine<W, H, F>>>(),
        size_of::<ArcInner<H>>(),
        size_of::<T>(),
    ];
    let sum = |parts: &[usize]| parts.iter().fold(0, |sum: usize, part| sum.saturating_add(*part));
    EngineFootprint {
        places: places.saturating_mul(one_place),
        signals: sum(&of_places).saturating_add(sum(&signals)),
        shared: sum(&shared),
        futures: workers.saturating_mul(one_worker).saturating_add(size_of::<Timekeeper<W>>()),
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

const _: () = assert!(size_of::<Arc<()>>() == size_of::<usize>());
