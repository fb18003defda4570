//! Spans of attempts: what they say, and that a submitter's span is held no longer than its task.

use std::future::{Future, pending};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use futures::StreamExt;
use plimsoll::runtime::sim::Sim;
use plimsoll::source::{Abilities, Delivery, Pull, Pulled, Settling, Source, SourceLimits};
use plimsoll::{
    Batch, Batching, Builder, Cloning, Context, Drain, Events, Overflow, Processor, Retry, Spawned, Timeouts,
    batched,
};

use crate::ms;
use crate::spans::{Seen, Spans};

type Work = fn(u64, Context) -> Result<u64, String>;

fn builder() -> Builder<Cloning> {
    let retry = Retry::NONE.fixed(ms(100)).on_timeout(true);
    Processor::builder().name("tested").queue(2).concurrency(1).results(9, None).retry(retry)
}

/// Sleeps for so many milliseconds.
fn naps(sim: &Sim) -> Processor<Work> {
    builder()
        .spawn_on(sim.clone(), |millis: u64, cx: Context| async move {
            cx.sleep(ms(millis)).await.map_err(|refusal| refusal.to_string())?;
            Ok(millis)
        })
        .unwrap()
}

/// Does this within a span, and closes that.
fn within<T>(run: impl FnOnce() -> T) -> T {
    tracing::info_span!(target: "test", "submitter").in_scope(run)
}

fn fields<'a>(seen: &'a Seen, names: [&str; 3]) -> [Option<&'a str>; 3] {
    names.map(|name| seen.field(name))
}

#[test]
fn each_attempt_has_a_span_that_follows_from_the_submitters() {
    let (sim, spans) = (Sim::new(1), Spans::default());
    let _watch = spans.watch();
    let current = spans.clone();
    let processor = builder()
        .spawn_on(sim.clone(), move |fails: u32, cx: Context| {
            let called_in = current.current("task.attempt");
            let current = current.clone();
            async move {
                let number = Some(cx.attempt().to_string());
                assert_eq!((called_in, current.current("task.attempt")), (number.clone(), number.clone()));
                cx.sleep(ms(20)).await.unwrap();
                assert_eq!(current.current("task.attempt"), number);
                if cx.attempt() <= fails { Err("not yet") } else { Ok(cx.attempt()) }
            }
        })
        .unwrap();
    let twice = Retry::times(2).fixed(ms(100));
    let handle = within(|| processor.task(2).delay(ms(50)).retry(twice).submit().unwrap());
    let id = handle.id().to_bits().to_string();
    assert_eq!((spans.open(), spans.current("task.id")), (1, None), "the submitter's");
    assert_eq!(sim.block_on(handle).unwrap(), Ok(3));
    assert_eq!(spans.open(), 0);
    let attempts = spans.attempts();
    let times = ["0.05", "0.17", "0.29"];
    for ((number, seen), time) in (1..).zip(&attempts).zip(times) {
        assert_eq!((seen.name, seen.is_root, &*seen.follows), ("process", true, &[1][..]));
        let number = format!("{number}");
        let expected = [Some(&*number), Some(&*id), Some(time)];
        assert_eq!(fields(seen, ["task.attempt", "task.id", "task.queue_time"]), expected);
        assert_eq!(
            fields(seen, ["otel.name", "otel.kind", "otel.other"]),
            [Some("process tested"), Some("internal"), None]
        );
        assert!(seen.entered >= 3, "called, polled twice");
    }
    let ends = [[Some("failed"), Some("ERROR")], [Some("failed"), Some("ERROR")], [Some("completed"), None]];
    let ended = attempts.iter().map(|seen| ["task.outcome", "otel.status_code"].map(|name| seen.field(name)));
    assert!(ended.eq(ends), "{attempts:?}");
}

