//! How the timekeeper is woken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use super::sync::AtomicWaker;
use super::workers::wake_future;

/// Wakes the timekeeper. Notifications that come while one is pending cost one atomic exchange.
pub(super) struct TimekeeperSignal {
    waker: AtomicWaker,
    notified: AtomicBool,
}

impl TimekeeperSignal {
    pub(super) fn new() -> Self {
        Self { waker: AtomicWaker::new(), notified: AtomicBool::new(false) }
    }

    /// Makes the timekeeper run (again). What was written before is seen by it.
    pub(super) fn notify(&self) {
        if !self.notified.load(Ordering::SeqCst) && !self.notified.swap(true, Ordering::SeqCst) {
            wake_future(&self.waker);
        }
    }

    /// The timekeeper runs: `waker` is its runtime's.
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// The timekeeper is about to look whether there is anything to do: from now on a notification wakes it.
    pub(super) fn listen(&self) {
        self.notified.store(false, Ordering::SeqCst);
    }

    /// Takes the waker out, which may keep the runtime's task alive.
    pub(super) fn take(&self) -> Option<Waker> {
        self.waker.take()
    }
}
