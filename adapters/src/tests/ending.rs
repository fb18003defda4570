//! The end: graceful, at the deadline, aborted, by hand.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures::executor::block_on;

use super::kit::{Count, Manual, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{
    CancelReason, Context, Drain, Events, Options, Phase, Processor, Refusal, Retry, Settlement, TaskError,
};

on_every_runtime! {
    a_graceful_shutdown_lets_everything_finish
    a_graceful_shutdown_ends_at_its_deadline
    a_shutdown_that_is_dropped_aborts
    a_graceful_shutdown_waits_for_callbacks
    aborting_calls_every_callback_once
}

fn a_graceful_shutdown_lets_everything_finish(runtime: AnyRuntime) {
    let events = Events::new();
    let processor = Processor::builder()
        .concurrency(2)
        .retry(Retry::NONE.attempts(2).base(ms(10)))
        .spawn_on(
            runtime,
            |_: u32, cx: Context| async move { if cx.attempt() == 1 { Err(()) } else { Ok(()) } },
        )
        .unwrap();
    processor.attach(&events).unwrap();
    let delayed = processor.task(1).options(Options::default().delay(ms(20))).submit().unwrap();
    for n in 0..10 {
        processor.task(n).post().unwrap();
    }
    let submitter = processor.submitter();
    let shutdown = processor.shutdown(Drain::graceful(Duration::from_secs(60)));
    // Draining has begun although nobody has polled yet.
    assert_eq!(submitter.submit(9).unwrap_err().reason, Refusal::Closed);
    eventually("the emitter was detached", || events.listener_counts() == [0, 0, 0]);
    // An outcome that its handle has not taken is not waited for, and not lost.
    let report = block_on(shutdown);
    assert_eq!((report.census.tasks, report.census.unclaimed), (1, 1));
    assert_eq!(block_on(delayed), Ok(()));
    assert_eq!((report.totals.settled.completed, report.totals.retried), (11, 11));
    assert_eq!((report.remains.cancelled, report.remains.discarded, report.remains.detached), (0, 0, 1));
    assert!(submitter.census().is_empty());
    assert_eq!(submitter.phase(), Phase::Drained);
}

fn a_graceful_shutdown_ends_at_its_deadline(runtime: AnyRuntime) {
    let futures = Count::default();
    let counted = futures.clone();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime, move |_: (), _: Context| {
            let probe = counted.probe();
            async move {
                pending::<()>().await;
                drop(probe);
                Ok::<(), ()>(())
            }
        })
        .unwrap();
    let handles = [processor.submit(()).unwrap(), processor.submit(()).unwrap()];
    eventually("one runs", || futures.live() == 1);
    let report = block_on(processor.shutdown(Drain::graceful(ms(20))));
    assert_eq!((report.remains.cancelled, report.remains.discarded, report.remains.abandoned), (2, 2, 0));
    assert_eq!(futures.live(), 0);
    for handle in handles {
        assert_eq!(block_on(handle), Err(TaskError::Ended));
    }
}

fn a_shutdown_that_is_dropped_aborts(runtime: AnyRuntime) {
    let jobs = Count::default();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime, |probe: super::kit::Probe, _: Context| async move {
            pending::<()>().await;
            drop(probe);
            Ok::<(), ()>(())
        })
        .unwrap();
    for _ in 0..3 {
        processor.task(jobs.probe()).post().unwrap();
    }
    let submitter = processor.submitter();
    drop(processor.shutdown(Drain::graceful(Duration::from_secs(60))));
    assert_eq!(submitter.phase(), Phase::Drained);
    // One may be in the hands of a worker that has just taken it.
    eventually("all jobs are dropped", || jobs.live() == 0);
    assert!(submitter.census().is_empty());
}

fn a_graceful_shutdown_waits_for_callbacks(runtime: AnyRuntime) {
    let returned = Arc::new(AtomicUsize::new(0));
    let processor =
        Processor::builder().spawn_on(runtime, |_: (), _: Context| async { Ok::<(), ()>(()) }).unwrap();
    let (count, (begun, begins)) = (returned.clone(), std::sync::mpsc::channel());
    let slow = move |_| {
        begun.send(()).unwrap();
        std::thread::sleep(ms(50));
        count.fetch_add(1, SeqCst);
    };
    assert!(processor.task(()).call(slow).is_ok());
    begins.recv().unwrap();
    // The machine has nothing left to wait for, and another thread may bring it to its end.
    let _report = block_on(processor.shutdown(Drain::graceful(Duration::from_secs(60))));
    assert_eq!(returned.load(SeqCst), 1);
}

