//! Results of many tasks in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context as TaskContext, Poll, Waker};

use futures::StreamExt;
use futures::executor::block_on;

use super::kit::{Bell, Count, Manual, OnDrop, Probe, eventually, ms, on_every_runtime};
use crate::{Context, Drain, OutcomeKind, Processor, Refusal, Runtime, SleepRefusal, infallible};

on_every_runtime! {
    every_task_leaves_one_settlement
    the_room_counts_until_results_are_taken
    results_survive_the_end
    a_dropped_queue_drops_its_results
    values_of_a_dropped_queue_may_call_back
}

/// Sleeps for so many milliseconds, or panics.
type Nap = fn(Option<u64>, Context) -> Result<u64, SleepRefusal>;

fn naps(runtime: impl Runtime) -> Processor<Nap> {
    let nap = |millis: Option<u64>, cx: Context| async move {
        let millis = millis.unwrap();
        cx.sleep(ms(millis)).await.map(|()| millis)
    };
    Processor::builder().queue(1_000).concurrency(8).spawn_on(runtime, nap).unwrap()
}

fn every_task_leaves_one_settlement(runtime: impl Runtime) {
    let processor = naps(runtime);
    let mut queue = processor.completion_queue(100).unwrap();
    let mut expected = std::collections::BTreeMap::new();
    for n in 0..100 {
        let job = if n % 10 == 3 { None } else { Some(n % 4) };
        let delayed = n % 10 == 7;
        let task = processor.task(job).delay(ms(u64::from(delayed))).submit_to(&mut queue).unwrap();
        expected.insert(task, job);
    }
    assert_eq!(queue.submit(Some(0)).unwrap_err().into_parts(), (Refusal::Untaken, Some(0)));
    let cancelled = *expected.keys().last().unwrap();
    let was_cancelled = processor.cancel(cancelled).is_ok();
    block_on(async {
        while let Some(settled) = queue.next().await {
            let job = expected.remove(&settled.task).expect("settled once");
            match settled.kind() {
                OutcomeKind::Completed => assert_eq!(settled.result.unwrap(), job.unwrap()),
                OutcomeKind::Panicked => assert_eq!(job, None),
                OutcomeKind::Cancelled => assert!(was_cancelled && settled.task == cancelled),
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(expected.is_empty() && queue.is_empty());
    assert!(queue.submit(Some(0)).is_ok(), "it goes on");
    assert_eq!(block_on(queue.next()).unwrap().result, Ok(0));
    assert!(block_on(queue.next()).is_none());
    assert_eq!((processor.census().tasks, processor.census().callbacks), (0, 0));
}

fn the_room_counts_until_results_are_taken(runtime: impl Runtime) {
    let processor = naps(runtime);
    let mut queue = processor.completion_queue(2).unwrap();
    for _ in 0..2 {
        queue.submit(Some(0)).unwrap();
    }
    eventually("both are settled", || processor.is_idle());
    assert_eq!(queue.submit(Some(0)).unwrap_err().reason, Refusal::Untaken);
    assert_eq!((queue.len(), queue.capacity()), (2, 2));
    eventually("one is there", || queue.try_next().is_some());
    queue.submit(Some(1)).unwrap();
    assert_eq!(block_on(queue.by_ref().count()), 2);
    assert!(queue.try_next().is_none());
    assert_eq!(processor.completion_queue(0).unwrap().submit(None).unwrap_err().reason, Refusal::Untaken);
    assert!(processor.completion_queue(u32::MAX).is_err() || size_of::<usize>() > 8);
}

fn results_survive_the_end(runtime: impl Runtime) {
    let processor = naps(runtime);
    // More than one hold of the lock hands out, many times over.
    const MANY: usize = 1_000;
    let mut queue = processor.completion_queue(2_000).unwrap();
    for millis in [0, 0].into_iter().chain([3_600_000; MANY]) {
        queue.submit(Some(millis)).unwrap();
    }
    eventually("two are settled", || processor.totals().settled.total() == 2);
    let report = block_on(processor.shutdown(Drain::Abort));
    assert!(report.census.is_empty());
    let kinds: Vec<_> = block_on(queue.by_ref().map(|settled| settled.kind()).collect());
    let (done, stopped) = kinds.split_at(2);
    assert_eq!(done, [OutcomeKind::Completed; 2]);
    assert_eq!(stopped, [OutcomeKind::Cancelled; MANY]);
    assert_eq!(queue.submit(Some(1)).unwrap_err().reason, Refusal::Closed);
}

fn a_dropped_queue_drops_its_results(runtime: impl Runtime) {
    let live = Count::default();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime, infallible(|probe: Probe| async move { (probe.clone(), probe) }))
        .unwrap();
    let mut queue = processor.completion_queue(10).unwrap();
    for _ in 0..5 {
        queue.submit(live.probe()).unwrap();
    }
    eventually("all are settled", || processor.is_idle());
    assert!(queue.try_next().is_some());
    processor.pause();
    for _ in 0..5 {
        assert!(queue.submit(live.probe()).is_ok() || queue.try_next().is_some());
    }
    let queued = live.live();
    drop(queue);
    assert!(live.live() < queued);
    processor.resume();
    eventually("what was queued is dropped too", || live.live() == 0);
    assert_eq!(processor.totals().settled.completed, processor.totals().admitted);
}

fn values_of_a_dropped_queue_may_call_back(runtime: impl Runtime) {
    type Value = OnDrop<Box<dyn FnMut() + Send>>;
    let processor =
        Processor::builder().spawn_on(runtime, infallible(|value: Value| async move { value })).unwrap();
    let mut queue = processor.completion_queue(10).unwrap();
    processor.pause();
    let dropped = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let (submitter, dropped) = (processor.submitter(), dropped.clone());
        let calls_back = move || {
            submitter.census();
            dropped.fetch_add(1, SeqCst);
        };
        assert!(queue.submit(OnDrop(Box::new(calls_back))).is_ok());
    }
    drop(queue);
    processor.resume();
    eventually("all are dropped", || dropped.load(SeqCst) == 10);
}

#[test]
fn the_end_hands_out_all_that_no_worker_has() {
    // It is never polled.
    let manual = Manual::default();
    let processor =
        Processor::builder().spawn_on(manual.clone(), infallible(|n: u32| async move { n })).unwrap();
    let mut queue = processor.completion_queue(1_000).unwrap();
    for n in 0..1_000 {
        let task = queue.submit(n).unwrap();
        processor.cancel(task).unwrap();
    }
    drop(processor);
    assert_eq!(
        std::iter::from_fn(|| queue.try_next()).filter_map(|settled| settled.job).sum::<u32>(),
        499_500
    );
    assert!(queue.is_empty());
}

#[test]
fn a_consumer_is_woken_once_for_many_results() {
    let runtime = Manual::default();
    let processor =
        Processor::builder().spawn_on(runtime.clone(), infallible(|n: u32| async move { n })).unwrap();
    let mut queue = processor.completion_queue(500).unwrap();
    for n in 0..500 {
        queue.submit(n).unwrap();
    }
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    assert!(queue.poll_next_unpin(&mut TaskContext::from_waker(&waker)).is_pending());
    runtime.run();
    assert_eq!(bell.0.load(SeqCst), 1);
    let mut outputs: Vec<_> =
        std::iter::from_fn(|| queue.try_next()).map(|settled| settled.result.unwrap()).collect();
    outputs.sort_unstable();
    assert!(outputs.into_iter().eq(0..500));
    let end = queue.poll_next_unpin(&mut TaskContext::from_waker(&waker));
    assert!(matches!(end, Poll::Ready(None)));
    assert_eq!(bell.0.load(SeqCst), 1);
}
