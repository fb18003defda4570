//! Heartbeats, progress and slow attempts.

use std::future::pending;
use std::time::Duration;

use futures::executor::block_on;

use super::kit::{Manual, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::runtime::sim::Sim;
use crate::{
    AnyWork, Context, Event, Notice, Options, Processor, Progress, Refusal, Retry, Subscription, TaskError,
    Timeouts,
};

on_every_runtime! {
    a_silent_attempt_times_out_and_is_tried_again
    how_far_an_attempt_has_got_is_seen
    a_slow_attempt_is_reported
}

/// The ids of the metadata of slow attempts, as far as they were published.
fn slow<W: AnyWork<Meta = u8>>(subscription: &mut Subscription<W>) -> Vec<u8> {
    let mut found = Vec::new();
    while let Some(Some(notice)) = subscription.try_next() {
        if let Notice::Event(Event::Slow { meta, .. }) = notice {
            found.push(meta);
        }
    }
    found
}

fn a_silent_attempt_times_out_and_is_tried_again(runtime: AnyRuntime) {
    let retry = Retry::times(1).fixed(ms(1)).on_timeout(true);
    let processor = Processor::builder()
        .heartbeat(ms(250))
        .retry(retry)
        .spawn_on(runtime, |fails: u32, cx: Context| async move {
            if cx.attempt() <= fails {
                pending::<()>().await;
            }
            Ok::<_, ()>(cx.attempt())
        })
        .unwrap();
    assert_eq!(block_on(processor.submit(1).unwrap()), Ok(2));
    assert_eq!(block_on(processor.submit(2).unwrap()), Err(TaskError::TimedOut));
    assert_eq!(processor.census(), processor.audit());
}

fn how_far_an_attempt_has_got_is_seen(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .monitor(true)
        .spawn_on(runtime, |total: u64, cx: Context| async move {
            for done in 1..total {
                assert!(cx.progress(Progress::of(done, total)));
            }
            cx.cancelled().await;
            Err::<(), _>(cx.progress(Progress::of(total, total)))
        })
        .unwrap();
    let handle = processor.submit(7).unwrap();
    let progress = || processor.view(handle.id()).and_then(|view| view.progress);
    eventually("it has told", || progress() == Some(Progress::of(6, 7)));
    assert_eq!(processor.inspect(0, 9).tasks.first().map(|view| view.progress), Some(progress()));
    processor.cancel(handle.id()).unwrap();
    assert_eq!(progress(), Some(Progress::of(6, 7)), "how far it got");
}

fn a_slow_attempt_is_reported(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .slow_after(ms(10))
        .spawn_on(runtime, |(): (), cx: Context<u8>| async move {
            if cx.meta() == 1 {
                cx.cancelled().await;
            }
            Ok::<_, ()>(())
        })
        .unwrap();
    let mut subscription = processor.subscribe().unwrap();
    let handle = processor.task(()).meta(1).submit().unwrap();
    eventually("it is slow", || processor.health().slow == 1);
    assert_eq!(slow(&mut subscription), [1]);
    processor.cancel(handle.id()).unwrap();
    eventually("it has stopped", || processor.census().slow == 0);
    assert_eq!(processor.totals().slow, 1);
}

#[test]
fn a_heartbeat_moves_the_deadline() {
    let sim = Sim::new(3);
    let processor = Processor::builder()
        .heartbeat(ms(10))
        .spawn_on(sim.clone(), |steps: u64, cx: Context| async move {
            for _ in 0..steps {
                cx.sleep(ms(9)).await.map_err(|_| "stopped")?;
                assert!(cx.heartbeat());
            }
            cx.sleep(ms(10)).await.map_err(|_| "stopped")?;
            Ok::<_, &str>(steps)
        })
        .unwrap();
    for steps in [0, 1, 5] {
        let began = sim.now();
        let result = sim.block_on(processor.submit(steps).unwrap()).unwrap();
        assert_eq!(result, Err(TaskError::TimedOut), "{steps}: it was silent for 10 ms in the end");
        assert_eq!(sim.now().saturating_since(began), ms(9 * steps + 10), "{steps}");
    }
}

#[test]
fn progress_is_a_heartbeat_and_an_attempt_learns_that_it_is_over() {
    let sim = Sim::new(4);
    let processor = Processor::builder()
        .heartbeat(ms(10))
        .cancel_grace(ms(50))
        .spawn_on(sim.clone(), |(): (), cx: Context| async move {
            for done in 0..5 {
                cx.sleep(ms(9)).await.map_err(|_| 0)?;
                assert!(cx.progress(Progress::new(done)));
            }
            cx.cancelled().await;
            Err::<(), _>(u8::from(cx.heartbeat()) + u8::from(cx.progress(Progress::new(9))))
        })
        .unwrap();
    let handle = processor.submit(()).unwrap();
    assert_eq!(sim.block_on(handle).unwrap(), Err(TaskError::TimedOut));
    assert_eq!(sim.now().as_millis(), 55);
    sim.block_on(processor.idle()).unwrap();
    assert_eq!(processor.last_error().unwrap().attempt, 1);
}

#[test]
fn heartbeats_of_one_tick_hold_the_lock_once() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .heartbeat(ms(10))
        .spawn_on(manual.clone(), |beats: u32, cx: Context| async move {
            assert!((0..beats).all(|_| cx.heartbeat()));
            Ok::<_, ()>(())
        })
        .unwrap();
    let holds = |beats| {
        manual.advance(ms(1));
        let before = processor.shared.holds();
        processor.task(beats).post().unwrap();
        manual.run();
        processor.shared.holds() - before
    };
    let (none, one) = (holds(0), holds(1));
    assert_eq!((one, holds(1_000)), (none + 1, none + 1));
}