/// The outcome and status of each attempt at the task that this submits, once all has come to rest.
fn ends_of<T>(sim: &Sim, spans: &Spans, submit: impl FnOnce() -> T) -> Vec<(Option<String>, bool)> {
    let before = spans.attempts().len();
    let kept = within(submit);
    sim.advance(ms(60_000)).unwrap();
    let attempts = spans.attempts();
    assert_eq!(spans.open(), 0);
    drop(kept);
    let end = |seen: &Seen| {
        (seen.field("task.outcome").map(str::to_owned), seen.field("otel.status_code").is_some())
    };
    attempts[before..].iter().map(end).collect()
}

#[test]
fn a_span_says_how_its_attempt_ended() {
    let (sim, spans) = (Sim::new(2), Spans::default());
    let _watch = spans.watch();
    for grace in [Duration::ZERO, ms(500)] {
        let handler = |n: u32, cx: Context| async move {
            match n {
                0 => cx.snooze(ms(10)).map(|()| Err(())).unwrap_or(Ok(())),
                1 => panic!("it panics"),
                2 => pending().await,
                _ => {
                    cx.cancelled().await;
                    Ok(())
                }
            }
        };
        let processor = builder().cancel_grace(grace).spawn_on(sim.clone(), handler).unwrap();
        let owned = |name: &str, is_error| (Some(name.to_owned()), is_error);
        let snoozed = ends_of(&sim, &spans, || {
            let timeouts = Timeouts { schedule_to_close: Some(ms(15)), ..Timeouts::NONE };
            processor.task(0).timeouts(timeouts).submit().unwrap()
        });
        assert_eq!(snoozed, [owned("snoozed", false), owned("snoozed", false)]);
        assert_eq!(ends_of(&sim, &spans, || processor.submit(1).unwrap()), [owned("panicked", true)]);
        let retried =
            || processor.task(2).timeout(ms(10)).retry(Retry::times(1).on_timeout(true)).submit().unwrap();
        assert_eq!(ends_of(&sim, &spans, retried), [owned("timed_out", true), owned("timed_out", true)]);
        for job in [2, 3] {
            let cancelled = ends_of(&sim, &spans, || {
                let handle = processor.submit(job).unwrap();
                sim.advance(ms(5)).unwrap();
                handle.cancel().unwrap();
                handle
            });
            assert_eq!(cancelled, [owned("cancelled", false)]);
            assert_eq!(
                ends_of(&sim, &spans, || processor.task(job).timeout(ms(10)).submit().unwrap()),
                [owned("timed_out", true)],
                "whatever it returns then"
            );
        }
    }
}

/// Runs the task that waits behind a long one, or is over before: when this is done the submitter's span is closed,
/// although the handle or the result is kept.
fn is_closed_by<T>(
    what: &str,
    submit: impl FnOnce(&Processor<Work>) -> T,
    end: impl FnOnce(&Sim, &Processor<Work>, &T),
) {
    let (sim, spans) = (Sim::new(3), Spans::default());
    let _watch = spans.watch();
    let processor = naps(&sim);
    let submitter = processor.submitter();
    spans.set_look(move || {
        // Under a lock of the processor's this would wait for ever.
        let _ = submitter.audit();
    });
    processor.task(1_000_000).post().unwrap();
    sim.run_until_idle().unwrap();
    assert_eq!(spans.open(), 1, "{what}: that of the attempt");
    let kept = within(|| submit(&processor));
    assert_eq!(spans.open(), 2, "{what}: and the submitter's");
    end(&sim, &processor, &kept);
    sim.run_until_idle().unwrap();
    assert_eq!(spans.open(), 1, "{what}");
    drop(processor);
    assert_eq!(spans.open(), 0, "{what}");
    drop(kept);
}

