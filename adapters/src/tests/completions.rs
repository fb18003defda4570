//! Results of many tasks in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context as TaskContext, Poll, Waker};

use futures::executor::block_on;
use futures::{FutureExt, StreamExt};

use super::kit::{Bell, Count, Manual, OnDrop, Probe, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{
    CompletionQueue, Context, Drain, Options, OutcomeKind, Processor, Refusal, SleepRefusal, infallible,
};

on_every_runtime! {
    every_task_leaves_one_settlement
    the_room_counts_until_results_are_taken
    results_survive_the_end
    a_dropped_queue_drops_its_results
    values_of_a_dropped_queue_may_call_back
    a_queue_gets_nothing_of_one_that_was_dropped_before
    many_results_are_waited_for_at_a_time
    each_job_of_a_batch_has_metadata_of_its_own
}

/// Sleeps for so many milliseconds, or panics.
type Nap = fn(Option<u64>, Context) -> Result<u64, SleepRefusal>;

fn naps(runtime: AnyRuntime) -> Processor<Nap> {
    let nap = |millis: Option<u64>, cx: Context| async move {
        let millis = millis.unwrap();
        cx.sleep(ms(millis)).await.map(|()| millis)
    };
    Processor::builder().queue(1_000).concurrency(8).spawn_on(runtime, nap).unwrap()
}

fn every_task_leaves_one_settlement(runtime: AnyRuntime) {
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

fn the_room_counts_until_results_are_taken(runtime: AnyRuntime) {
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

fn results_survive_the_end(runtime: AnyRuntime) {
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

fn a_dropped_queue_drops_its_results(runtime: AnyRuntime) {
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

fn values_of_a_dropped_queue_may_call_back(runtime: AnyRuntime) {
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

fn a_queue_gets_nothing_of_one_that_was_dropped_before(runtime: AnyRuntime) {
    let processor = naps(runtime);
    processor.pause();
    let mut first = processor.completion_queue(10).unwrap();
    for _ in 0..10 {
        first.submit(Some(0)).unwrap();
    }
    drop(first);
    let mut second = processor.completion_queue(1).unwrap();
    let task = second.submit(Some(1)).unwrap();
    processor.resume();
    assert_eq!(block_on(second.next()).map(|settled| settled.task), Some(task));
    eventually("all are settled", || processor.is_idle());
    assert!(second.try_next().is_none());
    assert_eq!(processor.shared.count_queues(), 1, "of the first one nothing is kept");
    drop(second);
    assert_eq!(processor.shared.count_queues(), 0);
}

fn many_results_are_waited_for_at_a_time(runtime: AnyRuntime) {
    let processor = naps(runtime);
    let mut queue = processor.completion_queue(100).unwrap();
    block_on(queue.ready(5));
    assert!(queue.is_empty(), "there was nothing to be waited for");
    for wanted in [1, 40, 100, 1_000] {
        for millis in 0..100 {
            queue.submit(Some(millis % 3)).unwrap();
        }
        while !queue.is_empty() {
            let expected = wanted.min(queue.len());
            block_on(queue.ready(wanted));
            // More may be there.
            assert_eq!(std::iter::from_fn(|| queue.try_next()).take(expected).count(), expected);
        }
    }
    queue.submit(Some(3_600_000)).unwrap();
    assert!(queue.ready(1).now_or_never().is_none());
    drop(processor);
    block_on(queue.ready(1));
    assert_eq!(queue.try_next().map(|settled| settled.kind()), Some(OutcomeKind::Cancelled));
}

fn each_job_of_a_batch_has_metadata_of_its_own(runtime: AnyRuntime) {
    let builder = Processor::builder().queue(1_000).concurrency(8);
    let processor =
        builder.spawn_on(runtime, |n: u32, _: Context<u64>| async move { Err::<u32, _>(n) }).unwrap();
    let mut queue = processor.completion_queue(300).unwrap();
    let (mut jobs, mut next) = (0..200, 0);
    let submitted = queue.submit_many(&mut jobs, &Options::default(), |job| {
        assert_eq!(*job, next);
        next += 1;
        u64::from(*job) + 7
    });
    assert_eq!((submitted.tasks, submitted.stopped, queue.len()), (200, None, 200));
    let mut results: Vec<_> = block_on(
        queue.map(|settled| (settled.result.unwrap_err().into_failed().unwrap(), settled.meta)).collect(),
    );
    results.sort_unstable();
    assert!(results.into_iter().eq((0..200).map(|n| (n, u64::from(n) + 7))));
}

#[test]
fn a_batch_that_fits_exactly_is_not_stopped() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .queue(64)
        .concurrency(64)
        .spawn_on(manual.clone(), infallible(|n: u32| async move { n }))
        .unwrap();
    let mut queue = processor.completion_queue(1_000).unwrap();
    let room = processor.free_room();
    let submitted = queue.submit_many(&mut (0..room), &Options::default(), |_| ());
    assert_eq!((submitted.tasks as u32, submitted.stopped), (room, None));
    assert_eq!(queue.submit_many(&mut (0..1), &Options::default(), |_| ()).stopped, Some(Refusal::Full));
    manual.run();
    assert_eq!(std::iter::from_fn(|| queue.try_next()).count() as u32, room);
    assert_eq!(processor.health().permits, 0);
}

#[test]
fn a_queue_counts_its_tasks_though_the_iterator_panics() {
    let manual = Manual::default();
    let processor =
        Processor::builder().spawn_on(manual.clone(), infallible(|n: u32| async move { n })).unwrap();
    let mut queue = processor.completion_queue(200).unwrap();
    let mut jobs = (0..150).inspect(|n| assert!(*n != 70, "in the iterator"));
    let submit = || queue.submit_many(&mut jobs, &Options::default(), |_| ()).tasks;
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(submit)).is_err());
    assert_eq!((queue.len(), processor.totals().admitted, processor.health().permits), (64, 64, 0));
    let submitted = queue.submit_many(&mut (200..210), &Options::default(), |_| ());
    assert_eq!((submitted.tasks, submitted.refused, queue.len()), (10, vec![], 74));
    manual.run();
    let mut outputs: Vec<_> =
        std::iter::from_fn(|| queue.try_next()).map(|settled| settled.result.unwrap()).collect();
    outputs.sort_unstable();
    assert!(outputs.into_iter().eq((0..64).chain(200..210)), "what was pulled before is not submitted now");
    assert!(queue.is_empty());
    drop(queue);
    assert_eq!(processor.shared.count_queues(), 0);
}

#[test]
fn a_consumer_is_woken_when_there_are_as_many_as_it_waits_for() {
    let runtime = Manual::default();
    let processor =
        Processor::builder().spawn_on(runtime.clone(), infallible(|n: u32| async move { n })).unwrap();
    let mut queue = processor.completion_queue(100).unwrap();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let poll = |queue: &mut CompletionQueue<_>, wanted| {
        queue.ready(wanted).poll_unpin(&mut TaskContext::from_waker(&waker)).is_ready()
    };
    let submit = |queue: &mut CompletionQueue<_>, count| {
        for n in 0..count {
            queue.submit(n).unwrap();
        }
    };
    submit(&mut queue, 3);
    runtime.run();
    processor.pause();
    let tasks = [0; 4].map(|n| queue.submit(n).unwrap());
    assert!(poll(&mut queue, 3) && !poll(&mut queue, 5));
    for (rings, task) in [(0, tasks[0]), (1, tasks[1]), (1, tasks[2])] {
        processor.cancel(task).unwrap();
        runtime.run();
        assert_eq!(bell.0.load(SeqCst), rings, "when there are five");
    }
    assert!(poll(&mut queue, 5) && !poll(&mut queue, 8), "there are no more than seven");
    processor.resume();
    runtime.run();
    assert_eq!(bell.0.load(SeqCst), 2);
    assert!(poll(&mut queue, 8));
    // One at hand counts.
    assert!(queue.try_next().is_some());
    submit(&mut queue, 1);
    assert!(!poll(&mut queue, 7));
    runtime.run();
    assert_eq!(bell.0.load(SeqCst), 3);
    assert!(poll(&mut queue, 7));
    assert_eq!(std::iter::from_fn(|| queue.try_next()).count(), 7);
}

#[test]
fn submissions_and_results_take_few_holds() {
    let runtime = Manual::default();
    let processor = Processor::builder()
        .queue(1_000)
        .spawn_on(runtime.clone(), infallible(|n: u32| async move { n }))
        .unwrap();
    let mut queue = processor.completion_queue(640).unwrap();
    let before = processor.shared.holds();
    assert_eq!(queue.submit_many(&mut (0..640), &Options::default(), |_| ()).tasks, 640);
    let submitted = processor.shared.holds();
    assert_eq!(submitted - before, 20, "64 in two holds: for the room, and for the tasks");
    runtime.run();
    let settled = processor.shared.holds();
    assert_eq!(std::iter::from_fn(|| queue.try_next()).count(), 640);
    // The first one takes all, the last one sees that there are no more.
    assert_eq!(processor.shared.holds() - settled, 2);
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
