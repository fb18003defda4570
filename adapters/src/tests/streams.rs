//! Streams of jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures::channel::mpsc;
use futures::executor::block_on;
use futures::future::FutureExt;
use futures::{StreamExt, stream};

use super::kit::{Count, Probe, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{Context, Drain, Processor, Refusal, SleepRefusal, infallible};

on_every_runtime! {
    every_job_is_processed_once
    the_order_is_kept
    no_job_is_pulled_without_room
    an_idle_stream_holds_no_room
    the_end_is_told
    what_is_dropped_drops_its_jobs
}

type Nap = fn(u64, Context) -> Result<u64, SleepRefusal>;

fn naps(runtime: AnyRuntime) -> Processor<Nap> {
    let nap = |millis: u64, cx: Context| async move { cx.sleep(ms(millis % 4)).await.map(|()| millis) };
    Processor::builder().queue(20).concurrency(4).spawn_on(runtime, nap).unwrap()
}

fn every_job_is_processed_once(runtime: AnyRuntime) {
    let processor = naps(runtime);
    for limit in [1, 7, 1_000] {
        let results = processor.process(stream::iter(0..300), limit).unwrap();
        let mut results: Vec<_> = block_on(results.map(|item| item.unwrap().result.unwrap()).collect());
        results.sort_unstable();
        assert!(results.into_iter().eq(0..300));
    }
    assert_eq!((processor.totals().admitted, processor.totals().refused), (900, 0));
    assert_eq!((processor.health().permits, processor.census().tasks), (0, 0));
}

fn the_order_is_kept(runtime: AnyRuntime) {
    let processor = naps(runtime);
    for limit in [1, 7, 1_000] {
        let results = processor.process_ordered(stream::iter(0..300), limit).unwrap();
        let results: Vec<_> = block_on(results.map(|item| item.unwrap().result.unwrap()).collect());
        assert!(results.into_iter().eq(0..300));
    }
    assert_eq!((processor.totals().admitted, processor.totals().refused), (900, 0));
    assert_eq!((processor.health().permits, processor.census().tasks), (0, 0));
}

fn no_job_is_pulled_without_room(runtime: AnyRuntime) {
    let processor = naps(runtime);
    processor.pause();
    let pulled = Arc::new(AtomicUsize::new(0));
    let jobs = |count: &Arc<AtomicUsize>| {
        let pulled = count.clone();
        stream::iter(0..100).inspect(move |_| {
            pulled.fetch_add(1, SeqCst);
        })
    };
    let mut few = processor.process(jobs(&pulled), 5).unwrap();
    assert!(few.next().now_or_never().is_none());
    assert_eq!((pulled.load(SeqCst), processor.free_room()), (5, 15), "as many as its limit");
    let mut many = processor.process_ordered(jobs(&pulled), 50).unwrap();
    assert!(many.next().now_or_never().is_none());
    assert_eq!((pulled.load(SeqCst), processor.free_room()), (20, 0), "as many as there is room for");
    processor.resume();
    let (few, many) = block_on(async { futures::join!(few.count(), many.count()) });
    assert_eq!((few, many, pulled.load(SeqCst)), (100, 100, 200));
}

fn an_idle_stream_holds_no_room(runtime: AnyRuntime) {
    let processor = naps(runtime);
    let (sender, receiver) = mpsc::unbounded();
    let mut results = processor.process(receiver, 10).unwrap();
    assert!(results.next().now_or_never().is_none());
    assert_eq!((processor.health().permits, processor.free_room()), (0, 24));
    sender.unbounded_send(3).unwrap();
    assert_eq!(block_on(results.next()).unwrap().unwrap().result, Ok(3));
    sender.unbounded_send(4).unwrap();
    drop(sender);
    assert_eq!(block_on(results.next()).unwrap().unwrap().result, Ok(4));
    assert!(block_on(results.next()).is_none());
}

fn the_end_is_told(runtime: AnyRuntime) {
    let processor = naps(runtime);
    processor.pause();
    let mut jobs = stream::iter(0..100);
    let mut ordered = stream::iter(0..100);
    {
        let mut results = processor.process(&mut jobs, 10).unwrap();
        let mut in_order = processor.process_ordered(&mut ordered, 5).unwrap();
        assert!(results.next().now_or_never().is_none() && in_order.next().now_or_never().is_none());
        let report = block_on(processor.shutdown(Drain::Cancel));
        assert_eq!(report.remains.cancelled, 15);
        let items: Vec<_> = block_on(results.by_ref().collect());
        assert!(items.iter().take(10).all(|item| item.as_ref().is_ok_and(|settled| settled.job.is_some())));
        assert!(matches!(items.last(), Some(Err(refused)) if refused.reason == Refusal::Closed));
        assert_eq!(items.len(), 11);
        let items: Vec<_> = block_on(in_order.by_ref().collect());
        assert!(items.iter().take(5).all(|item| item.as_ref().is_ok_and(|settled| settled.job.is_some())));
        assert!(matches!(items.last(), Some(Err(refused)) if refused.reason == Refusal::Closed));
        assert_eq!(items.len(), 6);
        assert!(block_on(results.next()).is_none() && block_on(in_order.next()).is_none());
    }
    assert_eq!((block_on(jobs.next()), block_on(ordered.next())), (Some(10), Some(5)), "the rest is there");
}

fn what_is_dropped_drops_its_jobs(runtime: AnyRuntime) {
    let live = Count::default();
    let builder = Processor::builder().queue(10).concurrency(1);
    let processor = builder.spawn_on(runtime, infallible(|probe: Probe| async move { probe })).unwrap();
    let jobs: Vec<_> = (0..50).map(|_| live.probe()).collect();
    let mut results = processor.process(stream::iter(jobs), 5).unwrap();
    assert!(block_on(results.next()).unwrap().is_ok());
    drop(results);
    eventually("all are dropped", || live.live() == 0);
    assert_eq!(processor.health().permits, 0);
}