#[test]
fn a_submitters_span_is_held_no_longer_than_its_task() {
    let queued = |processor: &Processor<Work>| processor.submit(1).unwrap();
    is_closed_by("a cancel", queued, |_, _, handle| {
        handle.cancel().unwrap();
    });
    is_closed_by(
        "a dropped handle",
        |processor| processor.submit(1).unwrap().cancel_on_drop(),
        |_, processor, handle| {
            processor.cancel(handle.id()).unwrap();
        },
    );
    let expiring = |processor: &Processor<Work>| {
        let timeouts = Timeouts { schedule_to_start: Some(ms(10)), ..Timeouts::NONE };
        processor.task(1).timeouts(timeouts).submit().unwrap()
    };
    is_closed_by("a time-out in the queue", expiring, |sim, _, _| sim.advance(ms(20)).unwrap());
    is_closed_by(
        "clearing",
        |processor| processor.task(1).retain().unwrap(),
        |_, processor, _| {
            assert_eq!(processor.clear(plimsoll::Scope::All), 1);
        },
    );
    is_closed_by(
        "a callback",
        |processor| processor.task(1).call(|_| ()).ok().unwrap(),
        |_, processor, task| {
            processor.cancel(*task).unwrap();
        },
    );
    let in_a_queue = |processor: &Processor<Work>| {
        let mut queue = processor.completion_queue(2).unwrap();
        let submitted = queue.submit_many(&mut (0..1), &plimsoll::Options::default(), |_| ());
        assert_eq!(submitted.tasks, 1);
        queue
    };
    is_closed_by("a batch for a completion queue", in_a_queue, |_, processor, _| {
        assert_eq!(processor.clear(plimsoll::Scope::All), 1);
    });
    // Without a reason, its settlement would go to the queue in the hold that takes it out of the machine.
    let one_in_a_queue = |processor: &Processor<Work>| {
        let mut queue = processor.completion_queue(2).unwrap();
        let task = queue.submit(1).unwrap();
        (queue, task)
    };
    is_closed_by("a completion queue", one_in_a_queue, |_, processor, (_, task)| {
        processor.cancel(*task).unwrap();
    });
    is_closed_by(
        "a permit",
        |processor| processor.try_reserve(1).unwrap().submit(1).unwrap(),
        |_, _, handle| {
            handle.cancel().unwrap();
        },
    );
    let fed = |processor: &Processor<Work>| {
        let events = Events::new();
        processor.attach(&events).unwrap();
        events.emit_task(1).unwrap();
        events
    };
    is_closed_by("an emitter", fed, |_, processor, _| assert_eq!(processor.clear(plimsoll::Scope::All), 1));
}

#[test]
fn a_completion_queue_has_its_result_before_the_span_of_the_submitter_is_closed() {
    let (sim, spans) = (Sim::new(3), Spans::default());
    let _watch = spans.watch();
    let processor = naps(&sim);
    processor.pause();
    let mut queue = processor.completion_queue(2).unwrap();
    let first = within(|| queue.submit(1).unwrap());
    let second = queue.submit(1).unwrap();
    let (queue, order) = (Arc::new(Mutex::new(queue)), Arc::new(Mutex::new(Vec::new())));
    let (looked, seen) = (queue.clone(), order.clone());
    // While one worker closes the span of the first task, another one may go on with the second.
    spans.set_look(move || seen.lock().unwrap().extend(looked.lock().unwrap().try_next().map(|it| it.task)));
    processor.cancel(first).unwrap();
    processor.cancel(second).unwrap();
    sim.run_until_idle().unwrap();
    assert_eq!((&*order.lock().unwrap(), spans.open()), (&vec![first], 0));
    assert_eq!(queue.lock().unwrap().try_next().unwrap().task, second);
}

#[test]
fn a_refusal_keeps_no_span() {
    let (sim, spans) = (Sim::new(4), Spans::default());
    let _watch = spans.watch();
    let processor = naps(&sim);
    processor.pause();
    let refused = within(|| {
        processor.task(1).post().unwrap();
        processor.task(1).post().unwrap();
        let waits = processor.submit_wait(1);
        let mut waits = Box::pin(waits);
        assert!(waits.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending());
        let events = Events::new();
        processor.attach(&events).unwrap();
        let fed = events.emit_batch(vec![1, 2]);
        (processor.submit(1).unwrap_err(), processor.task(1).call(|_| ()).err().unwrap(), waits, fed, events)
    });
    assert_eq!(spans.open(), 1, "that of the two that wait");
    processor.clear(plimsoll::Scope::All);
    sim.run_until_idle().unwrap();
    assert_eq!(spans.open(), 0);
    drop((refused, processor));
}

