//! Each way in which a task can end, and what its neighbours see of that.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{self, Poll};
use std::time::Duration;

use futures::executor::block_on;

use super::kit::{Count, OnDrop, assert_empty, eventually, ms, start_to_close};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{
    CancelError, Cancelled, Context, Drain, ErrorKind, Options, Priority, Processor, Refusal, Retry,
    TaskError, Timeouts,
};

on_every_runtime! {
    every_outcome_reaches_its_handle
    a_panic_settles_its_task_and_hurts_no_other
    failed_attempts_are_tried_again_with_a_clone_each
    a_panic_is_tried_again_if_wished
    cancelling_reaches_tasks_in_every_state
    cancel_on_drop_and_detach
    a_timed_out_attempt_is_dropped_and_frees_its_place
    the_grace_period_lets_an_attempt_end_by_itself
    the_grace_period_ends
    the_context_tells_other_threads
    the_context_tells_of_an_end_without_cancel
    results_are_retained_and_swept
    thousands_of_tasks_through_few_places
}

#[derive(Clone, Copy, Debug)]
enum Do {
    Double(u32),
    Fail,
    PanicAtOnce,
    PanicLater,
    PanicWhenDone,
    Hang,
}

/// Yields once, then is ready; panics when it is dropped after that.
struct PanicsOnDrop(u32);

impl Future for PanicsOnDrop {
    type Output = Result<u32, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.0 += 1;
        cx.waker().wake_by_ref();
        if self.0 < 2 { Poll::Pending } else { Poll::Ready(Ok(0)) }
    }
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("future dropped");
    }
}

/// The handler of most tests here.
fn handle<M>(job: Do, _: Context<M>) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send>> {
    match job {
        Do::Double(n) => Box::pin(async move { Ok(2 * n) }),
        Do::Fail => Box::pin(async { Err("no such thing".to_owned()) }),
        Do::PanicAtOnce => panic!("at once"),
        Do::PanicLater => Box::pin(async { panic!("later") }),
        Do::PanicWhenDone => Box::pin(PanicsOnDrop(0)),
        Do::Hang => Box::pin(pending()),
    }
}

fn every_outcome_reaches_its_handle(runtime: AnyRuntime) {
    let processor = Processor::builder().concurrency(1).spawn_on(runtime, handle::<u8>).unwrap();
    let completed = processor.submit(Do::Double(21)).unwrap();
    assert_eq!(block_on(completed), Ok(42));
    assert_eq!(processor.last_error(), None);

    let failed = processor.task(Do::Fail).options(Options::new(7)).submit().unwrap();
    assert_eq!(block_on(failed), Err(TaskError::Failed("no such thing".to_owned())));
    let error = processor.last_error().unwrap();
    assert_eq!(
        (error.kind, error.meta, error.message.as_str()),
        (ErrorKind::Failed, Some(7), "\"no such thing\"")
    );

    let limit = Options::default().timeouts(start_to_close(ms(20)));
    let timed_out = processor.task(Do::Hang).options(limit).submit().unwrap();
    let expiring = Timeouts { schedule_to_start: Some(ms(5)), ..Timeouts::NONE };
    let expired =
        processor.task(Do::Double(1)).options(Options::default().timeouts(expiring)).submit().unwrap();
    assert_eq!(block_on(expired), Err(TaskError::Expired));
    assert_eq!(block_on(timed_out), Err(TaskError::TimedOut));

    let delayed = processor.task(Do::Double(2)).options(Options::default().delay(ms(20))).submit().unwrap();
    assert_eq!(processor.census().delayed, 1);
    assert_eq!(block_on(delayed), Ok(4));

    let totals = processor.totals();
    assert_eq!((totals.offered, totals.admitted, totals.settled.total()), (5, 5, 5));
    let report = block_on(processor.shutdown(Drain::graceful(Duration::from_secs(5))));
    assert!(report.census.is_empty() && report.remains.cancelled == 0);
    assert_eq!(report.ledger.jobs.live(), 0);
}

