//! What one task costs from `submit` to the free slot: on each path, and beside features that it does not use.

use std::process::ExitCode;
use std::time::Duration;

use plimsoll_core::{
    CacheLimits, Claim, Effect, EmitterId, Guard, Instant, Limits, Next, Outcome, OutcomeKind, Policy,
    Priority, ResultLimits, Retry, Route, SubscriberId, TaskId, Terms, Timeouts, Wake,
};

use crate::machine::{self, Callback, LONG, MILLISECOND, Machine, TERMS, bare, callback, limited};
use crate::meter::{self, Figure, Meter, Pass, Region};

/// Tasks a round: a multiple of the batch, and of all that happens every few starts.
const TASKS: u32 = 25_600;
const BATCH: u32 = 256;

/// A machine, its clock, and what some lives need besides.
struct World {
    machine: Machine,
    now: Instant,
    emitter: Option<EmitterId>,
    subscriber: Option<SubscriberId>,
    lives: u64,
    live: fn(&mut World),
}

/// One row of the table.
struct Life {
    name: &'static str,
    /// How many tasks one call of `live` takes from submit to the free slot.
    tasks: u32,
    live: fn(&mut World),
    limits: fn(&mut Limits),
    setup: fn(&mut World),
}

impl Life {
    const fn new(name: &'static str, live: fn(&mut World)) -> Self {
        Self { name, tasks: 1, live, limits: |_| {}, setup: |_| {} }
    }

    const fn limits(mut self, limits: fn(&mut Limits)) -> Self {
        self.limits = limits;
        self
    }

    const fn setup(mut self, setup: fn(&mut World)) -> Self {
        self.setup = setup;
        self
    }

    const fn tasks(mut self, tasks: u32) -> Self {
        self.tasks = tasks;
        self
    }

    fn measure(&self, meter: &mut Meter) {
        let mut world = World::new(self);
        let mut region = Region::new(self.name, TASKS, |world: &mut World, calls| {
            (0..calls).for_each(|_| (world.live)(world));
        });
        region.calls = TASKS / self.tasks;
        meter.measure(&mut world, 0, &region);
        assert_eq!(world.lives % u64::from(TASKS), 0, "{}: each task has settled", self.name);
        assert_eq!(world.machine.census().unsettled(), 0, "{}: and none is left", self.name);
    }
}

impl World {
    fn new(life: &Life) -> Self {
        let mut limits = bare(BATCH, BATCH);
        (life.limits)(&mut limits);
        let machine = machine::machine(limits);
        let mut world =
            Self { machine, now: Instant::ZERO, emitter: None, subscriber: None, lives: 0, live: life.live };
        (life.setup)(&mut world);
        world
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
    }

    fn submit(&mut self, route: Route<Callback>) -> TaskId {
        self.submit_on(route, &TERMS)
    }

    fn submit_on(&mut self, route: Route<Callback>, terms: &Terms) -> TaskId {
        machine::submit(&mut self.machine, self.now, route, terms)
    }

    /// The next task completes.
    fn complete(&mut self) {
        let start = machine::start(&mut self.machine, self.now);
        machine::complete(&mut self.machine, self.now, start.attempt);
    }

    /// The task whose outcome is due leaves, and its callback is called.
    fn settle(&mut self, kind: OutcomeKind) {
        let Some(Effect::Settle(settled)) = machine::poll(&mut self.machine) else {
            panic!("nothing has settled")
        };
        assert_eq!(settled.outcome.kind(), kind);
        let output = match settled.outcome {
            Outcome::Completed(output) | Outcome::Failed(output) => output,
            _ => 0,
        };
        if let Some(callback) = settled.callback {
            callback(output);
        }
        self.lives += 1;
    }

    fn stop(&mut self) {
        let Some(Effect::Stop(stop)) = machine::poll(&mut self.machine) else {
            panic!("nothing has to stop")
        };
        machine::stopped(&mut self.machine, self.now, stop.attempt);
    }

    fn advance(&mut self) {
        let _ = machine::advance(&mut self.machine, self.now, 64);
    }

    fn live_with(&mut self, route: Route<Callback>, terms: &Terms) {
        self.pass(Duration::from_micros(1));
        self.submit_on(route, terms);
        self.complete();
        self.settle(OutcomeKind::Completed);
    }
}

fn plain(world: &mut World) {
    world.live_with(callback(), &TERMS);
}

