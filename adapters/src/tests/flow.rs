//! What flows in and out beside tasks: backpressure, emitters, subscriptions, the cache, steering.

use std::future::{Future, pending};
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use futures::StreamExt;
use futures::executor::block_on;

use super::kit::{Count, Manual, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{
    AttachRefusal, BuildError, Builder, Cache, CacheLimits, Context, Drain, Emitter, ErrorKind, Event,
    Events, FeedRefusal, Hold, Limits, Notice, Options, Policy, Processor, Refusal, SubscribeRefusal,
    TaskError,
};

on_every_runtime! {
    waiting_for_room_is_first_come_first_served
    a_full_processor_hands_the_job_back
    sources_feed_and_only_their_listeners_go
    subscriptions_end_with_the_processor
    health_comes_in_intervals_and_stops
    pausing_and_the_concurrency_limit_hold_back
    the_cache_ends_with_the_processor
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut TaskContext::from_waker(Waker::noop()))
}

fn waiting_for_room_is_first_come_first_served(runtime: AnyRuntime) {
    let order = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let started = order.clone();
    let processor = Processor::builder()
        .queue(0)
        .concurrency(1)
        .waiters(3)
        .spawn_on(runtime, move |n: u32, _: Context| {
            started.lock().unwrap().push(n);
            async move { if n < 100 { pending().await } else { Ok::<u32, ()>(n) } }
        })
        .unwrap();
    let running = processor.submit(0).unwrap();
    eventually("it runs", || order.lock().unwrap().len() == 1);
    let mut first = processor.submit_wait(101);
    let mut second = processor.submit_wait(102);
    let mut third = processor.submit_wait(103);
    assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending() && poll(&mut third).is_pending());
    let fourth = block_on(processor.submit_wait(104)).unwrap_err();
    assert_eq!((fourth.reason, fourth.into_value()), (Refusal::Full, 104));
    assert_eq!(processor.submit(105).unwrap_err().reason, Refusal::Full);
    // One that gives up while it waits loses nobody's place.
    drop(second);
    assert_eq!(processor.census().waiters, 2);
    running.cancel().unwrap();
    eventually("room was granted", || processor.census().permits == 1);
    // One that gives up after room was granted hands it to the next.
    drop(first);
    let handle = block_on(third).unwrap();
    assert_eq!(block_on(handle), Ok(103));
    assert_eq!(*order.lock().unwrap(), [0, 103]);
    assert_eq!((processor.census().waiters, processor.census().permits), (0, 0));

    // The end tells those who wait, and hands the job back.
    let running = processor.submit(1).unwrap();
    let mut waiting = processor.submit_wait(106);
    assert!(poll(&mut waiting).is_pending());
    drop(processor);
    let refused = block_on(waiting).unwrap_err();
    assert_eq!((refused.reason, refused.into_value()), (Refusal::Closed, 106));
    assert!(block_on(running).is_err());
}

fn a_full_processor_hands_the_job_back(runtime: AnyRuntime) {
    let jobs = Count::default();
    let processor = Processor::builder()
        .queue(1)
        .concurrency(1)
        .unclaimed(1)
        .spawn_on(runtime, |_: super::kit::Probe, _: Context| pending::<Result<(), ()>>())
        .unwrap();
    let called = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    processor.task(jobs.probe()).post().unwrap();
    let _handle = processor.submit(jobs.probe()).unwrap();
    let seen = called.clone();
    let refused = processor
        .task(jobs.probe())
        .call(move |_| seen.store(true, std::sync::atomic::Ordering::SeqCst))
        .unwrap_err();
    assert_eq!(refused.reason, Refusal::Full);
    drop(refused);
    assert!(!called.load(std::sync::atomic::Ordering::SeqCst));
    let unclaimed = block_on(processor.submit_wait(jobs.probe())).unwrap_err();
    assert_eq!(unclaimed.reason, Refusal::Unclaimed);
    assert_eq!(processor.task(jobs.probe()).retain().unwrap_err().reason, Refusal::NotRetained);
    drop(unclaimed);
    // The future without end has never looked at its job, so that is gone; the other one waits.
    eventually("it runs", || jobs.live() == 1);
    let totals = processor.totals();
    assert_eq!((totals.offered, totals.refused, totals.admitted), (5, 3, 2));
}

