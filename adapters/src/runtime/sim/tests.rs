//! Tests of the simulation itself, without a processor.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;
use std::thread;

use futures::future::{join, join_all, pending, poll_fn, ready};

use super::*;
use crate::runtime::Timer as _;

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl fmt::Display) {
        self.0.lock().unwrap().push(what.to_string());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Notes when it is dropped.
struct Noted(Log, &'static str);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

async fn yield_now() {
    let mut is_first = true;
    poll_fn(|cx| {
        if std::mem::take(&mut is_first) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

/// Ten tasks that sleep and yield, and in which order they did.
fn run_of(seed: u64) -> Vec<String> {
    let (sim, log) = (Sim::new(seed), Log::default());
    for task in 0..10u64 {
        let (time, log) = (sim.time(), log.clone());
        sim.spawn(async move {
            for round in 0..5 {
                time.sleep(SECOND * (task % 3) as u32).await;
                yield_now().await;
                log.note(format_args!("{task}.{round} at {:?}", time.now()));
            }
        });
    }
    sim.advance(SECOND * 20).unwrap();
    assert_eq!(sim.spawned(), 0);
    log.take()
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    assert_eq!(run_of(7), run_of(7));
    assert_eq!(run_of(7).len(), 50);
    let runs: std::collections::HashSet<_> = (0..20).map(run_of).collect();
    assert_eq!(runs.len(), 20);
}

#[test]
fn each_of_the_ready_tasks_is_as_likely_to_be_next() {
    let mut first = [0; 5];
    for seed in 0..5_000 {
        let (sim, log) = (Sim::new(seed), Log::default());
        for task in 0..5 {
            let log = log.clone();
            sim.spawn(async move { log.note(task) });
        }
        assert_eq!(sim.step(), Ok(true));
        first[log.take()[0].parse::<usize>().unwrap()] += 1;
    }
    // 1,000 are expected of each; five standard deviations are 142.
    assert!(first.iter().all(|n: &i32| n.abs_diff(1_000) < 150), "{first:?}");
}

#[test]
fn the_clock_jumps_to_the_next_timer_and_no_further() {
    let sim = Sim::new(1);
    let times = sim.block_on(async {
        let sleeps = [30, 10, 20].map(|seconds| {
            let (time, sleep) = (sim.time(), sim.sleep(SECOND * seconds));
            async move {
                sleep.await;
                time.now()
            }
        });
        join_all(sleeps).await
    });
    let at = |seconds: u64| Instant::from_millis(seconds * 1_000);
    assert_eq!(times, Ok(vec![at(30), at(10), at(20)]));
    assert_eq!((sim.now(), sim.next_timer()), (at(30), None));
}

#[test]
fn idle_does_not_move_the_clock_and_advance_moves_it_all_the_way() {
    let (sim, log) = (Sim::new(1), Log::default());
    for seconds in [3, 1, 2, 9] {
        let (time, log) = (sim.time(), log.clone());
        sim.spawn(async move {
            time.sleep(SECOND * seconds).await;
            log.note(format_args!("{:?}", time.now()));
        });
    }
    sim.run_until_idle().unwrap();
    assert_eq!((sim.now(), log.take().len(), sim.step()), (Instant::ZERO, 0, Ok(false)));
    sim.advance(SECOND * 5).unwrap();
    assert_eq!(log.take(), ["1.000000000s", "2.000000000s", "3.000000000s"]);
    assert_eq!((sim.now(), sim.spawned()), (Instant::from_millis(5_000), 1));
    assert_eq!(sim.next_timer(), Some(Instant::from_millis(9_000)));
    sim.advance(Duration::MAX).unwrap();
    assert_eq!((sim.now(), sim.spawned()), (Instant::MAX, 0));
}

#[test]
fn what_cannot_go_on_is_an_error_that_says_so() {
    let sim = Sim::new(1);
    sim.spawn(pending());
    let stalled = sim.block_on(pending::<()>()).unwrap_err();
    assert_eq!(stalled, Stuck::Stalled { waiting: 2, at: Instant::ZERO });
    assert_eq!(stalled.to_string(), "stalled at 0.000000000s: 2 futures wait, and no timer is armed");

    let time = sim.time();
    sim.spawn(async move {
        loop {
            time.sleep(SECOND).await;
        }
    });
    let sim = sim.time_limit(SECOND * 3).poll_limit(100);
    let too_long = Stuck::TooLong { waiting: 3, at: Instant::from_millis(3_000) };
    assert_eq!(sim.block_on(pending::<()>()), Err(too_long));

    sim.spawn(async {
        loop {
            yield_now().await;
        }
    });
    let spinning = Stuck::Spinning { polls: 100, at: sim.now() };
    assert_eq!(sim.run_until_idle(), Err(spinning));
    assert_eq!(sim.block_on(pending::<()>()), Err(spinning));
    assert_eq!(sim.advance(SECOND), Err(spinning));
    assert_eq!(sim.block_on(ready(5)), Ok(5), "one that spins starves nobody");
}

#[test]
fn it_does_not_run_within_itself() {
    let sim = Sim::new(1);
    let nested = sim.block_on(async { (sim.block_on(ready(())), sim.step(), sim.advance(SECOND)) }).unwrap();
    assert_eq!(nested, (Err(Stuck::Nested), Err(Stuck::Nested), Err(Stuck::Nested)));
    assert_eq!(sim.block_on(ready(1)), Ok(1));
}

#[test]
fn a_panic_reaches_the_caller_and_the_simulation_goes_on() {
    let (sim, log) = (Sim::new(1), Log::default());
    let dropped = Noted(log.clone(), "dropped");
    sim.spawn(async move {
        let _dropped = dropped;
        yield_now().await;
        panic!("a spawned one");
    });
    let panic = catch_unwind(AssertUnwindSafe(|| sim.block_on(pending::<()>()))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a spawned one"));
    assert_eq!((log.take(), sim.spawned()), (vec!["dropped".to_owned()], 0));

    let panic = catch_unwind(AssertUnwindSafe(|| sim.block_on(async { panic!("the caller's") })));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"the caller's"));
    assert_eq!(sim.block_on(sim.sleep(SECOND)), Ok(()));
    assert_eq!(sim.hub().counts().ready, 0);
}

/// Three futures whose drops wake each other, spawn, kill again, and panic.
fn spawn_some_that_drop_badly(sim: &Sim, log: &Log, is_owner: bool) {
    let wakers = Arc::new(Mutex::new(Vec::<Waker>::new()));
    for name in ["a", "b", "c"] {
        let (log, wakers, left) = (log.clone(), wakers.clone(), wakers.clone());
        let again = (!is_owner).then(|| sim.clone());
        let mut guard = OnDrop(move || {
            log.note(name);
            wakers.lock().unwrap().iter().for_each(Waker::wake_by_ref);
            if let Some(sim) = &again {
                sim.spawn(drop_at_once(Noted(log.clone(), "late")));
                sim.kill();
            }
            assert_ne!(name, "b", "b panics");
        });
        sim.spawn(poll_fn(move |cx| {
            let _ = &mut guard;
            left.lock().unwrap().push(cx.waker().clone());
            Poll::Pending
        }));
    }
    sim.run_until_idle().unwrap();
}

async fn drop_at_once(noted: Noted) {
    drop(noted);
}

#[test]
fn kill_drops_everything_spawned_whatever_the_drops_do() {
    let mut orders = std::collections::HashSet::new();
    for seed in 0..50 {
        let (sim, log) = (Sim::new(seed), Log::default());
        spawn_some_that_drop_badly(&sim, &log, false);
        let panic = catch_unwind(AssertUnwindSafe(|| sim.kill()));
        let all = log.take();
        assert!(panic.is_err(), "the panic is told");
        let mut sorted = all.clone();
        sorted.sort();
        assert_eq!(sorted, ["a", "b", "c", "late", "late", "late"]);
        orders.insert(all.into_iter().filter(|name| name != "late").collect::<String>());
        assert_eq!(sim.spawned(), 0);
        assert_eq!(sim.block_on(join(sim.sleep(SECOND), ready(2))), Ok(((), 2)), "the clock still goes");
    }
    assert!(orders.len() >= 3, "the order is drawn from the seed: {orders:?}");
}

#[test]
fn one_that_is_being_polled_is_killed_when_its_poll_returns() {
    let (sim, log) = (Sim::new(1), Log::default());
    let (killer, dropped) = (sim.clone(), Noted(log.clone(), "dropped"));
    sim.spawn(poll_fn(move |_| {
        killer.kill();
        dropped.0.note("killed");
        Poll::Pending
    }));
    sim.run_until_idle().unwrap();
    assert_eq!(log.take(), ["killed", "dropped"]);
}

#[test]
fn all_goes_with_the_last_handle_and_nothing_else_keeps_it() {
    let (sim, log) = (Sim::new(1), Log::default());
    let (time, clock, wakers) = (sim.time(), Runtime::clock(&sim), Arc::new(Mutex::new(Vec::new())));
    let mut timer = sim.timer();
    Pin::new(&mut timer).reset(Instant::from_millis(1));
    let waker = Waker::from(Arc::new(Foreign(Noted(log.clone(), "foreign"))));
    assert!(Pin::new(&mut timer).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    let (kept, dropped) = (wakers.clone(), Noted(log.clone(), "dropped"));
    let inner = time.clone();
    sim.spawn(async move {
        let _dropped = dropped;
        poll_fn(|cx| {
            kept.lock().unwrap().push(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        inner.sleep(SECOND).await;
    });
    sim.run_until_idle().unwrap();
    let hub: Weak<Hub> = Arc::downgrade(sim.hub());
    let other = sim.clone();
    drop(sim);
    assert!(log.take().is_empty());
    drop(other);
    assert_eq!(log.take(), ["dropped", "foreign"]);
    assert_eq!(hub.strong_count(), 0);
    wakers.lock().unwrap().drain(..).for_each(Waker::wake);
    assert_eq!((time.now(), clock()), (Instant::ZERO, Instant::ZERO));
    let mut sleep = time.sleep(SECOND);
    assert!(Pin::new(&mut sleep).poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

struct Foreign(#[allow(dead_code, reason = "it is dropped")] Noted);

impl std::task::Wake for Foreign {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_drop_with_the_last_handle_that_panics_is_told() {
    let (sim, log) = (Sim::new(3), Log::default());
    spawn_some_that_drop_badly(&sim, &log, true);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(sim))).is_err());
    let mut all = log.take();
    all.sort();
    assert_eq!(all, ["a", "b", "c"]);
}

#[test]
fn wakers_work_from_other_threads_and_a_stale_one_wakes_nobody() {
    let (sim, wakers, polls) = (Sim::new(1), Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (kept, counted) = (wakers.clone(), polls.clone());
    sim.spawn(poll_fn(move |cx| {
        kept.lock().unwrap().push(cx.waker().clone());
        if counted.fetch_add(1, SeqCst) == 2 { Poll::Ready(()) } else { Poll::Pending }
    }));
    for n in 1..=2 {
        sim.run_until_idle().unwrap();
        assert_eq!(polls.load(SeqCst), n);
        let waker = wakers.lock().unwrap()[0].clone();
        thread::spawn(move || (0..3).for_each(|_| waker.wake_by_ref())).join().unwrap();
    }
    assert_eq!(sim.hub().counts().ready, 1, "it is in the queue once");
    sim.run_until_idle().unwrap();
    assert_eq!((polls.load(SeqCst), sim.spawned()), (3, 0));
    let counted = polls.clone();
    sim.spawn(poll_fn(move |_| {
        counted.fetch_add(1, SeqCst);
        Poll::Pending
    }));
    sim.run_until_idle().unwrap();
    wakers.lock().unwrap().drain(..).for_each(Waker::wake);
    sim.run_until_idle().unwrap();
    assert_eq!(polls.load(SeqCst), 4, "the waker of a task that had the same place");
}

#[test]
fn a_task_that_ends_while_it_is_woken_leaves_no_turn_behind() {
    let sim = Sim::new(1);
    sim.spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(())
    }));
    sim.run_until_idle().unwrap();
    assert_eq!(sim.hub().counts().ready, 0);
}

#[test]
fn a_timer_is_set_again_in_place_and_armed_once() {
    let sim = Sim::new(1);
    let mut timer = sim.timer();
    let poll = |timer: &mut SimTimer| Pin::new(timer).poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll(&mut timer).is_pending());
    for seconds in [5, 9, 3] {
        Pin::new(&mut timer).reset(Instant::from_millis(seconds * 1_000));
        assert!(poll(&mut timer).is_pending() && poll(&mut timer).is_pending());
        assert_eq!(sim.next_timer(), Some(Instant::from_millis(seconds * 1_000)));
        assert_eq!(sim.hub().counts().timers, 1);
    }
    sim.advance(SECOND * 3).unwrap();
    assert!(poll(&mut timer).is_ready() && poll(&mut timer).is_pending());
    Pin::new(&mut timer).reset(Instant::MAX);
    assert!(poll(&mut timer).is_pending());
    assert_eq!(sim.next_timer(), None, "the end of time never comes");
    drop(timer);
    assert_eq!(sim.hub().counts().timers, 0);
}

#[test]
fn the_seed_is_drawn_from_the_seed() {
    let seeds = |seed| (0..3).map(|_| Sim::new(seed).seed()).collect::<std::collections::HashSet<_>>();
    assert_eq!((seeds(1).len(), seeds(1) == seeds(2)), (1, false));
    let sim = Sim::new(1);
    assert_ne!(sim.seed(), sim.seed());
    assert_eq!((sim.threads(), sim.several_threads().threads()), (Threads::One, Threads::Several));
}
