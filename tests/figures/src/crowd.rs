//! Machines with many live things of one kind, among which operations are measured.

use std::time::Duration;

use fastrand::Rng;
use plimsoll_core::{
    AttemptId, CacheLimits, Effect, EmitterId, Instant, Limits, Next, PermitId, Policy, ResultLimits, Route,
    SubscriberId, TaskId, Terms, Timeouts,
};

use crate::machine::{self, Callback, LONG, MILLISECOND, Machine, TERMS, bare, callback, limited};

/// How many operations a round performs, and how many more than the crowd a machine has room for.
pub const ROUND: u32 = 200;

/// The age at which results and cache entries expire.
const TTL: Duration = Duration::from_secs(1);

/// A machine and what is live in it, in a random order: each round takes the first ones.
pub struct Crowd {
    pub machine: Machine,
    pub now: Instant,
    /// Tasks, with their attempts if they run.
    pub tasks: Vec<(TaskId, Option<AttemptId>)>,
    /// The attempts that an operation has started.
    pub started: Vec<AttemptId>,
    pub keys: Vec<u64>,
    pub fresh_key: u64,
    pub subscribers: Vec<SubscriberId>,
    pub emitters: Vec<EmitterId>,
    pub waiters: Vec<PermitId>,
    rng: Rng,
}

impl Crowd {
    fn new(limits: Limits) -> Self {
        Self {
            machine: machine::machine(limits),
            now: Instant::ZERO,
            tasks: Vec::new(),
            started: Vec::new(),
            keys: Vec::new(),
            fresh_key: 0,
            subscribers: Vec::new(),
            emitters: Vec::new(),
            waiters: Vec::new(),
            rng: Rng::with_seed(3),
        }
    }

    /// `size` tasks in the queue, each with an armed time-out.
    pub fn queued(size: u32) -> Self {
        let mut crowd = Self::new(bare(size + ROUND, ROUND));
        crowd.fill(size, Self::submit_queued);
        crowd
    }

    /// `size` tasks running, each with an armed time-out and a callback.
    pub fn running(size: u32) -> Self {
        let mut crowd = Self::new(bare(ROUND, size + ROUND));
        crowd.fill(size, |crowd| crowd.submit_running(callback()));
        crowd
    }

    /// `size` tasks running for their handles.
    pub fn running_for_handles(size: u32) -> Self {
        let mut limits = bare(ROUND, size + ROUND);
        limits.unclaimed = Some(size + ROUND);
        let mut crowd = Self::new(limits);
        crowd.fill(size, |crowd| crowd.submit_running(Route::Handle));
        crowd
    }

    /// `size` tasks settled for their handles.
    pub fn settled_for_handles(size: u32) -> Self {
        let mut limits = bare(ROUND, ROUND);
        limits.unclaimed = Some(size + ROUND);
        let mut crowd = Self::new(limits);
        crowd.fill(size, |crowd| crowd.submit_completed(Route::Handle));
        crowd
    }

    /// `size` retained results.
    pub fn results(size: u32) -> Self {
        let mut limits = bare(ROUND, ROUND);
        limits.results = ResultLimits::new(size, Some(TTL));
        let mut crowd = Self::new(limits);
        crowd.fill(size, |crowd| crowd.submit_completed(Route::Retain));
        crowd
    }

    /// `size` tasks whose delay ends at one instant, which is almost there.
    pub fn delayed(size: u32) -> Self {
        let mut limits = bare(ROUND, ROUND);
        limits.delayed = size + ROUND;
        let mut crowd = Self::new(limits);
        crowd.fill(size, |crowd| (crowd.submit_delayed(MILLISECOND), None));
        crowd
    }

    /// `size` entries in a cache that has room for no more.
    pub fn cached(size: u32, policy: Policy) -> Self {
        let mut limits = bare(0, 1);
        limits.cache =
            CacheLimits { entries: size, ttl: Some(TTL), policy, seed: 1, ..CacheLimits::default() };
        let mut crowd = Self::new(limits);
        crowd.keys = (0..u64::from(size)).collect();
        crowd.fresh_key = u64::from(size);
        for key in &crowd.keys {
            machine::insert(&mut crowd.machine, crowd.now, *key);
        }
        crowd
    }

