//! Room that is set aside.

use std::pin::{Pin, pin};

use futures::executor::block_on;
use futures::future::{FutureExt, join_all};
use futures::{SinkExt, StreamExt};

use super::kit::{Count, Manual, Probe, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{Context, Drain, Options, Processor, Refusal, ReserveRefusal, Retry, TaskError, infallible};

on_every_runtime! {
    a_place_is_nobody_elses
    what_is_refused_for_its_terms_leaves_its_place
    the_line_is_served_in_its_order
    the_end_takes_all_permits
    jobs_that_fit_are_submitted_together
    a_sink_holds_back
}

type Echo = fn(u32) -> Result<u32, std::convert::Infallible>;

/// With room for so many tasks that wait, and none of them started.
fn paused(runtime: AnyRuntime, queue: u32) -> Processor<Echo> {
    let builder = Processor::builder().queue(queue).concurrency(2).delayed(1).waiters(3);
    let processor = builder.spawn_on(runtime, infallible(|n: u32| async move { n })).unwrap();
    processor.pause();
    processor
}

fn a_place_is_nobody_elses(runtime: AnyRuntime) {
    let processor = paused(runtime, 4);
    let mut permit = processor.try_reserve(3).unwrap();
    assert_eq!((permit.places(), processor.health().permits, processor.free_room()), (3, 3, 1));
    let other = processor.submit(0).unwrap();
    assert_eq!(processor.submit(9).unwrap_err().into_parts(), (Refusal::Full, 9));
    assert_eq!(processor.try_reserve(1).unwrap_err(), ReserveRefusal::Full);
    assert_eq!(processor.try_reserve(7).unwrap_err(), ReserveRefusal::TooMany);
    let handles = [1, 2].map(|job| permit.submit(job).unwrap());
    assert_eq!((permit.places(), processor.health().permits, processor.free_room()), (1, 1, 0));
    drop(permit);
    assert_eq!((processor.health().permits, processor.free_room()), (0, 1));
    let mut last = processor.try_reserve(1).unwrap();
    last.task(3).post().unwrap();
    assert_eq!(last.submit(4).unwrap_err().into_parts(), (Refusal::UsedUp, 4));
    assert_eq!(processor.try_reserve(0).unwrap().places(), 0);
    processor.resume();
    for (n, handle) in [other].into_iter().chain(handles).enumerate() {
        assert_eq!(block_on(handle).map(|n| n as usize), Ok(n));
    }
}

fn what_is_refused_for_its_terms_leaves_its_place(runtime: AnyRuntime) {
    let processor = paused(runtime, 2);
    let mut permit = processor.try_reserve(2).unwrap();
    let refused = permit.task(1).timeout(ms(0)).submit().unwrap_err();
    assert_eq!(refused.into_parts(), (Refusal::ZeroTimeout, 1));
    let refused = permit.task(2).retry(Retry::times(5)).post().unwrap_err();
    assert_eq!(refused.into_parts(), (Refusal::Attempts, 2));
    let refused = permit.task(3).retain().unwrap_err();
    assert_eq!(refused.into_parts(), (Refusal::NotRetained, 3));
    permit.task(4).delay(ms(3_600_000)).post().unwrap();
    assert_eq!(permit.places(), 1);
    assert_eq!(permit.task(5).delay(ms(3_600_000)).post().unwrap_err().reason, Refusal::Delayed);
    assert_eq!((permit.places(), processor.health().permits), (1, 1));
    permit.submit(6).unwrap().detach();
    assert_eq!(processor.health().permits, 0);
}

fn the_line_is_served_in_its_order(runtime: AnyRuntime) {
    let processor = paused(runtime, 2);
    let held = processor.try_reserve(2).unwrap();
    let mut first = pin!(processor.reserve_many(2));
    let mut second = pin!(processor.reserve());
    let mut third = pin!(processor.reserve());
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    assert_eq!(third.as_mut().now_or_never().unwrap().unwrap_err(), ReserveRefusal::Waiters);
    assert_eq!(processor.submit(1).unwrap_err().reason, Refusal::Full);
    drop(held);
    let mut permit = block_on(first.as_mut()).unwrap();
    assert!(second.as_mut().now_or_never().is_none(), "it waits for two places that are taken");
    permit.submit(2).unwrap().detach();
    drop(permit);
    let permit = block_on(second).unwrap();
    assert_eq!((permit.places(), processor.health().permits), (1, 1));
    // One that leaves the line, or was granted room that it has not seen, gives it to the next.
    let mut leaves = Box::pin(processor.reserve());
    assert!(leaves.as_mut().now_or_never().is_none());
    let mut next = pin!(processor.submit_wait(3));
    assert!(next.as_mut().now_or_never().is_none());
    drop(permit);
    eventually("the first has room", || processor.health().permits == 1);
    drop(leaves);
    let handle = block_on(next).unwrap();
    processor.resume();
    assert_eq!(block_on(handle), Ok(3));
}

fn the_end_takes_all_permits(runtime: AnyRuntime) {
    let processor = paused(runtime, 2);
    let submitter = processor.submitter();
    let mut permit = processor.try_reserve(1).unwrap();
    let _other = processor.try_reserve(1).unwrap();
    let waiting = submitter.reserve();
    let waiter = std::thread::spawn(move || block_on(waiting).map(|permit| permit.places()));
    eventually("it waits", || submitter.census().waiters > 2);
    let report = block_on(processor.shutdown(Drain::graceful(ms(60_000))));
    assert_eq!(waiter.join().unwrap(), Err(ReserveRefusal::Closed));
    assert_eq!(permit.submit(1).unwrap_err().into_parts(), (Refusal::Closed, 1));
    assert!(report.census.is_empty());
    assert_eq!(block_on(submitter.reserve()).unwrap_err(), ReserveRefusal::Closed);
}

fn jobs_that_fit_are_submitted_together(runtime: AnyRuntime) {
    let processor = paused(runtime, 150);
    let mut queue = processor.completion_queue(140).unwrap();
    let mut jobs = 0..200;
    let submitted = queue.submit_many(&mut jobs, &Options::default(), |_| ());
    assert_eq!(
        (submitted.tasks, submitted.stopped, submitted.refused),
        (140, Some(Refusal::Untaken), vec![])
    );
    let submitted = processor.post_many(&mut jobs, &Options::default(), |_| ());
    assert_eq!((submitted.tasks, submitted.stopped, jobs.clone()), (10, Some(Refusal::Full), 150..200));
    let zero = Options::default().timeout(ms(0));
    processor.resume();
    eventually("there is room", || processor.free_room() > 1);
    let submitted = processor.post_many(&mut jobs, &zero, |_| ());
    assert_eq!(
        (submitted.tasks, submitted.stopped, submitted.refused, jobs.clone()),
        (0, Some(Refusal::ZeroTimeout), vec![], 150..200)
    );
    let mut results: Vec<_> = block_on(queue.by_ref().map(|settled| settled.result.unwrap()).collect());
    results.sort_unstable();
    assert!(results.into_iter().eq(0..140));
    let submitted = queue.submit_many(&mut jobs, &Options::default(), |_| ());
    assert_eq!((submitted.tasks, submitted.stopped, jobs.next()), (50, None, None));
    // Those of which no room was had for what they ask besides come back.
    let late = Options::default().delay(ms(3_600_000));
    let submitted = processor.post_many(&mut (0..3), &late, |_| ());
    assert_eq!(
        (submitted.tasks, submitted.stopped, submitted.refused),
        (1, Some(Refusal::Delayed), vec![1, 2])
    );
    assert_eq!(processor.health().permits, 0);
    drop(processor);
    let submitted = queue.submit_many(&mut (0..3), &Options::default(), |_| ());
    assert_eq!((submitted.tasks, submitted.stopped), (0, Some(Refusal::Closed)));
}

fn a_sink_holds_back(runtime: AnyRuntime) {
    let processor = paused(runtime, 3);
    let mut sink = processor.sink(Options::default());
    block_on(async {
        for job in 0..3 {
            sink.feed(job).await.unwrap();
        }
        sink.flush().await.unwrap();
        assert!(sink.feed(3).now_or_never().is_none());
    });
    processor.resume();
    block_on(async {
        sink.send_all(&mut futures::stream::iter(4..100).map(Ok)).await.unwrap();
        sink.close().await.unwrap();
        processor.idle().await;
    });
    assert_eq!((processor.totals().settled.completed, processor.health().permits), (99, 0));
    assert_eq!(Pin::new(&mut sink).start_send_unpin(1).unwrap_err().into_parts(), (Refusal::UsedUp, Some(1)));
    drop(processor);
    assert_eq!(block_on(sink.send(1)).unwrap_err().into_parts(), (Refusal::Closed, None));
}

#[test]
fn waiters_are_refused_when_nobody_takes_results() {
    let builder = Processor::builder().queue(10).concurrency(1).unclaimed(2);
    let manual = Manual::default();
    let processor = builder.spawn_on(manual.clone(), infallible(|n: u32| async move { n })).unwrap();
    let handles = [1, 2].map(|n| processor.submit(n).unwrap());
    assert_eq!(block_on(processor.reserve()).unwrap_err(), ReserveRefusal::Unclaimed);
    drop(handles);
    let mut permit = processor.try_reserve(1).unwrap();
    let handle = processor.submit(3).unwrap();
    assert_eq!(processor.submit(4).unwrap_err().reason, Refusal::Unclaimed, "one place is reserved");
    let reserved = permit.submit(5).unwrap();
    manual.run();
    assert_eq!((block_on(handle), block_on(reserved)), (Ok(3), Ok(5)));
}

#[test]
fn a_panicking_iterator_gives_its_room_back() {
    let live = Count::default();
    let manual = Manual::default();
    let processor = Processor::builder()
        .spawn_on(manual.clone(), infallible(|probe: Probe| async move { probe }))
        .unwrap();
    let mut jobs = (0..100).map(|n| if n == 70 { panic!("in the iterator") } else { live.probe() });
    let submit = || processor.post_many(&mut jobs, &Options::default(), |_| ()).tasks;
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(submit)).is_err());
    assert_eq!((processor.totals().admitted, processor.health().permits), (64, 0));
    manual.run();
    assert_eq!(live.live(), 0);
}

#[test]
fn waiting_at_the_same_time_on_one_thread() {
    let sim = crate::runtime::sim::Sim::new(3);
    let processor = Processor::builder()
        .queue(3)
        .concurrency(2)
        .spawn_on(sim.clone(), |n: u32, cx: Context| async move { cx.sleep(ms(5)).await.map(|()| n) })
        .unwrap();
    let results = sim
        .block_on(async {
            let work = async |n| processor.reserve().await.unwrap().submit(n).unwrap().await;
            let tasks = (0..50).map(work);
            let (all, cancelled) = futures::join!(join_all(tasks), async {
                processor.task(99).delay(ms(60_000)).submit().unwrap().cancel_on_drop().id()
            });
            assert!(processor.cancel(cancelled).is_err());
            all
        })
        .unwrap();
    assert!(
        results
            .into_iter()
            .zip(0..)
            .all(|(result, n)| result == Ok(n) || result == Err(TaskError::Cancelled(None)))
    );
}
