//! How workers, places and the driver are woken, without a lock and without an allocation.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};

use futures_util::task::AtomicWaker;
use slab::Slab;

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

    /// The task runs on without waiting: notifications need not wake it.
    pub(crate) fn run_on(&self) {
        self.notified.store(true, Ordering::SeqCst);
    }

    /// Takes the waker out, which may keep the runtime task alive.
    pub(crate) fn take(&self) -> Option<Waker> {
        self.waker.take()
    }
}

/// What wakes a worker: its places, and those who have work for it.
#[derive(Debug, Default)]
pub(crate) struct WorkerSignal {
    pub(crate) signal: Signal,
    /// A bit for each place whose future was woken.
    ready: AtomicU64,
    /// Whether it is in the list of idle workers. Changed under the machine's lock only.
    idle: AtomicBool,
}

impl WorkerSignal {
    pub(crate) fn take_ready(&self) -> u64 {
        if self.ready.load(Ordering::SeqCst) == 0 { 0 } else { self.ready.swap(0, Ordering::SeqCst) }
    }

    pub(crate) fn add_ready(&self, bits: u64) {
        self.ready.fetch_or(bits, Ordering::SeqCst);
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
}

/// No attempt: an [`AttemptId`](crate::AttemptId) is never zero.
const NONE: u64 = 0;

/// What is known of one place outside its worker: which attempt is wanted in it. It is also the waker of the future
/// that lives there.
pub(crate) struct PlaceSignal {
    worker: Arc<WorkerSignal>,
    /// Where the attempt can sleep.
    timekeeper: Weak<dyn Timekeeper>,
    /// The place's bit in its worker's ready set.
    bit: u64,
    /// The attempt that runs here and is to go on, or [`NONE`].
    attempt: AtomicU64,
    /// How many wait for the attempt to be cancelled.
    waiting: AtomicUsize,
    waiters: Mutex<Slab<Waker>>,
}

impl PlaceSignal {
    pub(crate) fn new(worker: Arc<WorkerSignal>, bit: u64, timekeeper: Weak<dyn Timekeeper>) -> Self {
        Self {
            worker,
            timekeeper,
            bit,
            attempt: AtomicU64::new(NONE),
            waiting: AtomicUsize::new(0),
            waiters: Mutex::new(Slab::new()),
        }
    }

    /// Where the attempt can sleep, while the processor is there.
    pub(crate) fn timekeeper(&self) -> Option<Arc<dyn Timekeeper>> {
        self.timekeeper.upgrade()
    }

    /// An attempt was given this place. Whoever asks it to stop has held the machine's lock later.
    pub(crate) fn start(&self, attempt: u64) {
        self.attempt.store(attempt, Ordering::Release);
    }

    /// Whether this attempt runs here and is to go on.
    pub(crate) fn is_running(&self, attempt: u64) -> bool {
        self.attempt.load(Ordering::SeqCst) == attempt
    }

    /// The attempt, whichever it is, is over. Whether somebody waited for that, and is to be woken.
    ///
    /// `holders` is how many hold this besides contexts and wakers that were handed out. When there are no others nobody
    /// can wait, nor begin to: new holders come from old ones. That saves an atomic exchange a task.
    pub(crate) fn over(self: &Arc<Self>, holders: usize) -> bool {
        if Arc::strong_count(self) <= holders {
            self.attempt.store(NONE, Ordering::Release);
            return false;
        }
        self.attempt.store(NONE, Ordering::SeqCst);
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Asks this attempt to stop, unless it is over.
    pub(crate) fn stop(&self, attempt: u64) {
        if self.attempt.compare_exchange(attempt, NONE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            // First of all, for what a waker does is not to be known.
            self.poll_again();
            self.wake_waiters();
        }
    }

    /// Makes the worker poll this place.
    pub(crate) fn poll_again(&self) {
        self.worker.add_ready(self.bit);
        self.worker.signal.notify();
    }

    /// Leaves a waker that is woken when the attempt is cancelled or over, in place of the one of an earlier call.
    /// Whoever calls this asks [`is_running`](Self::is_running) afterwards. The waker that is not needed any more is
    /// handed back, to be dropped without a lock.
    pub(crate) fn wait(&self, key: &mut Option<usize>, waker: Waker) -> Option<Waker> {
        let mut waiters = self.lock();
        if let Some(place) = key.and_then(|key| waiters.get_mut(key)) {
            return Some(std::mem::replace(place, waker));
        }
        *key = Some(waiters.insert(waker));
        self.waiting.store(waiters.len(), Ordering::SeqCst);
        None
    }

    /// Takes back what was left by [`wait`](Self::wait).
    pub(crate) fn leave(&self, key: usize) -> Option<Waker> {
        let mut waiters = self.lock();
        let waker = waiters.try_remove(key);
        self.waiting.store(waiters.len(), Ordering::SeqCst);
        waker
    }

    /// Wakes all who wait. They are few and stay in the list until they have seen why. Panics with a waker that does,
    /// but not before all were woken.
    pub(crate) fn wake_waiters(&self) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let keys = self.lock().iter().map(|(key, _)| key).max().map_or(0, |last| last.saturating_add(1));
        let mut panicked = None;
        for key in 0..keys {
            // A waker's clone is foreign code, and so is its drop: it is moved out to be woken, and is left again when
            // its owner is polled.
            let waker = self.lock().get_mut(key).map(|waker| std::mem::replace(waker, Waker::noop().clone()));
            if let Some(Err(panic)) = waker.map(|waker| catch(|| waker.wake())) {
                if let Some(second) = panicked.replace(panic) {
                    discard_panic(second);
                }
            }
        }
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for PlaceSignal {
    fn wake(self: Arc<Self>) {
        self.poll_again();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.poll_again();
    }
}
