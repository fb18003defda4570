//! The end waits for what is unsettled and for callbacks that run, and for nothing else; what was fixed before a graceful
//! end is still there for those who hold on to it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::{Duration, Instant as Time};

use futures::executor::block_on;
use plimsoll::{CancelReason, Drain, Event, Notice, Options, Processor, TaskError};

use crate::kit::{self, Awaited, Counter, Gate, Host, Work, eventually, hanging, instant, job, ms};

on_every_runtime! {
    a_held_handle_does_not_delay_a_graceful_end
    outcomes_stay_for_their_handles_after_a_graceful_end
    unread_events_stay_for_their_subscriptions_after_a_graceful_end
    an_abort_discards_outcomes_and_events
    an_abort_waits_for_a_callback_that_runs
    a_drop_returns_when_every_callback_was_called
    futures_that_were_dropped_are_not_abandoned
    a_poll_that_goes_on_is_abandoned_by_an_abort
    a_cancelling_end_cancels_what_is_unsettled_and_keeps_outcomes
}

on_two_threads! {
    a_poll_that_goes_on_is_abandoned_at_the_deadline
}

/// Longer than a graceful end takes that waits for nothing.
const GRACE: Duration = Duration::from_secs(5);

fn plain(host: &impl Host) -> Work {
    kit::build(Processor::builder().concurrency(4), host)
}

fn a_held_handle_does_not_delay_a_graceful_end(host: impl Host) {
    let processor = plain(&host);
    let handle = processor.submit(instant(1)).unwrap();
    let events = processor.subscribe().unwrap();
    eventually("it is done", || processor.totals().settled.completed == 1);
    let start = Time::now();
    let report = block_on(processor.shutdown(Drain::graceful(GRACE)));
    let took = start.elapsed();
    assert!(took < GRACE / 2, "the end took {took:?} although nothing was unsettled");
    assert_eq!((report.remains.cancelled, report.remains.abandoned), (0, 0));
    drop((handle, events));
}

fn outcomes_stay_for_their_handles_after_a_graceful_end(host: impl Host) {
    let processor = plain(&host);
    let submitter = processor.submitter();
    let mut handles: Vec<_> = (0..20).map(|n| processor.submit(instant(n)).unwrap()).collect();
    let failing = processor.submit(job(async { Err("on purpose".to_owned()) })).unwrap();
    let report = block_on(processor.shutdown(Drain::graceful(ms(500))));
    assert_eq!(report.totals.settled.total(), 21);
    // One that is dropped gives its outcome up, and the rest can be taken in any order.
    drop(handles.pop());
    for (n, handle) in (0..19).zip(handles).rev() {
        assert_eq!(block_on(handle), Ok(n), "the outcome was thrown away");
    }
    assert_eq!(block_on(failing), Err(TaskError::Failed("on purpose".to_owned())));
    assert!(submitter.census().is_empty(), "{:?}", submitter.census());
    assert_eq!(submitter.census(), submitter.audit());
}

fn unread_events_stay_for_their_subscriptions_after_a_graceful_end(host: impl Host) {
    let processor = plain(&host);
    let submitter = processor.submitter();
    let events = processor.subscribe().unwrap();
    for n in 0..5 {
        processor.task(instant(n)).post().unwrap();
    }
    block_on(processor.shutdown(Drain::graceful(GRACE)));
    let read: Vec<_> = block_on(futures::StreamExt::collect(events));
    let settled = read.iter().filter(|notice| matches!(notice, Notice::Event(Event::Settled { .. }))).count();
    let draining = read.iter().filter(|notice| matches!(notice, Notice::Event(Event::Draining))).count();
    assert_eq!((settled, draining), (5, 1), "what was not read before the end: {read:?}");
    assert!(submitter.census().is_empty(), "{:?}", submitter.census());
}

fn an_abort_discards_outcomes_and_events(host: impl Host) {
    let processor = plain(&host);
    let submitter = processor.submitter();
    let handle = processor.submit(instant(1)).unwrap();
    let mut events = processor.subscribe().unwrap();
    eventually("it is done", || processor.totals().settled.completed == 1);
    let report = block_on(processor.shutdown(Drain::Abort));
    assert!(report.census.is_empty() && submitter.census().is_empty(), "{:?}", submitter.census());
    assert_eq!(block_on(handle), Err(TaskError::Ended));
    assert_eq!(events.try_next(), None);
}

fn an_abort_waits_for_a_callback_that_runs(host: impl Host) {
    let processor = plain(&host);
    let (gate, begun, returned) = (Gate::default(), Counter::default(), Counter::default());
    let (blocked, begins, returns) = (gate.clone(), begun.clone(), returned.clone());
    let slow = move |_| {
        begins.add();
        blocked.pass();
        returns.add();
    };
    assert!(processor.task(instant(0)).call(slow).is_ok());
    eventually("the callback runs", || begun.get() == 1);
    let mut shutdown = pin!(processor.shutdown(Drain::Abort));
    for _ in 0..20 {
        let is_ready = shutdown.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_ready();
        assert!(!is_ready, "ready while a callback runs");
        std::thread::sleep(ms(5));
    }
    gate.open();
    block_on(shutdown);
    assert_eq!(returned.get(), 1);
}