fn sources_feed_and_only_their_listeners_go(runtime: AnyRuntime) {
    let events = Events::new();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let strangers = (
        events.on_task(Box::new(|job| Err(crate::Refused::new(FeedRefusal::Detached, job)))),
        events.on_batch(Box::new(|jobs| Err(crate::Refused::new(FeedRefusal::Detached, jobs)))),
        events.on_error(Box::new({
            let seen = seen.clone();
            move |message| seen.lock().unwrap().push(message.to_owned())
        })),
    );
    let processor = Processor::builder()
        .queue(3)
        .concurrency(1)
        .emitters(2)
        .spawn_on(runtime, |_: u32, _: Context<u32>| pending::<Result<(), ()>>())
        .unwrap();
    let first = processor.attach_with(&events, |job| Options::new(job * 10)).unwrap();
    let second = processor.attach(&events).unwrap();
    assert_eq!(processor.attach(&events).unwrap_err(), AttachRefusal::Full);
    assert_eq!(events.listener_counts(), [3, 3, 3]);
    assert_eq!(processor.census().emitters, 2);

    assert!(events.emit_task(1).is_ok());
    events.emit_error("it broke");
    assert_eq!(*seen.lock().unwrap(), ["it broke"]);
    let error = processor.last_error().unwrap();
    assert_eq!((error.kind, error.message.as_str(), error.streak), (ErrorKind::Emitter, "it broke", 2));
    assert_eq!(events.emit_batch(vec![2, 3, 4, 5, 6]), Err(vec![5, 6]));
    assert_eq!(events.emit_task(7).unwrap_err().into_value(), 7);
    let fed = first.fed().unwrap();
    assert_eq!((fed.admitted, fed.refused, fed.errors), (4, 3, 1));
    // What the first did not take was offered to the second.
    let fed = second.detach().unwrap();
    assert_eq!((fed.admitted, fed.refused, fed.errors), (0, 3, 1));
    assert_eq!(events.listener_counts(), [2, 2, 2]);
    assert_eq!(processor.ledger().listeners.live(), 3);
    drop(processor);
    assert_eq!(events.listener_counts(), [1, 1, 1]);
    assert_eq!((first.fed(), first.detach()), (None, None));
    assert_eq!(events.emit_task(8).unwrap_err().reason, FeedRefusal::Detached);
    drop(strangers);
    assert_eq!(events.listener_counts(), [0, 0, 0]);
    assert_eq!(events.emit_batch(vec![9]), Err(vec![9]));
}

fn subscriptions_end_with_the_processor(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .subscribers(2)
        .events(8)
        .spawn_on(runtime, |_: (), _: Context<u8>| async { Ok::<(), ()>(()) })
        .unwrap();
    let mut events = processor.subscribe().unwrap();
    let silent = processor.subscribe().unwrap();
    assert_eq!(processor.subscribe().unwrap_err(), SubscribeRefusal::Full);
    drop(silent);
    assert_eq!(processor.census().subscribers, 1);
    let handle = processor.task(()).options(Options::new(7)).submit().unwrap();
    let task = handle.id();
    assert_eq!(block_on(handle), Ok(()));
    assert_eq!(block_on(events.next()), Some(Notice::Event(Event::Admitted { task, meta: 7 })));
    assert!(matches!(block_on(events.next()), Some(Notice::Event(Event::Started { meta: 7, .. }))));
    assert!(matches!(block_on(events.next()), Some(Notice::Event(Event::Settled { meta: 7, .. }))));
    assert_eq!(events.try_next(), Some(None));
    for _ in 0..5 {
        assert_eq!(block_on(processor.submit(()).unwrap()), Ok(()));
    }
    assert_eq!(block_on(events.next()), Some(Notice::Lagged(7)));

    let waiting = std::thread::spawn(move || {
        block_on(async {
            let mut draining = false;
            while let Some(notice) = events.next().await {
                draining |= matches!(notice, Notice::Event(Event::Draining));
            }
            draining
        })
    });
    std::thread::sleep(ms(5));
    let submitter = processor.submitter();
    let report = block_on(processor.shutdown(Drain::graceful(ms(1_000))));
    assert!(waiting.join().unwrap(), "it reads what came last before the end");
    assert!(submitter.census().is_empty() && submitter.ledger().subscribers.live() == 0);
    assert_eq!(report.remains.discarded, 0);
}

fn health_comes_in_intervals_and_stops(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .health_every(ms(5))
        .spawn_on(runtime, |_: (), _: Context| async { Ok::<(), ()>(()) })
        .unwrap();
    let mut events = processor.subscribe().unwrap();
    for _ in 0..3 {
        let Some(Notice::Health(health)) = block_on(events.next()) else { panic!("no health") };
        assert_eq!((health.hold, health.running), (Hold::None, 0));
    }
    let census = processor.census();
    assert_eq!((census.timers, census.intervals), (1, 1));
    let submitter = processor.submitter();
    drop(processor);
    assert_eq!(submitter.census().timers, 0);
    let published = submitter.totals().events;
    std::thread::sleep(ms(20));
    assert_eq!(submitter.totals().events, published);
    assert_eq!(submitter.subscribe().unwrap_err(), SubscribeRefusal::Closed);
}