fn aborting_calls_every_callback_once(runtime: AnyRuntime) {
    let (calls, cancelled) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let processor = Processor::builder()
        .queue(200)
        .concurrency(5)
        .spawn_on(runtime, |hang: bool, _: Context| async move {
            if hang { pending().await } else { Ok::<(), ()>(()) }
        })
        .unwrap();
    for n in 0..200 {
        let (calls, cancelled) = (calls.clone(), cancelled.clone());
        let called = processor.task(n % 50 == 0).call(move |settled| {
            calls.fetch_add(1, SeqCst);
            cancelled.fetch_add(
                usize::from(settled.result == Err(TaskError::Cancelled(Some(CancelReason::ENDED)))),
                SeqCst,
            );
        });
        assert!(called.is_ok());
    }
    eventually("the hanging ones are left", || processor.census().tasks == 4);
    eventually("the other callbacks were called", || calls.load(SeqCst) == 196);
    for _ in 0..10 {
        let (calls, cancelled) = (calls.clone(), cancelled.clone());
        let late = move |settled: Settlement<_>| {
            calls.fetch_add(1, SeqCst);
            cancelled.fetch_add(
                usize::from(settled.result == Err(TaskError::Cancelled(Some(CancelReason::ENDED)))),
                SeqCst,
            );
        };
        assert!(processor.task(true).options(Options::default().delay(ms(60_000))).call(late).is_ok());
    }
    let report = block_on(processor.shutdown(Drain::Abort));
    assert_eq!((calls.load(SeqCst), cancelled.load(SeqCst)), (210, 14));
    assert_eq!((report.remains.cancelled, report.totals.settled.cancelled), (14, 14));
    assert_eq!((report.ledger.callbacks.entered, report.ledger.callbacks.left), (210, 210));
}

#[test]
fn the_end_needs_no_runtime() {
    let manual = Manual::default();
    let jobs = Count::default();
    let (called, calls) = (Arc::new(AtomicUsize::new(0)), jobs.clone());
    let processor = Processor::builder()
        .health_every(ms(100))
        .spawn_on(manual.clone(), |probe: super::kit::Probe, _: Context| async move {
            drop(probe);
            Ok::<(), ()>(())
        })
        .unwrap();
    let handle = processor.submit(jobs.probe()).unwrap();
    let count = called.clone();
    let submitted = processor.task(calls.probe()).call(move |settled| {
        assert!(settled.job.is_some());
        assert_eq!(settled.result, Err(TaskError::Cancelled(Some(CancelReason::ENDED))));
        count.fetch_add(1, SeqCst);
    });
    assert!(submitted.is_ok());
    let submitter = processor.submitter();
    assert_eq!(manual.live_timers(), 1);
    // No future was ever polled.
    drop(processor);
    assert_eq!((jobs.live(), called.load(SeqCst), manual.live_timers()), (0, 1, 0));
    assert_eq!(block_on(handle), Err(TaskError::Ended));
    assert!(submitter.census().is_empty());
    // The workers and the driver end at their next poll.
    assert!(manual.live_futures() > 1);
    manual.run();
    assert_eq!(manual.live_futures(), 0);
}

#[test]
fn timers_and_intervals_in_virtual_time() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .health_every(Duration::from_secs(10))
        .spawn_on(manual.clone(), |_: (), _: Context| pending::<Result<(), ()>>())
        .unwrap();
    let mut events = processor.subscribe().unwrap();
    manual.run();
    let limit = super::kit::start_to_close(Duration::from_secs(3600));
    let handle = processor.task(()).options(Options::default().timeouts(limit)).submit().unwrap();
    manual.run();
    manual.advance(Duration::from_secs(3599));
    manual.run();
    assert_eq!(processor.totals().settled.total(), 0);
    manual.advance(Duration::from_secs(1));
    manual.run();
    assert_eq!(block_on(handle), Err(TaskError::TimedOut));
    manual.run();
    assert_eq!((processor.census().orphans, processor.census().timers), (0, 1));
    let mut missed = Vec::new();
    while let Some(Some(notice)) = events.try_next() {
        if let crate::Notice::Health(health) = notice {
            missed.push(health.missed);
        }
    }
    // The first check made up for 358 that were missed. Neither was read, so both show the newest report.
    assert_eq!(missed, [0, 0]);
}