/// A callback that has begun on another thread counts. Many rounds, for only now and then does the drop come between a
/// worker that has taken a callback and its call.
fn a_drop_returns_when_every_callback_was_called(host: impl Host) {
    const ROUNDS: u32 = 5_000;
    const CALLBACKS: u32 = 12;
    for round in 0..ROUNDS {
        let limits = Processor::builder().queue(CALLBACKS).concurrency(4).waiters(0);
        let processor = kit::build(limits.subscribers(0).events(0), &host);
        let called = Counter::default();
        processor.pause();
        for _ in 0..CALLBACKS {
            let called = called.clone();
            assert!(processor.task(instant(0)).call(move |_| called.add()).is_ok());
        }
        processor.resume();
        // At another moment of the workers' turn each time.
        kit::spin(Duration::from_nanos(200) * (round % 100));
        drop(processor);
        let called = called.get();
        assert!(
            called == CALLBACKS as usize,
            "{called} of {CALLBACKS} callbacks called in round {round} before the drop returned"
        );
    }
}

/// On a busy machine a thread may be kept in the middle of a poll, which is abandoned then; but not each time.
fn futures_that_were_dropped_are_not_abandoned(host: impl Host) {
    for mode in [Drain::Abort, Drain::graceful(ms(50))] {
        let mut ends = (0..4).map(|_| end_while_four_wait(&host, mode));
        assert!(ends.any(|(abandoned, cancelled)| (abandoned, cancelled) == (0, 8)), "none with {mode:?}");
    }
}

/// How many of eight attempts, of which four wait and four are queued, the end has abandoned, and how many cancelled.
fn end_while_four_wait(host: &impl Host, mode: Drain) -> (u32, u32) {
    let processor = plain(host);
    let futures = std::sync::Arc::new(());
    for _ in 0..8 {
        processor.task(hanging(futures.clone())).post().unwrap();
    }
    eventually("four run", || processor.census().running == 4);
    let report = block_on(processor.shutdown(mode));
    eventually("all are dropped", || std::sync::Arc::strong_count(&futures) == 1);
    (report.remains.abandoned, report.remains.cancelled)
}

fn assert_a_poll_that_goes_on_is_abandoned(host: &impl Host, mode: Drain) {
    let processor = plain(host);
    let gate = kit::block_a_thread(&processor);
    let report = Awaited::new(processor.shutdown(mode)).get();
    gate.open();
    let abandoned = report.map(|report| report.remains.abandoned);
    assert_eq!(abandoned, Some(1), "abandoned while a poll goes on");
}

fn a_poll_that_goes_on_is_abandoned_by_an_abort(host: impl Host) {
    assert_a_poll_that_goes_on_is_abandoned(&host, Drain::Abort);
}

/// With one thread nobody would see the deadline before that poll returns.
fn a_poll_that_goes_on_is_abandoned_at_the_deadline(host: impl Host) {
    assert_a_poll_that_goes_on_is_abandoned(&host, Drain::graceful(ms(50)));
}

/// Ready at once, without a deadline; the handles get what is fixed by it and what was fixed before.
fn a_cancelling_end_cancels_what_is_unsettled_and_keeps_outcomes(host: impl Host) {
    let processor = kit::build(kit::delayed(Processor::builder().concurrency(1), 4), &host);
    let submitter = processor.submitter();
    let done = processor.submit(instant(7)).unwrap();
    eventually("one is done", || processor.totals().settled.completed == 1);
    let (futures, cancelled) = (Arc::new(()), Counter::default());
    let running = processor.submit(hanging(futures.clone())).unwrap();
    let queued = processor.submit(hanging(futures.clone())).unwrap();
    let delayed = processor
        .task(hanging(futures.clone()))
        .options(Options::default().delay(GRACE * 1_000))
        .submit()
        .unwrap();
    let count = cancelled.clone();
    let callback = move |settled: kit::WorkSettlement| {
        assert_eq!(settled.result, Err(TaskError::Cancelled(Some(CancelReason::ENDED))));
        count.add();
    };
    assert!(processor.task(hanging(futures.clone())).call(callback).is_ok());
    eventually("one runs", || processor.census().running == 1);
    let report = kit::Awaited::new(processor.shutdown(Drain::Cancel)).get().expect("the end comes");
    assert_eq!((report.remains.cancelled, report.remains.abandoned, cancelled.get()), (4, 0, 1));
    for handle in [running, queued, delayed] {
        assert_eq!(block_on(handle), Err(TaskError::Cancelled(Some(CancelReason::ENDED))));
    }
    assert_eq!(block_on(done), Ok(7));
    assert!(submitter.census().is_empty(), "{:?}", submitter.census());
    eventually("futures are dropped", || Arc::strong_count(&futures) == 1);
}