fn pausing_and_the_concurrency_limit_hold_back(runtime: AnyRuntime) {
    let running = Count::default();
    let counted = running.clone();
    let processor = Processor::builder()
        .concurrency(4)
        .prefetch(1)
        .spawn_on(runtime, move |_: (), _: Context| {
            let probe = counted.probe();
            async move {
                pending::<()>().await;
                drop(probe);
                Ok::<(), ()>(())
            }
        })
        .unwrap();
    processor.pause();
    for _ in 0..10 {
        processor.task(()).post().unwrap();
    }
    std::thread::sleep(ms(10));
    assert_eq!((running.live(), processor.is_paused(), processor.health().hold), (0, true, Hold::Paused));
    assert_eq!(processor.set_concurrency(2), 2);
    processor.resume();
    eventually("two run", || running.live() == 2);
    std::thread::sleep(ms(10));
    assert_eq!((running.live(), processor.concurrency()), (2, 2));
    assert_eq!(processor.set_concurrency(99), 4);
    eventually("four run", || running.live() == 4);
    assert_eq!(processor.census().queued, 6);
}

fn the_cache_ends_with_the_processor(runtime: AnyRuntime) {
    let values = Count::default();
    let limits = CacheLimits { entries: 2, ttl: Some(ms(40)), policy: Policy::Lru, ..CacheLimits::default() };
    let cache = Cache::<String, super::kit::Probe>::new(limits).unwrap();
    let inside = cache.clone();
    let processor = Processor::builder()
        .cache(&cache)
        .sweep_every(ms(5))
        .spawn_on(runtime, move |key: String, _: Context| {
            let cache = inside.clone();
            async move { cache.get(&key).map(drop).ok_or(key) }
        })
        .unwrap();
    assert!(cache.insert("a".to_owned(), values.probe()) && cache.insert("b".to_owned(), values.probe()));
    assert_eq!(block_on(processor.submit("a".to_owned()).unwrap()), Ok(()));
    // Looking without using it changes nothing.
    assert!(cache.peek("b").is_some() && cache.peek("z").is_none());
    assert!(cache.insert("c".to_owned(), values.probe()));
    // "b" was the least recently used.
    assert_eq!(block_on(processor.submit("b".to_owned()).unwrap()), Err(TaskError::Failed("b".to_owned())));
    assert_eq!((values.live(), processor.census().cached, cache.len()), (2, 2, 2));
    assert!(cache.remove("a").is_some());
    eventually("the rest has expired and was swept", || values.live() == 0);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.evicted, stats.expired, stats.removed), (1, 1, 1, 1, 1));
    assert!(cache.insert("d".to_owned(), values.probe()));
    let account = processor.ledger().cache;
    assert_eq!((account.entered, account.left, account.highest, account.bound), (4, 3, 2, 2));
    let report = block_on(processor.shutdown(Drain::Abort));
    assert_eq!((report.census.cached, report.remains.cached, report.ledger.cache.live()), (0, 1, 0));
    assert_eq!((values.live(), cache.len()), (0, 0));
    assert!(!cache.insert("e".to_owned(), values.probe()));
    assert_eq!(values.live(), 0);
}

#[test]
fn a_cache_that_cannot_be_is_refused() {
    let is_limit =
        |error| matches!(error, Err(BuildError::Limits(limits)) if limits.field == "cache.entries");
    let many = CacheLimits { entries: u32::MAX, ..CacheLimits::default() };
    assert!(is_limit(Cache::<u8, u8>::new(many).map(drop)));
    let build =
        |builder: Builder| builder.spawn_on(Manual::default(), |_: ()| async { Ok::<(), ()>(()) }).map(drop);
    let few = CacheLimits { entries: 1, ..CacheLimits::default() };
    // A cache of the machine's own could not be reached.
    let mut limits = Limits::default();
    limits.cache = few;
    assert!(is_limit(build(Processor::builder().limits(limits))));
    let cache = Cache::<u8, u8>::new(few).unwrap();
    assert_eq!(build(Processor::builder().cache(&cache)), Ok(()));
    assert_eq!(build(Processor::builder().cache(&cache)), Err(BuildError::Cache));
}

#[test]
fn listeners_may_remove_themselves_and_emit() {
    let events = Events::<u32>::new();
    let slot = std::sync::Arc::new(std::sync::Mutex::new(None));
    let (again, own) = (events.clone(), slot.clone());
    let registration = events.on_task(Box::new(move |job| {
        let registration = own.lock().unwrap().take();
        drop::<Option<crate::Registration>>(registration);
        if job > 0 { again.emit_task(job - 1) } else { Ok(()) }
    }));
    *slot.lock().unwrap() = Some(registration);
    assert_eq!(events.emit_task(1).unwrap_err().into_value(), 0);
    assert_eq!(events.listener_counts(), [0, 0, 0]);
}
