//! Point 5 of the contract: a machine asks for exactly the bytes that its limits promise, and never again.
//!
//! Counted are the allocations of the test's own thread, on which all of it happens.

use std::time::Duration;

use plimsoll_core::testkit::calls::{emitters, time};
use plimsoll_core::testkit::{Call, Host, Kit, Script, Setup, Step, trace};
use plimsoll_core::{
    CacheLimits, Effect, Instant, LaneLimits, Limits, Offer, Outcome, Plan, Policy, Processor, Progress,
    ResultLimits, Route, SourceLimits, Terms, Timeouts,
};
use plimsoll_tests::alloc::{Counting, here, reset_peak};

#[global_allocator]
static ALLOCATOR: Counting = Counting::new();

/// Payloads of odd sizes, none of which own memory.
#[derive(Debug)]
struct Odd;

impl Plan for Odd {
    type Job = [u8; 13];
    type Output = u16;
    type Error = [u64; 3];
    type Panic = u32;
    type Meta = u8;
    type Callback = fn(u16);
    type Waiter = [u8; 3];
    type Listener = ();
    type Key = u64;
    type Value = [u8; 40];
}

/// Small, large, and none of each kind.
fn many_limits() -> Vec<Limits> {
    let mut all: Vec<Limits> = (0..64_u64)
        .map(|seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            Setup(std::array::from_fn(|_| rng.u8(..))).limits()
        })
        .collect();
    let mut rng = fastrand::Rng::with_seed(64);
    for _ in 0..64 {
        let mut limits = Limits::default();
        limits.queue = rng.u32(..3_000);
        limits.concurrency = rng.u32(1..300);
        limits.delayed = rng.u32(..300);
        limits.unclaimed = Some(rng.u32(..300));
        limits.results = ResultLimits::new(rng.u32(..300), None);
        limits.sleeps = rng.u32(..6);
        limits.waiters = rng.u32(..300);
        limits.monitor = rng.bool();
        limits.emitters = rng.u32(..20);
        limits.subscribers = rng.u32(..20);
        limits.events = rng.u32(1..300);
        limits.lanes = LaneLimits::new(rng.u32(..300));
        limits.schedules = rng.u32(..30);
        limits.sources = SourceLimits::new(rng.u32(..5));
        limits.sources.credit = rng.bool().then_some(rng.u32(..300));
        let policy = [Policy::Fifo, Policy::Lru, Policy::S3Fifo][rng.usize(..3)];
        let ttl = rng.bool().then_some(Duration::from_secs(1));
        let (weight, time_to_idle) = (rng.bool().then_some(9), rng.bool().then_some(Duration::from_secs(1)));
        limits.cache = CacheLimits { entries: rng.u32(..3_000), weight, ttl, time_to_idle, policy, seed: 1 };
        all.push(limits);
    }
    all.push(Limits::default());
    all
}

fn is_exact<P: Plan>(limits: Limits) {
    let before = here();
    let promised = limits.footprint::<P>().total() as isize;
    assert_eq!(here().allocations, before.allocations, "a footprint is known without allocating");
    reset_peak();
    let machine = Processor::<P>::new(limits, Instant::ZERO).unwrap();
    assert_eq!(here().live - before.live, promised, "{limits:?}");
    assert_eq!(here().peak - before.live, promised, "not even for a moment, the trial included");
    drop(machine);
    assert_eq!(here().live, before.live);
}

/// Random scripts on a machine whose payloads own no memory.
fn scripts_do_not_allocate() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..Setup::BYTES + 200 * Step::BYTES).map(|_| rng.u8(..)).collect();
        let script = Script::from_bytes(&bytes);
        let calls = trace(&script).unwrap();
        let mut host = Host::new(&script.setup).unwrap();
        for (call, _) in &calls {
            // For these two the host itself collects what comes back.
            if matches!(
                call,
                Call::Emitters(emitters::Call::FeedBatch { .. }) | Call::Time(time::Call::Sweep { .. })
            ) {
                continue;
            }
            let before = here();
            let answer = host.call(call);
            assert_eq!(here(), before, "{call:?}");
            drop(answer);
        }
    }
}

