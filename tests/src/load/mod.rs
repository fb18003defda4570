//! A realistic load in virtual time, through the core alone: 100 tasks a second for as long as you like, with
//! bursts, failures, retries, panics, time-outs, cancels, hung attempts, emitters and subscribers that come and go,
//! cache use, handles, retained results, waiting for room, and small machines that are built and ended beside it.
//!
//! Work arrives from the first second to the 59th minute of each hour. The last minute is for what is in flight to
//! end, so at every full hour the machine is at rest, and what it holds then can be compared to the byte.

mod agenda;
mod dice;
mod world;

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use plimsoll_core::{
    AttemptId, BuildError, CacheLimits, CacheStats, Census, Drain, EmitterId, Instant, Limits, PermitId,
    Plan, Processor, Remains, ResultLimits, SubscriberId, TaskId, Totals, Wake,
};

use crate::waits::Waits;
use agenda::Agenda;
use dice::Dice;

/// The plan of the load. Jobs and cached values own memory, as real ones do.
#[derive(Debug)]
pub struct Work;

impl Plan for Work {
    type Job = Box<u64>;
    type Output = u64;
    type Error = u64;
    type Panic = ();
    type Meta = u32;
    type Callback = u64;
    type Waiter = Woken;
    type Listener = ();
    type Key = u32;
    type Value = Box<u64>;
}

/// Who is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The holder of a handle.
    Handle(TaskId),
    /// One who waits for room, by place.
    Room(u32),
    /// The subscriber.
    Subscriber,
}

/// Something that will happen in the world outside the machine.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Completes(AttemptId),
    Fails(AttemptId),
    Panics(AttemptId),
    Stops(AttemptId),
    IsCancelled(TaskId),
    IsClaimed(TaskId),
    IsDropped(TaskId),
    IsTaken(TaskId),
    EverySecond,
}

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
/// The part of each hour in which work arrives.
const BUSY: Range<u64> = SECOND..59 * 60 * SECOND;
/// More than can ever be in flight, so that the host's own memory does not grow.
const IN_FLIGHT: usize = 1 << 15;
/// As many boxes as the pool keeps: more than a machine with [`Load::limits`] can hold.
const SPARE: usize = 1 << 11;

/// Counts of what the host did and saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// Tasks offered, in whatever way.
    pub offered: u64,
    /// Tasks admitted with a callback, and callbacks that came back with an outcome.
    pub callbacks: (u64, u64),
    /// Outcomes taken through handles, from the results, or discarded.
    pub outcomes: u64,
    /// Emitters attached, and detached.
    pub emitters: (u64, u64),
    /// Subscribers that came, and events read by them.
    pub subscribers: (u64, u64),
    /// Small machines built and ended beside the large one.
    pub cycles: u64,
}

/// What there is at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// When.
    pub now: Instant,
    /// What the machine holds.
    pub census: Census,
    /// What has come and gone.
    pub totals: Totals,
    /// What the host saw of it.
    pub seen: Seen,
}

/// A machine under load, and its world.
#[derive(Debug)]
pub struct Load {
    machine: Processor<Work>,
    rng: Rng,
    now: Instant,
    next_arrival: u64,
    /// The full hour before it.
    hour: u64,
    happenings: Agenda<Happening>,
    /// Who waits for room, by place; the places are as many as the limit `waiters`.
    line: Vec<Option<PermitId>>,
    emitter: Option<EmitterId>,
    subscriber: Option<SubscriberId>,
    seen: Seen,
    waits: Waits,
    /// The boxes of jobs and cached values that have come out of the machine, to be used again, for the cost of
    /// the allocator is not the machine's. None is left at rest, so what the machine had lost would still show.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    spare: Vec<Box<u64>>,
}

impl Load {
    /// Limits that suit the load: they are reached in bursts, and not otherwise.
    #[must_use]
    pub fn limits() -> Limits {
        let mut limits = Limits::default();
        limits.queue = 256;
        limits.concurrency = 64;
        limits.orphans = 32;
        limits.unclaimed = Some(256);
        limits.results = ResultLimits::new(128, Some(Duration::from_secs(5)));
        limits.waiters = 16;
        limits.cache =
            CacheLimits { entries: 512, ttl: Some(Duration::from_secs(20)), ..CacheLimits::default() };
        limits.health_every = Some(Duration::from_secs(10));
        limits.sweep_every = Some(Duration::from_secs(5));
        limits
    }

