//! Keys that nobody has used before, one after another on one machine in virtual time: each is the key of a lane with a
//! rate, and of a task that is unique for a window.
//!
//! A key comes each millisecond. What becomes of its task is one of eight stories, which between them reach whatever keeps a
//! lane or a key: a rate, a hold, a backoff, an orphan, a delay, a task that is superseded, and a second task.

use std::collections::VecDeque;
use std::time::Duration;

use plimsoll_core::{
    Account, AttemptId, Census, Instant, Lane, LaneLimits, Limits, Message, Offer, Processor, Rate, Refusal,
    Retry, Simple, TaskId, Terms, Unique, Wake,
};

use crate::alloc::here;

const MILLISECOND: Duration = Duration::from_millis(1);
const CONCURRENCY: u32 = 64;
/// How many keys are remembered, which is less than those of a window.
const REMEMBERED: u32 = 1_000;
/// How many keys ago the one came that is still remembered. Its story is the same.
const AGO: u64 = 8 * 64;
/// How long the rate shuts a lane after a start, at the least.
const INTERVAL: Duration = Duration::from_millis(100);
const SERVICE: Duration = Duration::from_millis(5);
/// For backoffs, holds and delays.
const PAUSE: Duration = Duration::from_millis(20);
const WINDOW: Duration = Duration::from_secs(10);

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// What there is when all tasks are done and no lane is shut any more.
    pub census: Census,
    /// The account of the lanes.
    pub lanes: Account,
    /// The account of the keys with a task.
    pub keys: Account,
    /// How many tasks were settled as completed, and as anything else.
    pub settled: [u64; 2],
    /// How many tasks were refused for a task with their key, or for the memory of one.
    pub duplicates: u64,
    /// How many times the run has asked for memory, once the machine was there. Counted where the allocator is
    /// [`Counting`](crate::alloc::Counting).
    pub allocations: u64,
}

/// An attempt that runs, until when, and what it is an attempt at.
struct Attempt {
    end: Instant,
    id: AttemptId,
    key: u64,
    number: u32,
}

struct World {
    machine: Processor<Simple<u64, (), ()>>,
    now: Instant,
    /// All attempts take the same time, so they end in the order in which they were started.
    running: VecDeque<Attempt>,
    duplicates: u64,
}

/// Runs so many keys, and waits until nothing is left of the last.
///
/// # Panics
/// If the machine breaks a promise.
#[must_use]
pub fn run(keys: u64) -> Outcome {
    let mut limits = Limits::default();
    (limits.queue, limits.concurrency, limits.delayed) = (64, CONCURRENCY, 64);
    (limits.unclaimed, limits.subscribers) = (Some(0), 0);
    (limits.lanes, limits.dedup) = (LaneLimits::new(512).queue(4), Some(REMEMBERED));
    let mut world = World {
        machine: Processor::new(limits, Instant::ZERO).expect("the limits are right"),
        now: Instant::ZERO,
        running: VecDeque::with_capacity(CONCURRENCY as usize),
        duplicates: 0,
    };
    let before = here().allocations;
    for key in 0..keys {
        world.begin(key);
        world.pass(MILLISECOND);
    }
    world.pass(INTERVAL * 10);
    let allocations = here().allocations - before;
    world.outcome(allocations)
}

impl World {
    /// The task of a fresh key comes.
    fn begin(&mut self, key: u64) {
        let rate = Rate::new(1, INTERVAL);
        let in_lane = Terms::new().lane(Lane::new(key).concurrency(2).rate(rate));
        let unique = Unique::new(key).window(WINDOW);
        let terms = in_lane.unique(unique);
        match key % 8 {
            // It fails, and is tried again once the rate allows it.
            1 => drop(self.submit(key, &terms.retry(Retry::times(1).fixed(PAUSE)))),
            // It waits for the end of a hold.
            2 => {
                self.hold(key);
                self.submit(key, &terms);
            }
            // A second one is refused.
            3 => {
                self.submit(key, &terms);
                self.submit_duplicate(key, &terms);
            }
            // It is cancelled while it waits, and the hold outlives it.
            4 => {
                self.hold(key);
                let task = self.submit(key, &terms);
                self.cancel(task);
            }
            // It is cancelled while it runs, and its attempt takes its time.
            5 => {
                let task = self.submit(key, &terms);
                self.start_all();
                self.cancel(task);
            }
            // A second one in the lane waits for the rate.
            6 => {
                self.submit(key, &terms);
                self.submit(key, &in_lane);
            }
            // The second one takes the place of the first, which is delayed.
            7 => {
                let latest = in_lane.unique(unique.replace()).delay(PAUSE);
                self.submit(key, &latest);
                self.submit(key, &latest);
            }
            // It completes, and is remembered for its window, with those that have completed since.
            _ => {
                self.submit(key, &terms);
                if let Some(recent) = key.checked_sub(AGO) {
                    self.submit_duplicate(recent, &Terms::new().unique(Unique::new(recent)));
                }
            }
        }
    }

    fn submit(&mut self, key: u64, terms: &Terms) -> TaskId {
        self.machine.submit(self.now, Offer::new(key, ()), terms).expect("there is room for it")
    }

    fn submit_duplicate(&mut self, key: u64, terms: &Terms) {
        let refused =
            self.machine.submit(self.now, Offer::new(key, ()), terms).expect_err("its key is taken");
        assert_eq!(refused.reason, Refusal::Duplicate);
        self.duplicates += 1;
    }

    fn hold(&mut self, key: u64) {
        self.machine.hold_lane(self.now, key, self.now.saturating_add(PAUSE)).expect("there is room for it");
    }

    fn cancel(&mut self, task: TaskId) {
        let _ = self.machine.cancel(self.now, task).expect("it is there");
    }

    /// Lets time pass, with all that is to be done on the way.
    fn pass(&mut self, time: Duration) {
        let until = self.now.saturating_add(time);
        loop {
            self.start_all();
            while self.machine.poll_effect().is_some() {}
            let timer = match self.machine.next_wake() {
                Wake::Now(_) => self.now,
                Wake::At(at, _) => at,
                Wake::Never => Instant::MAX,
            };
            let end = self.running.front().map_or(Instant::MAX, |first| first.end);
            if timer.min(end) > until {
                break;
            }
            self.now = self.now.max(timer.min(end));
            if end <= self.now {
                self.end_first();
            }
            let _ = self.machine.advance(self.now, 64);
        }
        self.now = until;
    }

    fn start_all(&mut self) {
        while let Some(start) = self.machine.start_next(self.now) {
            let end = self.now.saturating_add(SERVICE);
            self.running.push_back(Attempt { end, id: start.attempt, key: start.job, number: start.number });
        }
    }

    fn end_first(&mut self) {
        let Some(Attempt { id, key, number, .. }) = self.running.pop_front() else { return };
        let is_known = match (key % 8, number) {
            (1, 1) => {
                self.machine.failed(self.now, id, (), Some(key), None, &Message::from("it failed")).is_ok()
            }
            (5, _) => self.machine.stopped(self.now, id, None).is_ok(),
            _ => self.machine.completed(self.now, id, ()).is_ok(),
        };
        assert!(is_known, "a report of {key} is late");
    }

    fn outcome(&self, allocations: u64) -> Outcome {
        let (census, ledger, settled) =
            (self.machine.census(), self.machine.ledger(), self.machine.totals().settled);
        assert_eq!(census, self.machine.audit());
        Outcome {
            census,
            lanes: ledger.lanes,
            keys: ledger.unique_keys,
            settled: [settled.completed, settled.total() - settled.completed],
            duplicates: self.duplicates,
            allocations,
        }
    }
}
