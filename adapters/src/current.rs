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
use crate::sleep::Timekeeper;

thread_local! {
    /// The address of the worker that is being polled on this thread, for comparison only; 0 when there is none.
    static WORKER: Cell<usize> = const { Cell::new(0) };
    /// The places that were woken in this poll of it.
    static WOKEN: Cell<u64> = const { Cell::new(0) };
    /// A reference to it that nobody needs at the moment. Apart from the others, for what has to be dropped at the end of
    /// a thread is looked up with more effort.
    static SPARE: Cell<Option<Arc<WorkerSignal>>> = const { Cell::new(None) };
    /// Where its attempts sleep, once one of them has asked.
    static TIMEKEEPER: Cell<Option<Arc<dyn Timekeeper>>> = const { Cell::new(None) };
}

/// What there was before a worker became the current one.
#[derive(Default)]
struct Outer {
    worker: usize,
    woken: u64,
    spare: Option<Arc<WorkerSignal>>,
    timekeeper: Option<Arc<dyn Timekeeper>>,
}

/// A worker that is being polled on this thread, until this is dropped. A handler may run another executor, so that this
/// is nested; the outer one is the current one again afterwards.
pub(crate) struct Current<'a> {
    signal: &'a WorkerSignal,
    outer: Outer,
}

impl<'a> Current<'a> {
    pub(crate) fn begin(signal: &'a WorkerSignal) -> Self {
        let outer = Outer {
            worker: WORKER.replace(address(signal)),
            woken: WOKEN.take(),
            spare: SPARE.try_with(Cell::take).unwrap_or_default(),
            timekeeper: TIMEKEEPER.try_with(Cell::take).unwrap_or_default(),
        };
        Self { signal, outer }
    }

    /// The places that were woken since the last call.
    pub(crate) fn take_woken(&self) -> u64 {
        WOKEN.take()
    }

    pub(crate) fn has_woken(&self) -> bool {
        WOKEN.get() != 0
    }
}

impl Drop for Current<'_> {
    fn drop(&mut self) {
        let Outer { worker, woken, spare, timekeeper } = mem::take(&mut self.outer);
        WORKER.set(worker);
        let woken = WOKEN.replace(woken);
        // What is replaced is dropped here, and so is what comes after the end of the thread.
        let _ = SPARE.try_with(|place| place.replace(spare));
        let _ = TIMEKEEPER.try_with(|place| place.replace(timekeeper));
        // Last, for whom that wakes finds the outer one.
        self.signal.poll_later(woken);
    }
}

/// Notes that a place was woken, if its worker is the current one. Whether it is.
#[inline]
pub(crate) fn wake(signal: &WorkerSignal, place: u32) -> bool {
    let is_current = is_current(signal);
    if is_current {
        WOKEN.set(WOKEN.get() | bit(place));
    }
    is_current
}

#[inline]
fn is_current(signal: &WorkerSignal) -> bool {
    WORKER.get() == address(signal)
}

/// Uses what the attempts of this worker sleep on, if it is still there. The current one is asked for it once.
pub(crate) fn with_timekeeper<R>(signal: &WorkerSignal, ask: impl FnOnce(&dyn Timekeeper) -> R) -> Option<R> {
    let known = if is_current(signal) { TIMEKEEPER.try_with(Cell::take).ok().flatten() } else { None };
    let timekeeper = known.or_else(|| signal.timekeeper())?;
    let answer = ask(&*timekeeper);
    if is_current(signal) {
        let _ = TIMEKEEPER.try_with(|place| place.replace(Some(timekeeper)));
    }
    Some(answer)
}

/// A counted reference to a worker. One that is dropped while that worker is the current one is kept for who needs one
/// next, so that most attempts do not touch the count.
pub(crate) struct Reference(Option<Arc<WorkerSignal>>);

impl Reference {
    #[inline]
    pub(crate) fn to(signal: &Arc<WorkerSignal>) -> Self {
        let spare = if is_current(signal) { SPARE.try_with(Cell::take).ok().flatten() } else { None };
        Self(spare.or_else(|| Some(signal.clone())))
    }

    /// The worker; always there, until this is dropped.
    #[inline]
    pub(crate) fn get(&self) -> Option<&WorkerSignal> {
        self.0.as_deref()
    }
}

impl Clone for Reference {
    #[inline]
    fn clone(&self) -> Self {
        self.0.as_ref().map_or(Self(None), Self::to)
    }
}

impl Drop for Reference {
    #[inline]
    fn drop(&mut self) {
        if self.get().is_some_and(is_current) {
            let _ = SPARE.try_with(|place| place.replace(self.0.take()));
        }
    }
}

fn address(signal: &WorkerSignal) -> usize {
    ptr::from_ref(signal).addr()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Mutex, Weak};
    use std::task::{Wake, Waker};
    use std::thread;

    use plimsoll_core::{AttemptId, Instant, SleepId, SleepRefusal};

    use super::*;
    use crate::shared::Shared;
    use crate::signal::Waiter;

    struct Clock(Instant);

    impl Timekeeper for Clock {
        fn now(&self) -> Instant {
            self.0
        }
        fn sleep(&self, _: AttemptId, _: Instant, _: Waiter) -> Result<SleepId, SleepRefusal> {
            Err(SleepRefusal::Over)
        }
        fn resleep(&self, _: SleepId, _: Waiter) -> Option<Result<(), SleepRefusal>> {
            None
        }
        fn end_sleep(&self, _: SleepId) {}
    }

    #[test]
    fn the_timekeeper_is_kept_no_longer_than_the_poll() {
        let clock = Arc::new(Clock(Instant::from_millis(7)));
        let weak: Weak<dyn Timekeeper> = Arc::downgrade(&clock) as Weak<dyn Timekeeper>;
        let [worker, other] = [0..1, 0..1].map(|places| Arc::new(WorkerSignal::new(places, weak.clone())));
        let ask = |worker: &WorkerSignal| with_timekeeper(worker, |timekeeper| timekeeper.now());
        let current = Current::begin(&worker);
        assert_eq!((ask(&other), Arc::strong_count(&clock)), (Some(clock.0), 1));
        assert_eq!((ask(&worker), Arc::strong_count(&clock)), (Some(clock.0), 2));
        assert_eq!((ask(&worker), Arc::strong_count(&clock)), (Some(clock.0), 2));
        drop(current);
        assert_eq!(Arc::strong_count(&clock), 1);
        drop(clock);
        assert_eq!(ask(&worker), None);
    }

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

    struct Foreign(Arc<WorkerSignal>, Mutex<Option<Reference>>);

    impl Wake for Foreign {
        fn wake(self: Arc<Self>) {
            *self.1.lock().unwrap() = Some(Reference::to(&self.0));
        }
    }

    #[test]
    fn whom_the_end_of_a_nested_one_wakes_finds_the_outer_one() {
        let [worker, inner] = [worker(), worker()];
        let foreign = Arc::new(Foreign(worker.clone(), Mutex::default()));
        inner.signal.register(&Waker::from(foreign.clone()));
        inner.signal.listen();
        let _current = Current::begin(&worker);
        let nested = Current::begin(&inner);
        drop(Reference::to(&inner));
        inner.poll_again(0);
        drop(nested);
        let found = foreign.1.lock().unwrap().take();
        assert!(found.is_some_and(|found| found.get().is_some_and(|found| ptr::eq(found, &*worker))));
    }

    #[test]
    fn a_reference_is_used_again_and_none_is_kept() {
        let worker = worker();
        let first = Reference::to(&worker);
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
