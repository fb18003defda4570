//! A job log replayed through the core's machine on a simulated clock, as fast as it goes.
//!
//! The machine keeps the books, decides what starts and what times out; [`Replay`] is its host: it has the
//! clock, the log as an attached emitter, and a heap of the jobs that run, by when they end.
//!
//! At one instant the host gives, as the machine asks, reports first, then `advance`, then new commands:
//! completions come before time-outs, so that a job which takes exactly its limit completes, and both come
//! before arrivals. A job that takes no time ends at the instant at which it starts, before the next
//! arrival. Whatever is free is given out at once, so a job that starts when it arrives is never waiting.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use plimsoll_core::{
    AttemptId, CacheStats, Census, Drain, Effect, EmitterId, Guard, Instant, Ledger, Message, Next, Offer,
    Plan, Processor, Remains, Route, Start, SubscriberId, TaskId, Terms, Timeouts, Totals,
};

use crate::trace::{Ending, Job};
use crate::waits::Waits;

/// What a replay answers, times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Jobs that arrived.
    pub arrivals: u64,
    /// Jobs that were started.
    pub started: u64,
    /// Jobs that were refused since the queue was full.
    pub refused: u64,
    /// Jobs that completed.
    pub completed: u64,
    /// Jobs that failed.
    pub failed: u64,
    /// Jobs that were cancelled.
    pub cancelled: u64,
    /// Jobs that ran into their limit.
    pub timed_out: u64,
    /// The most jobs that waited at a time.
    pub max_queue: u64,
    /// The most jobs that ran at a time.
    pub max_running: u64,
    /// How long all started jobs waited together.
    pub total_wait_ms: u64,
    /// How long one of them waited at most.
    pub max_wait_ms: u64,
    /// When the last job ended, counted from the first arrival.
    pub makespan_ms: u64,
}

impl Answer {
    /// What the books of a processor say. They have neither the most at a time nor times.
    #[must_use]
    pub fn of(totals: &Totals) -> Self {
        Self {
            arrivals: totals.offered,
            started: totals.started,
            refused: totals.refused,
            completed: totals.settled.completed,
            failed: totals.settled.failed,
            cancelled: totals.settled.cancelled,
            timed_out: totals.settled.timed_out,
            ..Self::default()
        }
    }
}

/// A job would end more than 584 years after the first arrival: the clock does not reach so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Which job of the log, from 0.
    pub job: usize,
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} ends more than 584 years after the first arrival", self.job + 1)
    }
}

impl std::error::Error for Overrun {}

/// What the machine moves: numbers of jobs.
#[derive(Debug)]
pub enum Jobs {}

impl Plan for Jobs {
    type Job = u32;
    type Output = ();
    type Error = ();
    type Panic = ();
    type Meta = u32;
    type Callback = u32;
    type Waiter = ();
    type Listener = Rc<()>;
    type Key = u64;
    type Value = u32;
}

/// One job that runs and will end by itself: the earliest is served first, and of those of one instant the
/// one that was started first.
type Running = Reverse<(u64, u64, TaskId, AttemptId, u32)>;

/// A replay in progress.
pub struct Replay<'t> {
    jobs: &'t [Job],
    /// How many of them have arrived.
    arrived: usize,
    machine: Processor<Jobs>,
    now: u64,
    running: BinaryHeap<Running>,
    emitter: Option<EmitterId>,
    subscriber: Option<SubscriberId>,
    listeners: Rc<()>,
    answer: Answer,
    waits: Waits,
    books: Books,
}

/// What the host counts by itself, to be held against the machine's own books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Callbacks that came out with their outcomes.
    pub called: u64,
    /// Events that a subscriber was given.
    pub events: u64,
    /// Events that it missed.
    pub lagged: u64,
    /// The cache's statistics before the end emptied it.
    pub cache: CacheStats,
}

/// What is left to say when a replay is over.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The answer.
    pub answer: Answer,
    /// The host's own books.
    pub books: Books,
    /// The machine's census, all zeros.
    pub census: Census,
    /// The machine's totals.
    pub totals: Totals,
    /// The machine's ledger.
    pub ledger: Ledger,
    /// What the end found.
    pub remains: Remains,
    /// Listeners that are still registered with the log.
    pub listeners: usize,
}

/// A subscriber comes every so many arrivals…
const SUBSCRIBE_EVERY: usize = 4_096;
/// …and stays for so many.
const SUBSCRIBED_FOR: usize = 256;
/// How much one call of the machine may do.
const BUDGET: u32 = 1_024;

