//! How workers, places and the driver are woken, without a lock and without an allocation.

use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;
use slab::Slab;

use crate::current::{self, Reference};
use crate::perform::{catch, discard_panic};
use crate::sleep::Timekeeper;

/// Wakes one runtime task: a worker or the driver. Notifications that come while one is pending cost one atomic swap.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    waker: AtomicWaker,
    notified: AtomicBool,
}

impl Signal {
    /// Makes the task run (again). What was written before is seen by it.
    pub(crate) fn notify(&self) {
        if !self.notified.load(Ordering::SeqCst) && !self.notified.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// The task runs: `waker` is its runtime's.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The task is about to look whether there is anything to do, or to wait: from now on a notification wakes it.
    pub(crate) fn listen(&self) {
        self.notified.store(false, Ordering::SeqCst);
    }

    /// The task runs on without waiting: notifications need not wake it. One that does not see this wakes it in vain.
    pub(crate) fn run_on(&self) {
        self.notified.store(true, Ordering::Relaxed);
    }

    /// Takes the waker out, which may keep the runtime task alive.
    pub(crate) fn take(&self) -> Option<Waker> {
        self.waker.take()
    }
}

/// What wakes a worker: its places, and those who have work for it; and what is known of its places outside.
///
/// All that is asked of many places in a row stands here side by side, for their cells are far apart in memory.
pub(crate) struct WorkerSignal {
    pub(crate) signal: Signal,
    /// A bit for each place whose future was woken.
    ready: AtomicU64,
    /// A bit for each place that somebody waits at for its attempt to be cancelled.
    waited: AtomicU64,
    /// Whether it is in the list of idle workers. Changed under the machine's lock only.
    idle: AtomicBool,
    /// Where attempts can sleep.
    timekeeper: Weak<dyn Timekeeper>,
    /// Its first place, counted over all workers.
    first: u32,
    /// The attempt that runs in each place and is to go on, or [`NONE`].
    attempts: Box<[AtomicU64]>,
    /// Where the waker of each place points to, and to which functions all do: that is how one is known again.
    wakers: Box<[AtomicUsize]>,
    functions: AtomicUsize,
    waiters: Box<[Mutex<Slab<Waker>>]>,
}

/// No attempt: an [`AttemptId`](crate::AttemptId) is never zero.
const NONE: u64 = 0;

impl WorkerSignal {
    pub(crate) fn new(places: Range<u32>, timekeeper: Weak<dyn Timekeeper>) -> Self {
        let (first, places) = (places.start, places.len());
        Self {
            signal: Signal::default(),
            ready: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            timekeeper,
            first,
            attempts: (0..places).map(|_| AtomicU64::new(NONE)).collect(),
            wakers: (0..places).map(|_| AtomicUsize::new(0)).collect(),
            functions: AtomicUsize::new(0),
            waiters: (0..places).map(|_| Mutex::default()).collect(),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator for each place.
    pub(crate) const BYTES_A_PLACE: usize =
        size_of::<AtomicU64>() + size_of::<AtomicUsize>() + size_of::<Mutex<Slab<Waker>>>();

    pub(crate) fn take_ready(&self) -> u64 {
        if self.ready.load(Ordering::SeqCst) == 0 { 0 } else { self.ready.swap(0, Ordering::SeqCst) }
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst) != 0
    }

    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::SeqCst);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst)
    }

    /// An attempt was given this place. Whoever asks it to stop has held the machine's lock later.
    pub(crate) fn start(&self, place: u32, attempt: u64) {
        if let Some(current) = self.attempts.get(place as usize) {
            current.store(attempt, Ordering::Release);
        }
    }

    /// Whether an attempt was given this place, and is to go on.
    pub(crate) fn is_wanted(&self, place: u32) -> bool {
        self.attempts.get(place as usize).is_some_and(|current| current.load(Ordering::SeqCst) != NONE)
    }

    /// The attempt in this place, whichever it is, is over. Who [waits](Self::waited_at) for that is yet to be woken.
    pub(crate) fn over(&self, place: u32) {
        self.start(place, NONE);
    }

    /// At which of these places somebody waits for the attempt to be cancelled or over. Who was to be seen here has
    /// seen [`over`](Self::over) or [`stop`](Self::stop) otherwise, if [`settle`] was called in between.
    pub(crate) fn waited_at(&self, places: u64) -> u64 {
        self.waited.load(Ordering::Relaxed) & places
    }

    /// Asks this attempt to stop, unless it is over. Under the machine's lock, so that no other attempt is given the
    /// place meanwhile. Whether that is so: then the place is yet to be [polled](Self::poll_again), and who
    /// [waits](Self::waited_at) to be woken.
    pub(crate) fn stop(&self, place: u32, attempt: u64) -> bool {
        let current =
            self.attempts.get(place as usize).filter(|current| current.load(Ordering::Relaxed) == attempt);
        if let Some(current) = current {
            current.store(NONE, Ordering::Release);
        }
        current.is_some()
    }

    /// Makes the worker poll this place.
    pub(crate) fn poll_again(&self, place: u32) {
        if !current::wake(self, place) {
            self.poll_later(bit(place));
        }
    }

    /// Makes the worker poll these places, whoever calls this.
    pub(crate) fn poll_later(&self, places: u64) {
        if places != 0 {
            self.ready.fetch_or(places, Ordering::SeqCst);
            self.signal.notify();
        }
    }

    /// All attempts are over. Who [waits](Self::waited_at) for that is yet to be woken.
    pub(crate) fn close(&self) {
        for current in &self.attempts {
            current.store(NONE, Ordering::Release);
        }
        settle();
    }

    /// Wakes all who wait at this place. They are few and stay in the list until they have seen why. How many of their
    /// wakers panicked.
    pub(crate) fn wake_waiters(&self, place: u32) -> u32 {
        let mut panics = 0;
        let keys = self.lock_waiters(place).and_then(|waiters| waiters.iter().map(|(key, _)| key).max());
        for key in keys.map_or(0..0, |last| 0..last.saturating_add(1)) {
            // A waker's clone is foreign code, and so is its drop: it is moved out to be woken, and is left again when
            // its owner is polled.
            let Some(mut waiters) = self.lock_waiters(place) else { break };
            let waker = waiters.get_mut(key).map(|waker| std::mem::replace(waker, Waker::noop().clone()));
            drop(waiters);
            if let Some(Err(panic)) = waker.map(|waker| catch(|| waker.wake())) {
                discard_panic(panic);
                panics += 1;
            }
        }
        panics
    }

    /// Where attempts can sleep, while the processor is there.
    pub(crate) fn timekeeper(&self) -> Option<Arc<dyn Timekeeper>> {
        self.timekeeper.upgrade()
    }

    /// Whether this is the waker of the future that lives in a place.
    fn is_waker_of(&self, place: u32, waker: &Waker) -> bool {
        let data = self.wakers.get(place as usize);
        data.is_some_and(|data| data.load(Ordering::Relaxed) == waker.data().addr())
            && self.functions.load(Ordering::Relaxed) == functions_of(waker)
    }

    fn lock_waiters(&self, place: u32) -> Option<MutexGuard<'_, Slab<Waker>>> {
        let waiters = self.waiters.get(place as usize)?;
        Some(waiters.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes whether somebody waits at this place: under its lock.
    fn note_waiters(&self, place: u32, waiters: &Slab<Waker>) {
        if waiters.is_empty() {
            self.waited.fetch_and(!bit(place), Ordering::SeqCst);
        } else {
            self.waited.fetch_or(bit(place), Ordering::SeqCst);
        }
    }
}