    /// A load at instant zero. Equal seeds and limits make equal runs.
    ///
    /// # Errors
    /// When the limits are not valid.
    pub fn new(seed: u64, limits: Limits) -> Result<Self, BuildError> {
        let mut load = Self {
            machine: Processor::new(limits, Instant::ZERO)?,
            rng: Rng::with_seed(seed),
            now: Instant::ZERO,
            next_arrival: BUSY.start,
            hour: 0,
            happenings: Agenda::with_capacity(IN_FLIGHT),
            line: vec![None; limits.waiters as usize],
            emitter: None,
            subscriber: None,
            seen: Seen::default(),
            waits: Waits::new(),
            spare: Vec::with_capacity(SPARE),
        };
        load.schedule(0, Happening::EverySecond);
        Ok(load)
    }

    /// The machine, to look at.
    #[must_use]
    pub const fn machine(&self) -> &Processor<Work> {
        &self.machine
    }

    /// How long tasks were in the queue before their first attempt.
    #[must_use]
    pub const fn waits(&self) -> &Waits {
        &self.waits
    }

    /// What happened in the cache.
    #[must_use]
    pub fn cache_stats(&mut self) -> CacheStats {
        self.machine.cache().stats()
    }

    /// The virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// What there is now. O(1).
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            now: self.now,
            census: self.machine.census(),
            totals: self.machine.totals(),
            seen: self.seen,
        }
    }

    /// Lets time pass until `end`, which must not lie back, with all that happens in it.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            self.work();
            let timer = self.machine.next_timer().map_or(u64::MAX, |(at, _)| at.as_nanos());
            let next = timer.min(self.happenings.next()).min(self.next_arrival);
            if next > end.as_nanos() {
                self.now = self.now.max(end);
                return;
            }
            self.now = self.now.max(Instant::from_nanos(next));
            // The clock rule: reports first, then time, then commands.
            while let Some(happening) = self.happenings.take(self.now.as_nanos()) {
                self.happens(happening);
            }
            if timer <= self.now.as_nanos() {
                while self.machine.advance(self.now, 256).more {}
            }
            if self.next_arrival <= self.now.as_nanos() {
                self.arrives();
            }
        }
    }

    /// Ends the machine: gracefully within `within`, or at once.
    pub fn end(&mut self, within: Option<Duration>) -> Remains {
        self.machine.drain(self.now, within.map_or(Drain::Abort, Drain::Graceful));
        loop {
            while let Some(effect) = self.machine.poll_effect() {
                self.effect(effect);
            }
            if let Some(remains) = self.machine.remains() {
                self.let_go();
                return remains;
            }
            self.now = match self.machine.next_wake() {
                Wake::At(at, _) => self.now.max(at).min(self.now.saturating_add(Duration::from_millis(10))),
                _ => self.now,
            };
            while let Some(happening) = self.happenings.take(self.now.as_nanos()) {
                self.happens(happening);
            }
            let _ = self.machine.advance(self.now, 256);
            self.work();
        }
    }

    /// After the end: the subscriber reads what is left and goes, and the owners of tasks come for their outcomes.
    fn let_go(&mut self) {
        self.read_events();
        if let Some(subscriber) = self.subscriber.take() {
            let _ = self.machine.unsubscribe(subscriber);
        }
        while self.machine.census().handles > 0 {
            let next = self.happenings.next();
            if next == u64::MAX {
                break;
            }
            self.now = self.now.max(Instant::from_nanos(next));
            while let Some(happening) = self.happenings.take(self.now.as_nanos()) {
                self.happens(happening);
            }
        }
    }

    /// Random bits for one thing that happens.
    #[inline]
    fn throw(&mut self) -> Dice {
        Dice::new(self.rng.u64(..))
    }

    /// A job or a value for the cache.
    fn boxed(&mut self, value: u64) -> Box<u64> {
        match self.spare.pop() {
            Some(mut spare) => {
                *spare = value;
                spare
            }
            None => Box::new(value),
        }
    }

    /// Keeps a box for later, if there is room for it.
    fn put_by(&mut self, spare: Box<u64>) {
        if self.spare.len() < SPARE {
            self.spare.push(spare);
        }
    }

    /// Lets something happen after so many nanoseconds.
    fn schedule(&mut self, after: u64, happening: Happening) {
        self.happenings.put(self.now.as_nanos(), after, happening);
    }
}