impl<'t> Replay<'t> {
    /// A replay of these jobs, sorted by arrival, by a machine that was just built for time 0. Uses a
    /// emitter, a subscriber and the cache as far as its limits have room for them; without room for a
    /// emitter the jobs are submitted.
    #[must_use]
    pub fn new(jobs: &'t [Job], mut machine: Processor<Jobs>) -> Self {
        let listeners = Rc::new(());
        let guard = Guard { task: listeners.clone(), batch: listeners.clone(), error: listeners.clone() };
        let emitter = machine.attach(Instant::ZERO, guard).ok();
        let running = BinaryHeap::with_capacity(machine.concurrency().min(1 << 16) as usize);
        Self {
            jobs,
            arrived: 0,
            machine,
            now: 0,
            running,
            waits: Waits::new(),
            emitter,
            subscriber: None,
            listeners,
            answer: Answer::default(),
            books: Books::default(),
        }
    }

    /// Replays a log from its first arrival to its last end.
    ///
    /// # Errors
    /// When the clock does not reach so far.
    pub fn run(mut self) -> Result<Ended, Overrun> {
        while self.step()? {}
        Ok(self.end(Drain::Abort))
    }

    /// Goes to the next instant at which anything happens and handles all of it; `false` when nothing is
    /// left to happen but intervals.
    ///
    /// # Errors
    /// When a job would end beyond the range of the clock.
    pub fn step(&mut self) -> Result<bool, Overrun> {
        let arrival = self.jobs.get(self.arrived).map(|job| job.arrival);
        if self.machine.remains().is_some() || arrival.is_none() && self.machine.census().unsettled() == 0 {
            return Ok(false);
        }
        let completion = self.running.peek().map(|Reverse((end, ..))| *end);
        // A deadline lies on a whole millisecond here, as all times of a log do.
        let timer = self.machine.next_timer().map(|(at, _)| at.as_nanos().div_ceil(1_000_000));
        let Some(next) = [arrival, completion, timer].into_iter().flatten().min() else {
            return Ok(false);
        };
        self.now = self.now.max(next);
        if self.clock() == Instant::MAX {
            return Err(Overrun { job: self.arrived });
        }
        self.settle_instant()?;
        while self.jobs.get(self.arrived).is_some_and(|job| job.arrival <= self.now) {
            self.arrive();
            self.settle_instant()?;
            let queued = self.machine.census().queued;
            self.answer.max_queue = self.answer.max_queue.max(u64::from(queued));
        }
        Ok(true)
    }

    /// Lets no more jobs arrive and ends the machine, gracefully (what was admitted goes on in simulated
    /// time) or by abort.
    pub fn end(mut self, mode: Drain) -> Ended {
        self.jobs = self.jobs.get(..self.arrived).unwrap_or(self.jobs);
        self.books.cache = self.machine.cache().stats();
        self.machine.drain(self.clock(), mode);
        if matches!(mode, Drain::Graceful(_)) {
            while let Ok(true) = self.step() {}
            self.machine.drain(self.clock(), Drain::Abort);
        }
        // Nothing is started any more, so nothing can overrun the clock.
        let _ = self.settle_instant();
        let totals = self.machine.totals();
        Ended {
            answer: self.answer(),
            books: self.books,
            census: self.machine.census(),
            totals,
            ledger: self.machine.ledger(),
            remains: self.machine.remains().unwrap_or_default(),
            listeners: Rc::strong_count(&self.listeners) - 1,
        }
    }