fn a_panic_settles_its_task_and_hurts_no_other(runtime: AnyRuntime) {
    let processor = Processor::builder().concurrency(2).spawn_on(runtime, handle::<()>).unwrap();
    let jobs =
        [(Do::PanicAtOnce, "at once"), (Do::PanicLater, "later"), (Do::PanicWhenDone, "future dropped")];
    for (job, text) in jobs {
        let neighbour = processor.submit(Do::Double(1)).unwrap();
        let panicking = processor.submit(job).unwrap();
        assert_eq!(block_on(panicking), Err(TaskError::Panicked(text.into())), "{job:?}");
        assert_eq!(block_on(neighbour), Ok(2));
    }
    assert_eq!(
        processor.last_error().map(|error| error.message.as_str().to_owned()),
        Some("future dropped".to_owned())
    );
    let totals = processor.totals();
    assert_eq!((totals.settled.panicked, totals.settled.completed, totals.late_panics), (3, 3, 0));
    eventually("all places are free", || processor.census().running == 0);
}

/// Counts how often it is cloned.
struct Job(Arc<AtomicUsize>);

impl Clone for Job {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, SeqCst);
        Self(self.0.clone())
    }
}

fn failed_attempts_are_tried_again_with_a_clone_each(runtime: AnyRuntime) {
    let clones = Arc::new(AtomicUsize::new(0));
    let processor = Processor::builder()
        .retry(Retry::NONE.attempts(3).base(ms(1)))
        .spawn_on(runtime, |_: Job, cx: Context| async move {
            let attempt = cx.attempt();
            if attempt < 3 { Err(attempt) } else { Ok(attempt) }
        })
        .unwrap();
    let handle = processor.submit(Job(clones.clone())).unwrap();
    assert_eq!(block_on(handle), Ok(3));
    // The third attempt was the last one, but might have been snoozed.
    assert_eq!(clones.load(SeqCst), 3);
    assert_eq!(processor.totals().retried, 2);

    let once =
        processor.task(Job(clones.clone())).options(Options::new(()).retry(Retry::NONE)).submit().unwrap();
    assert_eq!(block_on(once), Err(TaskError::Failed(1)));
    assert_eq!(clones.load(SeqCst), 4);
}

fn a_panic_is_tried_again_if_wished(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .retry(Retry::NONE.attempts(2).base(ms(1)).on_panic(true))
        .spawn_on(runtime, |early: bool, cx: Context| {
            assert!(!early || cx.attempt() > 1, "the first attempt");
            async move {
                assert!(cx.attempt() > 1, "the first attempt");
                Ok::<_, ()>(cx.attempt())
            }
        })
        .unwrap();
    for early in [true, false] {
        assert_eq!(block_on(processor.submit(early).unwrap()), Ok(2));
    }
}

fn cancelling_reaches_tasks_in_every_state(runtime: AnyRuntime) {
    let processor = Processor::builder().concurrency(1).spawn_on(runtime, handle::<()>).unwrap();
    let running = processor.submit(Do::Hang).unwrap();
    eventually("it runs", || processor.census().running == 1);
    let queued = processor.submit(Do::Double(1)).unwrap();
    let delayed =
        processor.task(Do::Double(1)).options(Options::default().delay(ms(60_000))).submit().unwrap();
    let last = processor
        .task(Do::Double(4))
        .options(Options::default().priority(Priority::LOWEST))
        .submit()
        .unwrap();
    assert_eq!(queued.cancel(), Ok(Cancelled::Settled));
    assert_eq!(processor.cancel(delayed.id()), Ok(Cancelled::Settled));
    assert_eq!(running.cancel(), Ok(Cancelled::Stopping));
    assert_eq!(running.cancel(), Err(CancelError::Settled));
    let id = running.id();
    for handle in [queued, delayed, running] {
        assert_eq!(block_on(handle), Err(TaskError::Cancelled(None)));
    }
    // The place of the one that ran is free again.
    assert_eq!(block_on(last), Ok(8));
    assert_eq!(processor.cancel(id), Err(CancelError::NotFound));
}

fn cancel_on_drop_and_detach(runtime: AnyRuntime) {
    let futures = Count::default();
    let counted = futures.clone();
    let processor = Processor::builder()
        .concurrency(2)
        .spawn_on(runtime, move |_: (), _: Context| {
            let probe = counted.probe();
            async move {
                pending::<()>().await;
                drop(probe);
                Ok::<(), ()>(())
            }
        })
        .unwrap();
    let cancelled = processor.submit(()).unwrap().cancel_on_drop();
    let kept = processor.submit(()).unwrap().cancel_on_drop();
    eventually("both run", || futures.live() == 2);
    kept.detach();
    drop(cancelled);
    eventually("one was dropped", || futures.live() == 1 && processor.census().orphans == 0);
    let census = processor.census();
    assert_eq!((census.running, census.handles, processor.totals().settled.cancelled), (1, 0, 1));
    drop(processor);
    assert_eq!(futures.live(), 0);
}