/// Between the end of attempts and the question who waits for that: either they have seen the end, or they are seen.
/// One fence for many attempts, in place of an atomic exchange each.
pub(crate) fn settle() {
    fence(Ordering::SeqCst);
}

/// One place of a worker, as its attempts see it. Shared, it is the waker of the future that lives there.
#[derive(Clone)]
pub(crate) struct PlaceSignal {
    worker: Reference,
    place: u32,
}

impl PlaceSignal {
    pub(crate) fn of(worker: &Arc<WorkerSignal>, place: u32) -> Self {
        Self { worker: Reference::to(worker), place }
    }

    /// Makes the waker of the future that lives in a place, once.
    pub(crate) fn waker(worker: &Arc<WorkerSignal>, place: u32) -> Waker {
        let waker = Waker::from(Arc::new(Self::of(worker, place)));
        worker.functions.store(functions_of(&waker), Ordering::Relaxed);
        if let Some(data) = worker.wakers.get(place as usize) {
            data.store(waker.data().addr(), Ordering::Relaxed);
        }
        waker
    }

    /// Whoever `waker` wakes, to be left with the machine. If it is the future that lives here there is nothing to
    /// clone, so that what it points to, which is cold in the caches, is not touched.
    pub(crate) fn waiter(&self, waker: &Waker) -> Waiter {
        match self.worker.get().filter(|worker| worker.is_waker_of(self.place, waker)) {
            Some(worker) => Waiter::Place(worker.first.saturating_add(self.place)),
            None => Waiter::Waker(waker.clone()),
        }
    }

    /// Asks where the attempt can sleep, while the processor is there.
    pub(crate) fn with_timekeeper<R>(&self, ask: impl FnOnce(&dyn Timekeeper) -> R) -> Option<R> {
        current::with_timekeeper(self.worker.get()?, ask)
    }