#[test]
fn shedding_backoffs_and_every_end_let_go_of_spans() {
    for drain in [Some(Drain::Abort), Some(Drain::Cancel), Some(Drain::graceful(ms(50))), None] {
        let (sim, spans) = (Sim::new(5), Spans::default());
        let _watch = spans.watch();
        let handler = |n: u64, cx: Context| async move {
            cx.sleep(ms(n)).await.map_err(|refusal| refusal.to_string())?;
            Err::<u64, _>("fails".to_owned())
        };
        let processor: Processor<Work> = builder()
            .overflow(Overflow::DropOldest)
            .cancel_grace(ms(10))
            .spawn_on(sim.clone(), handler)
            .unwrap();
        let retry = Retry::times(3).fixed(ms(100_000));
        let handles = within(|| {
            let backs_off = processor.task(1).retry(retry).submit().unwrap();
            sim.advance(ms(10)).unwrap();
            let runs = processor.task(1_000_000).submit().unwrap();
            sim.run_until_idle().unwrap();
            [
                backs_off,
                runs,
                processor.submit(1).unwrap(),
                processor.submit(1).unwrap(),
                processor.submit(1).unwrap(),
            ]
        });
        assert_eq!(spans.open(), 2, "one runs");
        let [.., shed, _, _] = &handles;
        assert!(!processor.is_idle() && processor.view(shed.id()).is_some());
        match drain {
            Some(drain) => drop(sim.block_on(processor.shutdown(drain)).unwrap()),
            None => drop(processor),
        }
        assert_eq!(spans.open(), 0, "{drain:?}");
        assert!(spans.attempts().iter().all(|seen| seen.field("task.outcome").is_some()));
        drop(handles);
    }
}

#[test]
fn a_processor_that_nobody_watches_holds_no_span() {
    let (sim, spans) = (Sim::new(6), Spans::default());
    spans.set_without("plimsoll");
    let _watch = spans.watch();
    let processor = naps(&sim);
    let handle = within(|| processor.submit(1).unwrap());
    assert_eq!(spans.open(), 0);
    assert_eq!(sim.block_on(handle).unwrap(), Ok(1));
    assert!(spans.attempts().is_empty());
}

#[test]
fn batches_and_spawned_futures_are_polled_in_spans() {
    let (sim, spans) = (Sim::new(8), Spans::default());
    let _watch = spans.watch();
    let current = spans.clone();
    let function = move |batch: Batch<fn(u64) -> Result<u64, ()>>| {
        let called_in = current.current("otel.name");
        let current = current.clone();
        async move {
            assert_eq!(
                (called_in, current.current("otel.name")),
                (Some("process batched".into()), Some("process batched".into()))
            );
            batch.for_each(|(job, answer)| answer.give(Ok(job)));
        }
    };
    let processor = Processor::builder()
        .name("batched")
        .spawn_on(sim.clone(), batched(Batching::new(3), function))
        .unwrap();
    for handle in within(|| [1, 2, 3].map(|n| processor.submit(n).unwrap())) {
        assert!(sim.block_on(handle).unwrap().is_ok());
    }
    let processor = Processor::builder().spawn_on(sim.clone(), Spawned::<_, ()>::new()).unwrap();
    let current = spans.clone();
    let handle =
        within(|| processor.spawn(async move { Ok(current.current("otel.name")) }).submit().unwrap());
    assert_eq!(sim.block_on(handle).unwrap(), Ok(Some("process plimsoll".into())));
    assert_eq!((spans.attempts().len(), spans.open()), (4, 0));
}