/// The paths that a task can take through a machine without extras.
const PATHS: &[Life] = &[
    Life::new("completed, callback, time-out", plain),
    Life::new("the same in batches of 256", |world| {
        world.pass(Duration::from_micros(BATCH.into()));
        (0..BATCH).for_each(|_| _ = world.submit(callback()));
        let attempts: [_; BATCH as usize] =
            std::array::from_fn(|_| machine::start(&mut world.machine, world.now).attempt);
        attempts.into_iter().for_each(|attempt| machine::complete(&mut world.machine, world.now, attempt));
        (0..BATCH).for_each(|_| world.settle(OutcomeKind::Completed));
    })
    .tasks(BATCH),
    Life::new("and a turn of the clock each", |world| {
        plain(world);
        world.advance();
        assert_eq!(machine::next_wake(&mut world.machine), Wake::Never);
    }),
    Life::new("completed, callback", |world| {
        world.live_with(callback(), &const { Terms::new() });
    }),
    Life::new("completed, outcome goes nowhere", |world| {
        world.live_with(Route::Nowhere, &const { Terms::new() });
    }),
    Life::new("completed, all three time-outs", |world| {
        let long = Some(LONG);
        let all = Timeouts {
            schedule_to_start: long,
            start_to_close: long,
            schedule_to_close: long,
            ..Timeouts::NONE
        };
        world.live_with(callback(), &Terms::new().timeouts(all));
    }),
    Life::new("completed, handle, claimed after", |world| {
        world.pass(Duration::from_micros(1));
        let task = world.submit(Route::Handle);
        world.complete();
        let Claim::Ready(..) = machine::claim(&mut world.machine, world.now, task) else {
            panic!("not settled")
        };
        world.lives += 1;
    })
    .limits(|limits| limits.unclaimed = Some(BATCH)),
    Life::new("completed, handle, awaited", |world| {
        world.pass(Duration::from_micros(1));
        let task = world.submit(Route::Handle);
        let Claim::Pending(None) = machine::claim(&mut world.machine, world.now, task) else {
            panic!("settled")
        };
        world.complete();
        let Some(Effect::Wake(waker)) = machine::poll(&mut world.machine) else { panic!("nobody to wake") };
        waker.wake();
        let Claim::Ready(..) = machine::claim(&mut world.machine, world.now, task) else {
            panic!("not settled")
        };
        world.lives += 1;
    })
    .limits(|limits| limits.unclaimed = Some(BATCH)),
    Life::new("failed", |world| {
        world.pass(Duration::from_micros(1));
        world.submit(callback());
        let start = machine::start(&mut world.machine, world.now);
        machine::fail(&mut world.machine, world.now, start.attempt, None);
        world.settle(OutcomeKind::Failed);
    }),
    Life::new("panicked", |world| {
        world.pass(Duration::from_micros(1));
        world.submit(callback());
        let start = machine::start(&mut world.machine, world.now);
        machine::panic(&mut world.machine, world.now, start.attempt);
        world.settle(OutcomeKind::Panicked);
    }),
    Life::new("timed out after 10 ms", |world| {
        world.submit_on(callback(), &const { limited(Duration::from_millis(10)) });
        let _ = machine::start(&mut world.machine, world.now);
        world.pass(11 * MILLISECOND);
        world.advance();
        world.stop();
        world.settle(OutcomeKind::TimedOut);
    }),
    Life::new("cancelled while queued", |world| {
        world.pass(Duration::from_micros(1));
        let task = world.submit(callback());
        machine::cancel(&mut world.machine, world.now, task);
        world.settle(OutcomeKind::Cancelled);
    }),
    Life::new("cancelled while running", |world| {
        world.pass(Duration::from_micros(1));
        let task = world.submit(callback());
        let _ = machine::start(&mut world.machine, world.now);
        machine::cancel(&mut world.machine, world.now, task);
        world.stop();
        world.settle(OutcomeKind::Cancelled);
    }),
    Life::new("expired after 10 ms in the queue", |world| {
        let timeouts = Timeouts { schedule_to_start: Some(10 * MILLISECOND), ..Timeouts::NONE };
        world.submit_on(callback(), &Terms::new().timeouts(timeouts));
        world.pass(11 * MILLISECOND);
        world.advance();
        world.settle(OutcomeKind::Expired);
    }),
    Life::new("completed after a delay of 10 ms", |world| {
        world.submit_on(callback(), &TERMS.delay(10 * MILLISECOND));
        world.pass(10 * MILLISECOND);
        world.advance();
        world.complete();
        world.settle(OutcomeKind::Completed);
    }),
];