    /// The answer so far.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let Answer { max_queue, max_running, total_wait_ms, max_wait_ms, makespan_ms, .. } = self.answer;
        let counted = Answer::of(&self.machine.totals());
        Answer { max_queue, max_running, total_wait_ms, max_wait_ms, makespan_ms, ..counted }
    }

    /// The machine, to look at.
    #[must_use]
    pub fn machine(&mut self) -> &mut Processor<Jobs> {
        &mut self.machine
    }

    /// How long the started jobs waited.
    #[must_use]
    pub const fn waits(&self) -> &Waits {
        &self.waits
    }

    /// Milliseconds since the first arrival.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now
    }

    fn clock(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// Handles whatever is due now, and what follows from it at the same instant.
    fn settle_instant(&mut self) -> Result<(), Overrun> {
        loop {
            self.start()?;
            if self.complete() {
                continue;
            }
            let progress = self.machine.advance(self.clock(), BUDGET);
            let acted = self.perform();
            if !acted && !progress.more && self.machine.startable() == 0 {
                return Ok(());
            }
        }
    }

    /// The next job of the log arrives.
    fn arrive(&mut self) {
        let (now, index) = (self.clock(), self.arrived);
        self.visit(index);
        self.arrived += 1;
        let Some(job) = self.jobs.get(index) else { return };
        let number = index as u32;
        let offer = Offer::new(number, number).route(Route::Callback(number));
        let limit = job.limit.map(Duration::from_millis);
        let terms = Terms::new().timeouts(Timeouts { start_to_close: limit, ..Timeouts::NONE });
        // What is refused comes back here, is counted by the machine, and is dropped as load shed.
        let _ = match self.emitter {
            Some(emitter) => self.machine.feed(now, emitter, offer, &terms).is_ok(),
            None => self.machine.submit(now, offer, &terms).is_ok(),
        };
    }

    /// Starts what can be started.
    fn start(&mut self) -> Result<(), Overrun> {
        while let Some(start) = self.machine.start_next(self.clock()) {
            let Start { task, attempt, job: number, .. } = start;
            let Some(job) = self.jobs.get(number as usize) else { continue };
            let census = self.machine.census();
            let running = u64::from(census.running) + u64::from(census.orphans);
            self.answer.max_running = self.answer.max_running.max(running);
            let wait = self.now.saturating_sub(job.arrival);
            self.answer.total_wait_ms = self.answer.total_wait_ms.saturating_add(wait);
            self.answer.max_wait_ms = self.answer.max_wait_ms.max(wait);
            self.waits.record(Duration::from_millis(wait));
            let held = job.limit.map_or(job.duration, |limit| limit.min(job.duration));
            let end = self.now.saturating_add(held);
            if Instant::from_millis(end) == Instant::MAX {
                return Err(Overrun { job: number as usize });
            }
            // A job that takes longer than its limit goes on until the machine has it stopped.
            if held == job.duration {
                self.running.push(Reverse((end, u64::from(number), task, attempt, number)));
            }
            let key = job.key;
            let clock = self.clock();
            let mut cache = self.machine.cache();
            let hash = cache.hasher().hash_of(&key);
            if cache.get(clock, hash, &key).is_none() {
                let _ = cache.insert(clock, hash, key, number);
            }
        }
        Ok(())
    }

    /// Reports one job that ends now; `false` if there is none.
    fn complete(&mut self) -> bool {
        let Some(Reverse((end, _, task, attempt, number))) = self.running.peek().copied() else {
            return false;
        };
        if end > self.now {
            return false;
        }
        self.running.pop();
        let now = self.clock();
        match self.jobs.get(number as usize).map(|job| job.ending) {
            Some(Ending::Failed) => {
                let message = Message::of("the log says that it failed");
                drop(self.machine.failed(now, attempt, (), None, None, &message));
            }
            Some(Ending::Cancelled) => drop(self.machine.cancel(now, task)),
            _ => drop(self.machine.completed(now, attempt, ())),
        }
        self.perform();
        true
    }

    /// Does what the machine asks for; `false` if that was nothing.
    fn perform(&mut self) -> bool {
        let mut acted = false;
        while let Some(effect) = self.machine.poll_effect() {
            acted = true;
            let now = self.clock();
            match effect {
                // Nothing really runs, so nothing goes on running.
                Effect::Stop(stop) => drop(self.machine.stopped(now, stop.attempt, None)),
                Effect::Settle(settlement) => {
                    if settlement.attempts > 0 {
                        self.answer.makespan_ms = self.now;
                    }
                    self.books.called += u64::from(settlement.callback == Some(settlement.meta));
                }
                Effect::Sweep => loop {
                    let mut sweep = self.machine.sweep(now, BUDGET);
                    sweep.by_ref().for_each(drop);
                    if !sweep.is_more() {
                        break;
                    }
                },
                // What else comes out is dropped: guards, retained outcomes, cache entries.
                _ => {}
            }
        }
        acted
    }

    /// Lets a subscriber come, read and go as the jobs arrive.
    fn visit(&mut self, index: usize) {
        match index % SUBSCRIBE_EVERY {
            0 => self.subscriber = self.machine.subscribe().ok(),
            SUBSCRIBED_FOR => {
                self.subscriber.take().map(|subscriber| self.machine.unsubscribe(subscriber));
            }
            _ => {}
        }
        let Some(subscriber) = self.subscriber else { return };
        while let Some(next) = self.machine.next_event(subscriber) {
            match next {
                Next::Event(_) => self.books.events += 1,
                Next::Lagged(missed) => self.books.lagged += missed,
                Next::Empty => break,
            }
        }
    }
}

impl fmt::Debug for Replay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("now", &self.now)
            .field("answer", &self.answer())
            .finish_non_exhaustive()
    }
}