#[cfg(feature = "smol")]
#[test]
fn local_work_is_polled_in_spans() {
    use std::rc::Rc;

    let spans = Spans::default();
    let _watch = spans.watch();
    let executor = Rc::new(smol::LocalExecutor::new());
    let (current, shared) = (spans.clone(), Rc::new(()));
    let runtime = plimsoll::SmolLocal::on(executor.clone());
    let processor = Processor::builder()
        .spawn_local_on(runtime, move |_: u8| {
            let (current, shared) = (current.clone(), shared.clone());
            async move {
                smol::future::yield_now().await;
                let _ = shared;
                Ok::<_, ()>(current.current("task.attempt"))
            }
        })
        .unwrap();
    let handle = within(|| processor.submit(1).unwrap());
    assert_eq!(smol::block_on(executor.run(handle)), Ok(Some("1".into())));
    assert_eq!(spans.attempts()[0].follows, [1]);
    assert_eq!(spans.open(), 0);
}

/// An engine with one job.
struct One;

impl Source for One {
    type Job = u64;
    type Receipt = u64;
    type Error = String;

    fn abilities(&self) -> Abilities {
        Abilities::new()
    }

    async fn pull(
        &self,
        _: NonZeroU32,
        _: Duration,
        into: &mut Vec<Delivery<u64, u64>>,
    ) -> Result<Pulled, String> {
        into.push(Delivery::new(7, 7, 1));
        Ok(Pulled::End)
    }

    async fn settle(&self, verdicts: &mut Vec<Settling<u64>>) -> Result<u32, String> {
        verdicts.clear();
        Ok(0)
    }

    async fn extend(&self, _: &[u64]) -> Result<(), String> {
        Ok(())
    }

    async fn close(&self) {}
}

#[test]
fn work_of_a_source_is_consumed_and_follows_from_nothing() {
    let (sim, spans) = (Sim::new(9), Spans::default());
    let _watch = spans.watch();
    let processor = builder()
        .queue(9)
        .sources(SourceLimits::new(1))
        .spawn_on(sim.clone(), |n: u64, _: Context| async move { Ok::<_, String>(n) })
        .unwrap();
    let (_source, puller) = processor.source(One, Pull::new()).unwrap();
    let mut puller = pin!(puller);
    let pulled = std::future::poll_fn(|cx| within(|| puller.as_mut().poll(cx)));
    assert_eq!(sim.block_on(pulled).unwrap(), 0);
    let attempts = spans.attempts();
    assert_eq!((attempts.len(), spans.open()), (1, 0));
    assert_eq!((attempts[0].field("otel.kind"), &*attempts[0].follows), (Some("consumer"), &[][..]));
    assert_eq!(attempts[0].field("task.queue_time"), Some("0.0"), "from its delivery");
}

#[test]
fn a_queue_time_that_is_not_known_is_not_told() {
    let (sim, spans) = (Sim::new(11), Spans::default());
    let processor = naps(&sim);
    let handle = processor.submit(1).unwrap();
    let _watch = spans.watch();
    assert_eq!(sim.block_on(handle).unwrap(), Ok(1));
    assert_eq!(
        fields(&spans.attempts()[0], ["task.queue_time", "task.attempt", "task.outcome"]),
        [None, Some("1"), Some("completed")]
    );
}

#[test]
fn a_stream_is_traced_from_where_it_is_polled() {
    let (sim, spans) = (Sim::new(10), Spans::default());
    let _watch = spans.watch();
    let processor = naps(&sim);
    let mut results = processor.process(futures::stream::iter([1, 2, 3]), 2).unwrap();
    let mut count = 0;
    let all = std::future::poll_fn(|cx| {
        while let Poll::Ready(settled) = within(|| results.poll_next_unpin(cx)) {
            if settled.is_none() {
                return Poll::Ready(());
            }
            count += 1;
        }
        Poll::Pending
    });
    sim.block_on(all).unwrap();
    assert_eq!((count, spans.open()), (3, 0));
    assert!(spans.attempts().iter().all(|seen| seen.follows.len() == 1));
}