#[test]
fn without_a_monitor_a_heartbeat_holds_no_lock_and_progress_is_not_kept() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .spawn_on(manual.clone(), |beats: u32, cx: Context| async move {
            assert!((0..beats).all(|_| cx.heartbeat()));
            Err::<(), _>(cx.progress(Progress::new(1)))
        })
        .unwrap();
    let holds = |beats| {
        let before = processor.shared.holds();
        let handle = processor.submit(beats).unwrap();
        manual.run();
        let holds = processor.shared.holds() - before;
        assert_eq!(block_on(handle), Err(TaskError::Failed(false)));
        holds
    };
    assert_eq!(holds(0), holds(100));
    let options = Options::default().slow_after(ms(1));
    assert_eq!(processor.task(1).options(options).submit().unwrap_err().reason, Refusal::NotMonitored);
    let heartbeat = Timeouts { heartbeat: Some(ms(1)), ..Timeouts::NONE };
    assert_eq!(processor.task(1).timeouts(heartbeat).submit().unwrap_err().reason, Refusal::NotMonitored);
    let zero = Timeouts { heartbeat: Some(Duration::ZERO), ..Timeouts::NONE };
    assert_eq!(processor.task(1).timeouts(zero).submit().unwrap_err().reason, Refusal::ZeroTimeout);
}

/// The second attempt is taken together with the first, which computes before the second is called.
#[test]
fn the_heartbeat_time_out_counts_from_the_call_of_the_handler() {
    let manual = Manual::default();
    let clock = manual.clone();
    let handler = move |(computes, sleeps): (u64, u64), cx: Context| {
        clock.advance(ms(computes));
        async move { cx.sleep(ms(sleeps)).await }
    };
    let builder = Processor::builder().concurrency(2).prefetch(2).heartbeat(ms(30));
    let processor = builder.spawn_on(manual.clone(), handler).unwrap();
    for _ in 0..4 {
        processor.task((0, 0)).post().unwrap();
    }
    manual.run();
    let first = processor.submit((20, 0)).unwrap();
    let in_time = processor.submit((0, 25)).unwrap();
    manual.run();
    manual.advance(ms(25));
    manual.run();
    assert_eq!((block_on(first), block_on(in_time)), (Ok(()), Ok(())));
    let late = processor.submit((0, 35)).unwrap();
    manual.run();
    manual.advance(ms(31));
    manual.run();
    assert_eq!(block_on(late), Err(TaskError::TimedOut));
}

#[test]
fn a_task_has_a_soft_limit_of_its_own() {
    let sim = Sim::new(5);
    let processor = Processor::builder()
        .slow_after(ms(100))
        .spawn_on(sim.clone(), |millis: u64, cx: Context<u8>| async move { cx.sleep(ms(millis)).await })
        .unwrap();
    let mut subscription = processor.subscribe().unwrap();
    for (meta, millis, own) in [(1, 99, None), (2, 101, None), (3, 50, Some(ms(49))), (4, 150, Some(ms(151)))]
    {
        let options = Options { slow_after: own, ..Options::new(meta) };
        let handle = processor.task(millis).options(options).submit().unwrap();
        assert_eq!(sim.block_on(handle).unwrap(), Ok(()), "it goes on");
    }
    assert_eq!(slow(&mut subscription), [2, 3]);
    assert_eq!((processor.totals().slow, processor.census().slow), (2, 0));
}