    /// Whether this attempt runs here and is to go on.
    pub(crate) fn is_running(&self, attempt: u64) -> bool {
        let current = self.worker.get().and_then(|worker| worker.attempts.get(self.place as usize));
        current.is_some_and(|current| current.load(Ordering::SeqCst) == attempt)
    }

    /// Leaves a waker that is woken when the attempt is cancelled or over, in place of the one of an earlier call.
    /// Whoever calls this asks [`is_running`](Self::is_running) afterwards. The waker that is not needed any more is
    /// handed back, to be dropped without a lock.
    pub(crate) fn wait(&self, key: &mut Option<usize>, waker: Waker) -> Option<Waker> {
        let Some(worker) = self.worker.get() else { return Some(waker) };
        let Some(mut waiters) = worker.lock_waiters(self.place) else { return Some(waker) };
        if let Some(place) = key.and_then(|key| waiters.get_mut(key)) {
            return Some(std::mem::replace(place, waker));
        }
        *key = Some(waiters.insert(waker));
        worker.note_waiters(self.place, &waiters);
        None
    }

    /// Takes back what was left by [`wait`](Self::wait).
    pub(crate) fn leave(&self, key: usize) -> Option<Waker> {
        let worker = self.worker.get()?;
        let mut waiters = worker.lock_waiters(self.place)?;
        let waker = waiters.try_remove(key);
        worker.note_waiters(self.place, &waiters);
        waker
    }

    fn wake(&self) {
        if let Some(worker) = self.worker.get() {
            worker.poll_again(self.place);
        }
    }
}

fn functions_of(waker: &Waker) -> usize {
    ptr::from_ref(waker.vtable()).addr()
}

/// Who waits for something in the machine.
#[derive(Debug)]
pub(crate) enum Waiter {
    Waker(Waker),
    /// The future that lives in this place.
    Place(u32),
}

impl Waiter {
    /// Whether waking it is as good as waking this one.
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        matches!(self, Self::Waker(own) if own.will_wake(waker))
    }
}

/// The bit of a place, of which a worker has 64 at most, in the sets of its worker.
#[inline]
pub(crate) const fn bit(place: u32) -> u64 {
    debug_assert!(place < u64::BITS, "a worker has 64 places at most");
    1u64.wrapping_shl(place)
}

impl Wake for PlaceSignal {
    fn wake(self: Arc<Self>) {
        PlaceSignal::wake(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        PlaceSignal::wake(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::Shared;

    fn worker() -> Arc<WorkerSignal> {
        Arc::new(WorkerSignal::new(4..7, Weak::<Shared<(), (), (), ()>>::new()))
    }

    #[test]
    fn a_stop_spares_the_attempt_that_comes_next() {
        let worker = worker();
        worker.start(1, 7);
        assert!(!worker.stop(1, 6) && !worker.stop(0, 7) && !worker.stop(9, 7));
        assert!(worker.is_wanted(1));
        assert!(worker.stop(1, 7) && !worker.stop(1, 7));
        assert!(!worker.is_wanted(1));
    }

    #[test]
    fn a_place_knows_its_own_waker_and_no_other() {
        let worker = worker();
        let [first, second] = [0, 1].map(|place| PlaceSignal::of(&worker, place));
        assert!(matches!(second.waiter(Waker::noop()), Waiter::Waker(_)));
        let wakers = [0, 1].map(|place| PlaceSignal::waker(&worker, place));
        assert!(matches!(first.waiter(&wakers[0]), Waiter::Place(4)));
        assert!(matches!(second.waiter(&wakers[1].clone()), Waiter::Place(5)));
        assert!(matches!(second.waiter(&wakers[0]), Waiter::Waker(_)));
        assert!(matches!(second.waiter(Waker::noop()), Waiter::Waker(_)));
        wakers[1].wake_by_ref();
        assert_eq!(worker.take_ready(), bit(1));
    }

    #[test]
    fn who_waits_at_a_place_is_known_until_the_last_has_left() {
        let worker = worker();
        let place = PlaceSignal::of(&worker, 2);
        let (mut one, mut two) = (None, None);
        for key in [&mut one, &mut two] {
            drop(place.wait(key, Waker::noop().clone()));
        }
        assert_eq!((worker.waited_at(u64::MAX), worker.waited_at(0b011)), (0b100, 0));
        drop(one.and_then(|key| place.leave(key)));
        assert_eq!(worker.waited_at(u64::MAX), 0b100);
        drop(two.and_then(|key| place.leave(key)));
        assert_eq!(worker.waited_at(u64::MAX), 0);
    }
}
