//! Memory, as the allocator and as the system see it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use plimsoll::{Instant, Runtime, Threads};
use plimsoll_tests::alloc::{Counting, here};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Bytes on the heap now, of all threads.
pub fn live_bytes() -> u64 {
    ALLOCATOR.live() as u64
}

/// Bytes that this thread has asked for, less those that it gave back: no other thread has a part in their differences.
pub fn own_bytes() -> i64 {
    here().live as i64
}

/// Resident bytes of this process, where the system tells (Linux).
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024)
}

/// A runtime, and the bytes that it takes for itself on the thread that builds a processor on it: a processor promises
/// nothing about those.
#[derive(Clone)]
pub struct Metered<R> {
    runtime: R,
    taken: Arc<AtomicI64>,
}

impl<R> Metered<R> {
    pub fn new(runtime: R) -> Self {
        Self { runtime, taken: Arc::default() }
    }

    /// Bytes that the runtime has taken so far.
    pub fn taken(&self) -> i64 {
        self.taken.load(Relaxed)
    }

    fn meter<T>(&self, call: impl FnOnce() -> T) -> T {
        let before = own_bytes();
        let result = call();
        self.taken.fetch_add(own_bytes() - before, Relaxed);
        result
    }
}

impl<R: Runtime> Runtime for Metered<R> {
    type Timer = R::Timer;

    fn check(&self) -> Result<(), &'static str> {
        self.runtime.check()
    }

    fn threads(&self) -> Threads {
        self.runtime.threads()
    }

    fn seed(&self) -> u64 {
        self.runtime.seed()
    }

    fn may_go_on() -> bool {
        R::may_go_on()
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        self.meter(|| self.runtime.clock())
    }

    fn timer(&self) -> Self::Timer {
        self.meter(|| self.runtime.timer())
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.meter(|| self.runtime.spawn(future));
    }
}