fn a_timed_out_attempt_is_dropped_and_frees_its_place(runtime: AnyRuntime) {
    let futures = Count::default();
    let counted = futures.clone();
    let processor = Processor::builder()
        .concurrency(1)
        .timeouts(start_to_close(ms(10)))
        .spawn_on(runtime, move |hang: bool, cx: Context| {
            let probe = counted.probe();
            async move {
                assert!(cx.deadline().is_some() && !cx.is_cancelled());
                if hang {
                    pending::<()>().await;
                }
                drop(probe);
                Ok::<(), ()>(())
            }
        })
        .unwrap();
    for _ in 0..3 {
        let slow = processor.submit(true).unwrap();
        let fast = processor.submit(false).unwrap();
        assert_eq!(block_on(slow), Err(TaskError::TimedOut));
        assert_eq!(block_on(fast), Ok(()));
    }
    assert_eq!((futures.live(), processor.totals().orphaned), (0, 3));
    eventually("no timer is left", || processor.census().timers == 0);
}

fn the_grace_period_lets_an_attempt_end_by_itself(runtime: AnyRuntime) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let processor = Processor::builder()
        .concurrency(1)
        .cancel_grace(Duration::from_secs(60))
        .spawn_on(runtime, move |_: (), cx: Context| {
            let sender = sender.clone();
            async move {
                cx.cancelled().await;
                sender.send(cx.is_cancelled()).unwrap();
                Ok::<(), ()>(())
            }
        })
        .unwrap();
    let handle = processor.submit(()).unwrap();
    eventually("it runs", || processor.census().running == 1);
    handle.cancel().unwrap();
    assert_eq!(block_on(handle), Err(TaskError::Cancelled(None)));
    assert_eq!(receiver.recv(), Ok(true));
    eventually("it has stopped", || processor.census().orphans == 0);
    assert_eq!(processor.totals().late, 1);
}

fn the_grace_period_ends(runtime: AnyRuntime) {
    let futures = Count::default();
    let counted = futures.clone();
    let processor = Processor::builder()
        .concurrency(2)
        .cancel_grace(ms(50))
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
    eventually("they run", || futures.live() == 2);
    let start = std::time::Instant::now();
    for handle in handles {
        handle.cancel().unwrap();
        assert_eq!(block_on(handle), Err(TaskError::Cancelled(None)));
    }
    assert_eq!(futures.live(), 2);
    eventually("they were dropped", || futures.live() == 0 && processor.census().orphans == 0);
    assert!(start.elapsed() >= ms(50));
}

fn the_context_tells_other_threads(runtime: AnyRuntime) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let processor = Processor::builder()
        .spawn_on(runtime, move |_: (), cx: Context| {
            sender.send(cx).unwrap();
            pending::<Result<(), ()>>()
        })
        .unwrap();
    let handle = processor.submit(()).unwrap();
    let context = receiver.recv().unwrap();
    assert_eq!((context.task(), context.attempt(), context.is_cancelled()), (handle.id(), 1, false));
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let context = context.clone();
            std::thread::spawn(move || block_on(context.cancelled()))
        })
        .collect();
    std::thread::sleep(ms(10));
    handle.cancel().unwrap();
    waiting.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(block_on(handle), Err(TaskError::Cancelled(None)));

    // The end of the processor is the end of every attempt.
    let _running = processor.submit(()).unwrap();
    let second = receiver.recv().unwrap();
    drop(processor);
    assert!(second.is_cancelled() && context.is_cancelled());
    block_on(second.cancelled());
}

fn the_context_tells_of_an_end_without_cancel(runtime: AnyRuntime) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let (end, ends) = futures::channel::oneshot::channel::<()>();
    let processor = Processor::builder()
        .spawn_on(runtime, move |ends: futures::channel::oneshot::Receiver<()>, cx: Context| {
            sender.send(cx).unwrap();
            ends
        })
        .unwrap();
    let handle = processor.submit(ends).unwrap();
    let context = receiver.recv().unwrap();
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        block_on(context.cancelled());
        told.send(()).unwrap();
    });
    assert!(tells.recv_timeout(ms(20)).is_err());
    end.send(()).unwrap();
    assert_eq!(block_on(handle), Ok(()));
    assert_eq!(tells.recv_timeout(Duration::from_secs(10)), Ok(()));
}