/// Each feature twice: there but not used by the task, and used by it.
const FEATURES: &[Life] = &[
    Life::new("default limits", plain).limits(|limits| *limits = Limits::default()),
    Life::new("retention, unused", plain).limits(retention),
    Life::new("retention, used: result taken", |world| {
        world.pass(Duration::from_micros(1));
        let task = world.submit(Route::Retain);
        world.complete();
        drop(machine::take_result(&mut world.machine, world.now, task));
        world.lives += 1;
    })
    .limits(retention),
    Life::new("retention, used: oldest discarded", |world| {
        world.pass(Duration::from_micros(1));
        world.submit(Route::Retain);
        world.complete();
        // None as long as the retention is not full.
        drop(machine::poll(&mut world.machine));
        world.lives += 1;
    })
    .limits(retention),
    Life::new("cache, unused", plain).limits(cache).setup(fill),
    Life::new("cache, used: one hit a task", |world| {
        plain(world);
        assert!(machine::cached(&mut world.machine, world.now, world.lives % u64::from(BATCH)).is_some());
    })
    .limits(cache)
    .setup(fill),
    Life::new("subscribers, unused", plain).limits(|limits| limits.subscribers = 8),
    Life::new("subscribers, used: one, who reads", |world| {
        plain(world);
        let subscriber = world.subscriber.expect("setup has subscribed");
        for _ in 0..3 {
            let Some(Next::Event(_)) = machine::next_event(&mut world.machine, subscriber) else {
                panic!("admitted, started and settled")
            };
        }
    })
    .limits(|limits| limits.subscribers = 8)
    .setup(|world| world.subscriber = world.machine.subscribe().ok()),
    Life::new("subscribers, used: one, who lags", plain)
        .limits(|limits| limits.subscribers = 8)
        .setup(|world| world.subscriber = world.machine.subscribe().ok()),
    Life::new("emitters, unused", plain).limits(|limits| limits.emitters = 8).setup(attach),
    Life::new("emitters, used: fed by one", |world| {
        world.pass(Duration::from_micros(1));
        let emitter = world.emitter.expect("setup has attached it");
        machine::feed(&mut world.machine, world.now, emitter, callback());
        world.complete();
        world.settle(OutcomeKind::Completed);
    })
    .limits(|limits| limits.emitters = 8)
    .setup(attach),
    Life::new("priorities, used: all in turn", |world| {
        world.live_with(callback(), &TERMS.priority(Priority::new((world.lives % 8) as u8)));
    }),
    Life::new("retry, unused", |world| {
        world.live_with(callback(), &const { TERMS.retry(Retry::NONE.attempts(3)) });
    }),
    Life::new("retry, used: failed once", |world| {
        world.submit_on(callback(), &TERMS.retry(Retry::NONE.attempts(3).base(5 * MILLISECOND)));
        let start = machine::start(&mut world.machine, world.now);
        machine::fail(&mut world.machine, world.now, start.attempt, Some(start.job));
        world.pass(6 * MILLISECOND);
        world.advance();
        world.complete();
        world.settle(OutcomeKind::Completed);
    }),
    Life::new("monitor, unused", plain).limits(|limits| limits.monitor = true),
    Life::new("monitor, used: one heartbeat", |world| {
        world.pass(Duration::from_micros(1));
        let heartbeat = Timeouts { heartbeat: Some(LONG), ..Timeouts::NONE };
        world.submit_on(callback(), &Terms::new().timeouts(heartbeat));
        let start = machine::start(&mut world.machine, world.now);
        machine::heartbeat(&mut world.machine, world.now, start.attempt);
        machine::complete(&mut world.machine, world.now, start.attempt);
        world.settle(OutcomeKind::Completed);
    })
    .limits(|limits| limits.monitor = true),
    Life::new("waiting for room, unused", plain).limits(|limits| limits.waiters = 256),
    Life::new("health and sweep intervals, unused", plain).limits(|limits| {
        limits.health_every = Some(Duration::from_secs(1));
        limits.sweep_every = Some(Duration::from_secs(1));
    }),
];

fn retention(limits: &mut Limits) {
    limits.results = ResultLimits::new(BATCH, Some(LONG));
}

fn cache(limits: &mut Limits) {
    limits.cache =
        CacheLimits { entries: BATCH, ttl: None, policy: Policy::Lru, seed: 1, ..CacheLimits::default() };
}

fn fill(world: &mut World) {
    (0..u64::from(BATCH)).for_each(|key| machine::insert(&mut world.machine, world.now, key));
}

fn attach(world: &mut World) {
    world.emitter = world.machine.attach(world.now, Guard::default()).ok();
}

/// Measures each life.
pub fn program(meter: &mut Meter) {
    PATHS.iter().chain(FEATURES).for_each(|life| life.measure(meter));
}

/// Prints the table.
pub fn run(pass: Pass) -> ExitCode {
    let figures = meter::figures(pass, program);
    let (paths, features) = figures.split_at(PATHS.len().min(figures.len()));
    println!("{:36}{:>8}{:>14}{:>18}", "one task", "ns", "instructions", "above the first");
    let base = paths.first().map_or(f64::NAN, |first| first.instructions);
    print(paths, base);
    println!("the first, with a feature");
    print(features, base);
    ExitCode::SUCCESS
}

fn print(figures: &[Figure], base: f64) {
    for Figure { name, nanos, instructions, .. } in figures {
        println!("{name:36}{nanos:8.1}{instructions:14.1}{:+18.1}", instructions - base);
    }
}
