//! Time-outs that are tried again.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use futures::executor::block_on;
use futures::future::FutureExt;

use super::kit::{Manual, Several, ms, poll_idle};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{Context, Processor, Retry, TaskError};

on_every_runtime! {
    the_next_attempt_comes_after_the_old_one_has_stopped
    what_an_attempt_that_was_timed_out_still_yields_counts
    without_further_tries_it_has_timed_out
}

fn again(times: u32) -> Retry {
    Retry::times(times).fixed(ms(1)).on_timeout(true)
}

/// Says how many there are.
struct Running(Arc<AtomicU32>);

impl Running {
    fn begin(count: &Arc<AtomicU32>) -> Self {
        assert_eq!(count.fetch_add(1, SeqCst), 0, "the old attempt has not stopped");
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

fn the_next_attempt_comes_after_the_old_one_has_stopped(runtime: AnyRuntime) {
    let count = Arc::new(AtomicU32::new(0));
    let processor = Processor::builder()
        .timeout(ms(20))
        .cancel_grace(ms(200))
        .retry(again(2))
        .spawn_on(runtime, move |job: String, cx: Context| {
            let count = count.clone();
            async move {
                let _running = Running::begin(&count);
                if cx.attempt() < 3 {
                    cx.cancelled().await;
                    // It takes its time to stop: its sleeps are over, so by turns.
                    for _ in 0..100 {
                        super::kit::yield_now().await;
                    }
                    std::future::pending::<()>().await;
                }
                Ok::<_, ()>(format!("{job} {}", cx.attempt()))
            }
        })
        .unwrap();
    let handle = processor.submit("attempt".into()).unwrap();
    assert_eq!(block_on(handle), Ok("attempt 3".into()));
    let totals = processor.totals();
    assert_eq!((totals.started, totals.retried, totals.settled.completed, totals.orphaned), (3, 2, 1, 0));
}

fn what_an_attempt_that_was_timed_out_still_yields_counts(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .timeout(ms(10))
        .cancel_grace(ms(10_000))
        .retry(again(1))
        .spawn_on(runtime, |_: (), cx: Context| async move {
            cx.cancelled().await;
            Ok::<_, ()>(cx.attempt())
        })
        .unwrap();
    assert_eq!(block_on(processor.submit(()).unwrap()), Ok(1));
    assert_eq!(processor.totals().retried, 0);
}

fn without_further_tries_it_has_timed_out(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .timeout(ms(10))
        .retry(again(1))
        .spawn_on(runtime, |_: ()| std::future::pending::<Result<(), ()>>())
        .unwrap();
    assert_eq!(block_on(processor.submit(()).unwrap()), Err(TaskError::TimedOut));
    assert_eq!((processor.totals().started, processor.totals().retried), (2, 1));
}

#[test]
fn an_attempt_whose_handler_was_not_called_is_tried_again() {
    let (manual, futures) = (Manual::default(), Arc::new(OnceLock::<Vec<_>>::new()));
    let (clock, others) = (manual.clone(), futures.clone());
    // While the first handler computes, the deadlines of those pass that its worker has taken too, and another worker asks
    // them to stop.
    let handler = move |computes: bool, cx: Context| {
        if computes {
            clock.advance(ms(50));
            poll_idle(others.get().unwrap());
        }
        async move { Ok::<_, ()>(cx.attempt()) }
    };
    let builder = Processor::builder().concurrency(4).prefetch(3).timeout(ms(20)).retry(again(1));
    let (processor, built) = builder.build(&Several(manual.clone()), handler).unwrap();
    let built: Vec<_> = built.into_iter().rev().map(Mutex::new).collect();
    assert!(futures.set(built).is_ok());
    let handles = [true, false, false].map(|computes| processor.submit(computes).unwrap());
    for _ in 0..10 {
        poll_idle(futures.get().unwrap());
        manual.advance(ms(1));
    }
    assert_eq!(handles.map(FutureExt::now_or_never), [Ok(1), Ok(2), Ok(2)].map(Some));
    assert_eq!((processor.totals().retried, processor.totals().settled.timed_out), (2, 0));
}