fn results_are_retained_and_swept(runtime: AnyRuntime) {
    let outputs = Count::default();
    let counted = outputs.clone();
    let processor = Processor::builder()
        .concurrency(1)
        .results(2, Some(ms(60)))
        .sweep_every(ms(5))
        .spawn_on(runtime, move |n: u32, _: Context| {
            let probe = counted.probe();
            async move { Ok::<_, ()>((n, probe)) }
        })
        .unwrap();
    let first = processor.task(1).retain().unwrap();
    eventually("it is done", || processor.census().results == 1);
    assert!(matches!(processor.result(first), Some(Ok((1, _)))));
    assert!(processor.result(first).is_none());
    let ids: Vec<_> = (2..5).map(|n| processor.task(n).retain().unwrap()).collect();
    eventually("all are done and the oldest has gone", || {
        processor.totals().settled.completed == 4 && outputs.live() == 2
    });
    assert!(ids.first().is_some_and(|id| processor.result(*id).is_none()));
    eventually("the others have expired", || outputs.live() == 0);
    assert_eq!(processor.census().results, 0);

    let refused =
        processor.task(9).options(Options::default().retry(Retry::NONE.attempts(99))).submit().unwrap_err();
    assert_eq!((refused.reason, refused.into_value()), (Refusal::Attempts, 9));
}

fn thousands_of_tasks_through_few_places(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .queue(64)
        .concurrency(7)
        .unclaimed(10_000)
        .prefetch(3)
        .timeouts(start_to_close(Duration::from_secs(30)))
        .spawn_on(runtime, |n: u64, _: Context| async move {
            for _ in 0..n % 4 {
                yield_now().await;
            }
            if n % 10 == 0 { Err(n) } else { Ok(n) }
        })
        .unwrap();
    let threads: Vec<_> = (0..2)
        .map(|thread| {
            let submitter = processor.submitter();
            std::thread::spawn(move || {
                block_on(async {
                    let mut sum = 0;
                    for batch in 0..40 {
                        let mut handles = Vec::new();
                        for n in 0..50 {
                            handles
                                .push(submitter.submit_wait(thread * 2_000 + batch * 50 + n).await.unwrap());
                        }
                        for handle in handles {
                            match handle.await {
                                Ok(n) | Err(TaskError::Failed(n)) => sum += n,
                                other => panic!("{other:?}"),
                            }
                        }
                    }
                    sum
                })
            })
        })
        .collect();
    let sum: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(sum, (0..4_000).sum());
    let totals = processor.totals();
    assert_eq!((totals.settled.completed, totals.settled.failed), (3_600, 400));
    let ledger = processor.ledger();
    assert!(ledger.running.highest <= 7 && ledger.queued.highest <= 71);
    let census = processor.census();
    assert_eq!((census.tasks, census.waiters, census.timers), (0, 0, 0));
    drop(processor.submit(1).unwrap());
    let shutdown = processor.shutdown(Drain::Abort);
    assert!(block_on(shutdown).census.is_empty());
}

/// Lets others run once.
async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_job_that_never_ran_is_dropped_with_its_outcome() {
    let jobs = Count::default();
    let manual = super::kit::Manual::default();
    let processor = Processor::builder()
        .spawn_on(manual.clone(), |_: (super::kit::Probe, OnDrop<fn()>), _: Context| async {
            Ok::<(), ()>(())
        })
        .unwrap();
    let handle = processor.submit((jobs.probe(), OnDrop(|| ()))).unwrap();
    handle.cancel().unwrap();
    assert_eq!((block_on(handle), jobs.live()), (Err(TaskError::Cancelled(None)), 0));
    drop(processor.submit((jobs.probe(), OnDrop(|| ()))).unwrap().cancel_on_drop());
    manual.run();
    assert_eq!(jobs.live(), 0);
    assert_eq!(processor.totals().settled.cancelled, 2);
    processor.pause();
    drop(processor.shutdown(Drain::Abort));
    let processor =
        Processor::builder().spawn_on(manual, |_: (), _: Context| async { Ok::<(), ()>(()) }).unwrap();
    assert_empty(&processor);
}
