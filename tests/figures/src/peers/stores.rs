//! Timer stores behind one interface: the core's own, and what is used elsewhere.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use plimsoll_core::Instant;
use tokio::runtime::{Builder, Runtime};
use tokio::task::coop::unconstrained;
use tokio_util::time::delay_queue::Key;

/// Timers that are named by an index below the capacity.
pub trait Store {
    const NAME: &'static str;
    fn new(capacity: u32) -> Self;
    fn arm(&mut self, index: u32, at: Instant);
    fn disarm(&mut self, index: u32);
    /// Fires timers that are due at `now`, at most `budget`; tells how many.
    fn fire(&mut self, now: Instant, budget: u32) -> u32;
    /// The clock has moved on, for those who read it themselves.
    fn pass(&mut self, _now: Instant) {}
}

/// The core's timing wheel.
pub struct Wheel(plimsoll_core::testkit::Wheel);

impl Store for Wheel {
    const NAME: &'static str = "plimsoll's wheel";

    fn new(capacity: u32) -> Self {
        Self(plimsoll_core::testkit::Wheel::new(capacity, Instant::ZERO))
    }

    fn arm(&mut self, index: u32, at: Instant) {
        self.0.arm(index, at);
    }

    fn disarm(&mut self, index: u32) {
        assert!(self.0.disarm(index));
    }

    fn fire(&mut self, now: Instant, budget: u32) -> u32 {
        (0..budget).map_while(|_| self.0.fire(now)).fold(0, |count, _| count + 1)
    }
}

/// A balanced tree in order of deadlines.
pub struct Tree {
    order: BTreeSet<(u64, u32)>,
    deadlines: Vec<u64>,
}

impl Store for Tree {
    const NAME: &'static str = "BTreeSet";

    fn new(capacity: u32) -> Self {
        Self { order: BTreeSet::new(), deadlines: vec![0; capacity as usize] }
    }

    fn arm(&mut self, index: u32, at: Instant) {
        self.deadlines[index as usize] = at.as_nanos();
        self.order.insert((at.as_nanos(), index));
    }

    fn disarm(&mut self, index: u32) {
        assert!(self.order.remove(&(self.deadlines[index as usize], index)));
    }

    fn fire(&mut self, now: Instant, budget: u32) -> u32 {
        let mut fired = 0;
        while fired < budget && self.order.first().is_some_and(|first| first.0 <= now.as_nanos()) {
            self.order.pop_first();
            fired += 1;
        }
        fired
    }
}

/// A heap in which disarmed timers stay until they come up: it keeps the dead.
pub struct Heap {
    order: BinaryHeap<Reverse<(u64, u32, u32)>>,
    /// How often each timer was armed and disarmed: odd while it is armed.
    versions: Vec<u32>,
}

impl Store for Heap {
    const NAME: &'static str = "BinaryHeap, lazily deleted";

    fn new(capacity: u32) -> Self {
        Self { order: BinaryHeap::new(), versions: vec![0; capacity as usize] }
    }

    fn arm(&mut self, index: u32, at: Instant) {
        let version = &mut self.versions[index as usize];
        *version += 1;
        self.order.push(Reverse((at.as_nanos(), index, *version)));
    }

    fn disarm(&mut self, index: u32) {
        self.versions[index as usize] += 1;
    }

    fn fire(&mut self, now: Instant, budget: u32) -> u32 {
        let mut fired = 0;
        while fired < budget && self.order.peek().is_some_and(|first| first.0.0 <= now.as_nanos()) {
            let Some(Reverse((_, index, version))) = self.order.pop() else { break };
            let current = &mut self.versions[index as usize];
            if *current == version {
                *current += 1;
                fired += 1;
            }
        }
        fired
    }
}

/// tokio-util's wheel, on a clock that stands still unless it is told to move.
pub struct DelayQueue {
    // Above the runtime, so that it goes first.
    queue: tokio_util::time::DelayQueue<u32>,
    keys: Vec<Option<Key>>,
    began: tokio::time::Instant,
    now: Instant,
    runtime: Runtime,
}

impl Store for DelayQueue {
    const NAME: &'static str = "tokio-util DelayQueue";

    fn new(capacity: u32) -> Self {
        let runtime =
            Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let began = runtime.block_on(async { tokio::time::Instant::now() });
        let queue = tokio_util::time::DelayQueue::with_capacity(capacity as usize);
        Self { queue, keys: vec![None; capacity as usize], began, now: Instant::ZERO, runtime }
    }

    fn arm(&mut self, index: u32, at: Instant) {
        let _entered = self.runtime.enter();
        let at = self.began + Duration::from_nanos(at.as_nanos());
        self.keys[index as usize] = Some(self.queue.insert_at(index, at));
    }

    fn disarm(&mut self, index: u32) {
        let key = self.keys[index as usize].take().expect("it is armed");
        self.queue.remove(&key);
    }

    fn fire(&mut self, _now: Instant, budget: u32) -> u32 {
        let queue = &mut self.queue;
        let mut fired = 0;
        // Waits for the first one, which lets the runtime look at its clock.
        let fire = poll_fn(|cx| {
            while fired < budget {
                match queue.poll_expired(cx) {
                    Poll::Ready(Some(_)) => fired += 1,
                    Poll::Pending if fired == 0 => return Poll::Pending,
                    _ => break,
                }
            }
            Poll::Ready(fired)
        });
        self.runtime.block_on(unconstrained(fire))
    }

    fn pass(&mut self, now: Instant) {
        let passed = now.saturating_since(self.now);
        self.now = now;
        self.runtime.block_on(tokio::time::advance(passed));
    }
}