/// A full machine under churn for long: the cache's index is where others grow.
fn churn_does_not_allocate() {
    let mut limits = Limits::default();
    limits.queue = 100;
    limits.concurrency = 10;
    limits.results = ResultLimits::new(50, Some(Duration::from_millis(500)));
    limits.cache = CacheLimits::new(100).weight(500).policy(Policy::S3Fifo).ttl(Duration::from_millis(50));
    limits.cache.time_to_idle = Some(Duration::from_millis(20));
    limits.monitor = true;
    limits.health_every = Some(Duration::from_millis(7));
    limits.sweep_every = Some(Duration::from_millis(70));
    let mut machine = Processor::<Odd>::new(limits, Instant::ZERO).unwrap();
    let subscriber = machine.subscribe().unwrap();
    let mut rng = fastrand::Rng::with_seed(5);
    let before = here();
    for round in 0..300_000_u64 {
        let now = Instant::from_nanos(round * 250_000);
        let mut batch = [(); 2].map(|()| {
            let route = if rng.bool() { Route::Retain } else { Route::Callback((|_| ()) as fn(u16)) };
            let terms =
                Terms::new().delay(Duration::from_millis(rng.u64(..3))).slow_after(Duration::from_millis(5));
            let limit = Some(Duration::from_millis(rng.u64(..20)));
            let timeouts = Timeouts { start_to_close: limit, heartbeat: limit, ..Timeouts::NONE };
            Some((Offer::new([0; 13], 3).route(route), terms.timeouts(timeouts)))
        });
        for place in &mut batch {
            let (offer, terms) = place.take().unwrap();
            let _ = machine.submit(now, offer, &terms);
        }
        let key = rng.u64(..300);
        let hash = machine.cache().hasher().hash_of(&key);
        if machine.cache().get(now, hash, &key).is_none() {
            while machine.cache().make_room(now, hash, &key, key % 10).is_some() {}
            let _ = machine.cache().insert_weighted(now, hash, key, [0; 40], key % 10);
        }
        let _ = machine.advance(now, 1_000);
        while let Some(start) = machine.start_next(now) {
            let _ = machine.progress(now, start.attempt, Progress::new(round));
            if rng.u8(..) < 200 {
                let _ = machine.completed(now, start.attempt, 1);
            }
        }
        while let Some(effect) = machine.poll_effect() {
            match effect {
                Effect::Stop(stop) => drop(machine.stopped(now, stop.attempt, None)),
                Effect::Settle(settled) => {
                    if let (Some(callback), Outcome::Completed(output)) = (settled.callback, settled.outcome)
                    {
                        callback(output);
                    }
                }
                Effect::Sweep => machine.sweep(now, 1_000).for_each(drop),
                _ => {}
            }
        }
        let _ = machine.next_event(subscriber);
    }
    assert!(machine.totals().settled.completed > 100_000 && machine.totals().settled.timed_out > 1_000);
    machine.drain(Instant::MAX, plimsoll_core::Drain::Abort);
    while machine.advance(Instant::MAX, 1_000).more || machine.poll_effect().is_some() {}
    assert_eq!(here(), before);
    assert!(machine.census().is_empty());
}

#[test]
fn point_5_exactly_what_was_promised() {
    for limits in many_limits() {
        is_exact::<Odd>(limits);
        is_exact::<Kit>(limits);
    }
    let before = here().live;
    for _ in 0..1_000 {
        let mut machine = Processor::<Odd>::new(Limits::default(), Instant::ZERO).unwrap();
        let _ = machine.submit(Instant::ZERO, Offer::new([0; 13], 0), &Terms::new()).unwrap();
    }
    assert_eq!(here().live, before, "a thousand machines come and go");
}

#[test]
fn point_5_no_allocation_by_scripts() {
    scripts_do_not_allocate();
}

#[test]
fn point_5_no_allocation_by_churn() {
    churn_does_not_allocate();
}