    /// `size` subscribers, attached emitters and tasks waiting for room.
    pub fn connected(size: u32) -> Self {
        let mut limits = bare(0, 1);
        limits.subscribers = size + ROUND;
        limits.emitters = size + ROUND;
        limits.waiters = size + ROUND;
        limits.unclaimed = Some(1);
        let mut crowd = Self::new(limits);
        // There is no room as long as this one runs.
        let _ = crowd.submit_running(callback());
        crowd.subscribers = (0..size).map(|_| crowd.subscribe()).collect();
        crowd.emitters = (0..size).map(|_| crowd.attach()).collect();
        crowd.waiters = (0..size).map(|_| crowd.wait_for_room()).collect();
        crowd
    }

    fn fill(&mut self, size: u32, mut add: impl FnMut(&mut Self) -> (TaskId, Option<AttemptId>)) {
        for _ in 0..size {
            let task = add(self);
            self.tasks.push(task);
        }
    }

    /// Moves as many random ones to the front.
    pub fn pick(&mut self, count: u32) {
        fn shuffle<T>(rng: &mut Rng, all: &mut [T], count: u32) {
            for at in 0..all.len().min(count as usize) {
                all.swap(at, rng.usize(at..all.len()));
            }
        }
        shuffle(&mut self.rng, &mut self.tasks, count);
        shuffle(&mut self.rng, &mut self.keys, count);
        shuffle(&mut self.rng, &mut self.subscribers, count);
        shuffle(&mut self.rng, &mut self.emitters, count);
        shuffle(&mut self.rng, &mut self.waiters, count);
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
    }

    pub fn pass_ttl(&mut self) {
        self.pass(TTL);
    }

    /// Somewhere from half a minute to a minute and a half.
    fn far(&mut self) -> Duration {
        LONG + Duration::from_micros(self.rng.u64(0..60_000_000))
    }

    pub fn submit(&mut self, route: Route<Callback>, terms: &Terms) -> TaskId {
        machine::submit(&mut self.machine, self.now, route, terms)
    }

    pub fn submit_queued(&mut self) -> (TaskId, Option<AttemptId>) {
        let (schedule_to_start, start_to_close) = (Some(self.far()), Some(LONG));
        let timeouts = Timeouts { schedule_to_start, start_to_close, ..Timeouts::NONE };
        (self.submit(callback(), &Terms::new().timeouts(timeouts)), None)
    }

    pub fn submit_delayed(&mut self, delay: Duration) -> TaskId {
        self.submit(callback(), &TERMS.delay(delay))
    }

    pub fn submit_running(&mut self, route: Route<Callback>) -> (TaskId, Option<AttemptId>) {
        let terms = limited(self.far());
        self.submit(route, &terms);
        let start = machine::start(&mut self.machine, self.now);
        (start.task, Some(start.attempt))
    }

    pub fn submit_completed(&mut self, route: Route<Callback>) -> (TaskId, Option<AttemptId>) {
        let (task, attempt) = self.submit_running(route);
        self.complete(attempt);
        (task, None)
    }

    pub fn complete(&mut self, attempt: Option<AttemptId>) {
        machine::complete(&mut self.machine, self.now, attempt.expect("it runs"));
    }

    /// Starts and completes what is queued.
    pub fn run_queued(&mut self, count: u32) {
        for _ in 0..count {
            let start = machine::start(&mut self.machine, self.now);
            self.complete(Some(start.attempt));
        }
    }

    /// Takes all effects, and does what they ask for.
    pub fn poll_all(&mut self) {
        while let Some(effect) = machine::poll(&mut self.machine) {
            if let Effect::Stop(stop) = effect {
                machine::stopped(&mut self.machine, self.now, stop.attempt);
            }
        }
    }

    pub fn subscribe(&mut self) -> SubscriberId {
        machine::subscribe(&mut self.machine)
    }

    pub fn attach(&mut self) -> EmitterId {
        machine::attach(&mut self.machine, self.now)
    }

    pub fn wait_for_room(&mut self) -> PermitId {
        machine::wait_for_room(&mut self.machine, self.now)
    }

    /// Lets the first `count` subscribers read all events.
    pub fn catch_up(&mut self, count: u32) {
        for subscriber in self.subscribers.iter().take(count as usize) {
            while !matches!(machine::next_event(&mut self.machine, *subscriber), None | Some(Next::Empty)) {}
        }
    }
}
