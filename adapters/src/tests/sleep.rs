//! Sleeping in a handler.

use std::future::{Future, pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use futures::executor::block_on;
use futures::future::{Either, join_all, select};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};

use super::kit::{Manual, assert_empty, eventually, ms, start_to_close};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{Context, Drain, Instant, Options, Processor, SleepRefusal, TaskError};

on_every_runtime! {
    a_sleep_is_never_too_short
    sleeps_end_with_their_attempt
    who_outlives_the_attempt_cannot_sleep
}

fn a_sleep_is_never_too_short(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .spawn_on(runtime, |millis: u64, cx: Context| async move {
            let began = std::time::Instant::now();
            cx.sleep(ms(millis)).await?;
            Ok::<_, SleepRefusal>(began.elapsed())
        })
        .unwrap();
    let handles: Vec<_> = [0, 1, 3, 20].map(|millis| (millis, processor.submit(millis).unwrap())).into();
    for (millis, handle) in handles {
        let Ok(took) = block_on(handle) else { panic!("it slept") };
        assert!(took >= ms(millis), "{took:?} of {millis} ms");
    }
    assert_eq!(processor.census().sleeps, 0);
}

#[test]
fn a_sleep_is_over_at_its_instant() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .spawn_on(manual.clone(), |until: u64, cx: Context| async move {
            cx.sleep_until(Instant::from_millis(until)).await
        })
        .unwrap();
    let handles = [7, 2, 7, 0].map(|until| processor.submit(until).unwrap());
    manual.run();
    assert_eq!((processor.census().sleeps, processor.totals().settled.completed), (3, 1));
    for (millis, done) in [(1, 1), (2, 2), (6, 2), (7, 4)] {
        let now = processor.now().as_millis();
        manual.advance(ms(millis - now));
        manual.run();
        assert_eq!(processor.totals().settled.completed, done, "at {millis} ms");
    }
    assert!(handles.into_iter().all(|handle| block_on(handle) == Ok(())));
    assert_eq!(processor.census(), processor.audit());
}

/// A set of futures has wakers of its own, and polls only what those were called for.
#[test]
fn who_is_polled_by_another_waker_is_woken_by_that() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .sleeps(3)
        .spawn_on(manual.clone(), |(): (), cx: Context| {
            async move {
                let own = cx.sleep(ms(1));
                let others: FuturesUnordered<_> =
                    [2, 1].map(|millis| cx.sleep(ms(millis))).into_iter().collect();
                (own.await, others.collect::<Vec<_>>().await)
            }
            .map(Ok::<_, ()>)
        })
        .unwrap();
    let handle = processor.submit(()).unwrap();
    for _ in 0..3 {
        manual.run();
        manual.advance(ms(1));
    }
    assert_eq!(processor.totals().settled.completed, 1);
    assert_eq!(block_on(handle), Ok((Ok(()), vec![Ok(()); 2])));
}

#[test]
fn one_sleep_too_many_is_an_error() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .sleeps(2)
        .spawn_on(manual.clone(), |(): (), cx: Context| async move {
            let results = join_all((0..3).map(|_| cx.sleep(ms(1)))).await;
            // Both places are free again, and so is that of a sleep that is dropped before its time.
            let quick = select(cx.sleep(ms(1)), cx.sleep(ms(50))).await;
            assert!(matches!(quick, Either::Left((Ok(()), _))));
            drop(quick);
            assert_eq!(join_all((0..2).map(|_| cx.sleep(ms(1)))).await, [Ok(()), Ok(())]);
            Ok::<_, ()>(results)
        })
        .unwrap();
    let handle = processor.submit(()).unwrap();
    for _ in 0..4 {
        manual.run();
        manual.advance(ms(1));
    }
    let expected = vec![Ok(()), Ok(()), Err(SleepRefusal::Full)];
    assert_eq!(block_on(handle), Ok(expected));
    assert_eq!((processor.census().sleeps, processor.census().timers), (0, 0));
}

fn sleeps_end_with_their_attempt(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .concurrency(4)
        .spawn_on(runtime, |fails: bool, cx: Context| async move {
            let sleep = cx.sleep(ms(60_000));
            if fails {
                let mut sleep = std::pin::pin!(sleep);
                let _ = futures::poll!(sleep.as_mut());
                return Err(());
            }
            sleep.await.map_err(drop)
        })
        .unwrap();
    let limit = Options::default().timeouts(start_to_close(ms(20)));
    let timed_out = processor.task(false).options(limit).submit().unwrap();
    let cancelled = processor.submit(false).unwrap();
    assert_eq!(block_on(processor.submit(true).unwrap()), Err(TaskError::Failed(())));
    eventually("it sleeps", || processor.census().sleeps >= 1);
    assert_eq!(block_on(timed_out), Err(TaskError::TimedOut));
    cancelled.cancel().unwrap();
    assert_eq!(block_on(cancelled), Err(TaskError::Cancelled(None)));
    eventually("nobody sleeps", || processor.census().sleeps == 0 && processor.census().timers == 0);
    let sleeper = processor.submit(false).unwrap();
    eventually("one sleeps", || processor.census().sleeps == 1);
    let submitter = processor.submitter();
    let report = block_on(processor.shutdown(Drain::Abort));
    assert!(report.census.is_empty() && submitter.census().is_empty());
    assert_eq!(report.ledger.sleeps.entered, report.ledger.sleeps.left);
    assert!(block_on(sleeper).is_err());
}

fn who_outlives_the_attempt_cannot_sleep(runtime: AnyRuntime) {
    let kept: Arc<Mutex<Option<Context>>> = Arc::default();
    let keep = kept.clone();
    let processor = Processor::builder()
        .spawn_on(runtime, move |hangs: bool, cx: Context| {
            *keep.lock().unwrap() = Some(cx);
            async move {
                if hangs {
                    pending::<()>().await;
                }
                Ok::<(), ()>(())
            }
        })
        .unwrap();
    assert_eq!(block_on(processor.submit(false).unwrap()), Ok(()));
    let over = kept.lock().unwrap().take().unwrap();
    assert_eq!(block_on(over.sleep(ms(1))), Err(SleepRefusal::Over));
    // One that runs on may be helped by another task, until its attempt is over.
    let hanging = processor.submit(true).unwrap();
    eventually("it runs", || kept.lock().unwrap().is_some());
    let context = kept.lock().unwrap().take().unwrap();
    assert_eq!(block_on(context.sleep(ms(1))), Ok(()));
    let mut sleep = context.sleep(ms(60_000));
    block_on(poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut sleep).poll(cx).is_pending());
        Poll::Ready(())
    }));
    hanging.cancel().unwrap();
    assert_eq!(block_on(sleep), Err(SleepRefusal::Over));
    let late = context.sleep(ms(60_000));
    assert_eq!(block_on(hanging), Err(TaskError::Cancelled(None)));
    eventually("it has stopped", || processor.census().orphans == 0);
    assert_empty(&processor);
    drop(processor);
    assert_eq!(block_on(late), Err(SleepRefusal::Over));
    assert_eq!(block_on(context.sleep(ms(1))), Err(SleepRefusal::Over));
}
