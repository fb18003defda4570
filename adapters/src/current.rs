//! The worker that is being polled on this thread: what its attempts do to it meanwhile needs no atomic exchange, for it
//! looks at that itself before its poll is over.
//!
//! An attempt that wakes itself or a neighbour is the usual case. So is one that ends where it is polled, and needs its
//! reference to the worker no longer, just before the next one needs one.

use std::cell::Cell;
use std::mem;
use std::ptr;
use std::sync::Arc;

use crate::signal::{WorkerSignal, bit};

/// What is known on this thread of the worker that is being polled.
struct Here {
    /// Its address, for comparison only; 0 when there is none.
    worker: Cell<usize>,
    /// The places that were woken in this poll of it.
    woken: Cell<u64>,
    /// A reference to it that nobody needs at the moment.
    spare: Cell<Option<Arc<WorkerSignal>>>,
}

thread_local! {
    static HERE: Here =
        const { Here { worker: Cell::new(0), woken: Cell::new(0), spare: Cell::new(None) } };
}

/// A worker that is being polled on this thread, until this is dropped. A handler may run another executor, so that this
/// is nested; the outer one is the current one again afterwards.
pub(crate) struct Current<'a> {
    signal: &'a WorkerSignal,
    outer: (usize, u64, Option<Arc<WorkerSignal>>),
}

impl<'a> Current<'a> {
    pub(crate) fn begin(signal: &'a WorkerSignal) -> Self {
        let outer = HERE
            .try_with(|here| (here.worker.replace(address(signal)), here.woken.take(), here.spare.take()));
        Self { signal, outer: outer.unwrap_or_default() }
    }

    /// The places that were woken since the last call.
    pub(crate) fn take_woken(&self) -> u64 {
        HERE.try_with(|here| here.woken.take()).unwrap_or(0)
    }

    pub(crate) fn has_woken(&self) -> bool {
        HERE.try_with(|here| here.woken.get() != 0).unwrap_or(false)
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        let (worker, woken, spare) = mem::take(&mut self.outer);
        let left = HERE.try_with(|here| {
            here.worker.set(worker);
            (here.woken.replace(woken), here.spare.replace(spare))
        });
        let (woken, spare) = left.unwrap_or_default();
        self.signal.poll_later(woken);
        drop(spare);
    }
}

/// Notes that a place was woken, if its worker is the current one. Whether it is.
pub(crate) fn wake(signal: &WorkerSignal, place: u32) -> bool {
    let noted = HERE.try_with(|here| {
        let is_current = here.worker.get() == address(signal);
        if is_current {
            here.woken.set(here.woken.get() | bit(place));
        }
        is_current
    });
    noted.unwrap_or(false)
}

/// A counted reference to a worker. One that is dropped while that worker is the current one is kept for who needs one
/// next, so that most attempts do not touch the count.
pub(crate) struct Reference(Option<Arc<WorkerSignal>>);

impl Reference {
    pub(crate) const fn new(signal: Arc<WorkerSignal>) -> Self {
        Self(Some(signal))
    }

    /// The worker; always there, until this is dropped.
    #[inline]
    pub(crate) fn get(&self) -> Option<&WorkerSignal> {
        self.0.as_deref()
    }
}

impl Clone for Reference {
    fn clone(&self) -> Self {
        let Some(signal) = &self.0 else { return Self(None) };
        let spare =
            HERE.try_with(|here| if here.worker.get() == address(signal) { here.spare.take() } else { None });
        Self(spare.ok().flatten().or_else(|| Some(signal.clone())))
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| {
            if self.get().is_some_and(|signal| here.worker.get() == address(signal)) {
                // What is replaced is dropped here.
                here.spare.replace(self.0.take());
            }
        });
    }
}

fn address(signal: &WorkerSignal) -> usize {
    ptr::from_ref(signal).addr()
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::thread;

    use super::*;
    use crate::shared::Shared;

    fn worker() -> Arc<WorkerSignal> {
        Arc::new(WorkerSignal::new(0..3, Weak::<Shared<(), (), (), ()>>::new()))
    }

    #[test]
    fn the_current_worker_is_woken_without_an_exchange() {
        let [worker, other] = [worker(), worker()];
        let current = Current::begin(&worker);
        worker.poll_again(0);
        worker.poll_again(2);
        other.poll_again(1);
        assert!(current.has_woken() && !worker.has_ready());
        assert_eq!((current.take_woken(), current.has_woken()), (0b101, false));
        assert_eq!(other.take_ready(), 0b010);
        thread::scope(|scope| scope.spawn(|| worker.poll_again(1)).join().is_ok());
        assert_eq!((current.take_woken(), worker.take_ready()), (0, 0b010));
    }

    #[test]
    fn no_wake_is_lost_when_it_is_over() {
        let worker = worker();
        let current = Current::begin(&worker);
        worker.poll_again(1);
        drop(current);
        assert_eq!(worker.take_ready(), 0b010);
        worker.poll_again(2);
        assert_eq!(worker.take_ready(), 0b100);
    }

    #[test]
    fn a_nested_one_leaves_the_outer_one_as_it_was() {
        let [worker, inner] = [worker(), worker()];
        let current = Current::begin(&worker);
        worker.poll_again(0);
        let nested = Current::begin(&inner);
        worker.poll_again(1);
        inner.poll_again(2);
        assert_eq!((nested.take_woken(), worker.take_ready()), (0b100, 0b010));
        drop(nested);
        worker.poll_again(2);
        assert_eq!(current.take_woken(), 0b101);
    }

    #[test]
    fn a_reference_is_used_again_and_none_is_kept() {
        let worker = worker();
        let first = Reference::new(worker.clone());
        let count = || Arc::strong_count(&worker);
        assert_eq!(count(), 2);
        let current = Current::begin(&worker);
        let (second, third) = (first.clone(), first.clone());
        drop(second);
        assert_eq!(count(), 4, "one is spare");
        let fourth = first.clone();
        assert_eq!(count(), 4, "and is used");
        drop((third, fourth));
        assert_eq!(count(), 3, "one is spare, not two");
        drop(current);
        drop(first);
        assert_eq!(count(), 1);
    }
}
