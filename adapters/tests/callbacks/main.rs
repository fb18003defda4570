//! A callback is called exactly once, with the outcome of its task: for each way in which a task can end, in each state
//! that it can be in, on every runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;
mod race;

use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use kit::{
    Calls, Do, End, Fate, LONG, Service, eventually, handle, ms, much_later, on_every_runtime, panicked,
    plain, service, start_to_close, timeouts, twice,
};
use plimsoll::{
    CancelReason, Context, Drain, Options, Processor, Refusal, Runtime, Settlement, TaskError, TaskId,
    Timeouts,
};

on_every_runtime! {
    each_end_of_an_attempt
    each_end_of_a_task_that_waits
    cancelled_in_each_state
    an_attempt_that_is_no_longer_wanted_changes_nothing
    a_graceful_end_that_is_in_time
    a_graceful_end_at_its_deadline
    an_abort
    a_shutdown_that_is_dropped
    the_owner_is_dropped
    the_owner_is_dropped_in_a_handler
    the_owner_is_dropped_in_a_callback
    callbacks_that_panic_take_nothing_from_others
    a_refused_callback_comes_back_uncalled
    a_callback_may_submit_the_next_task
}

fn each_end_of_an_attempt(runtime: impl Runtime) {
    let (processor, calls) = (service(runtime, 4), Calls::default());
    let cases = [
        ("completed", Do::Return(7), plain(), Ok(7)),
        ("failed", Do::Fail, plain(), Err(TaskError::Failed("failed"))),
        ("failed twice", Do::Fail, twice(), Err(TaskError::Failed("failed"))),
        ("failed, then completed", Do::FailOnce(8), twice(), Ok(8)),
        ("failed, then panicked", Do::FailOnceThenPanic, twice(), panicked("the second time")),
        ("panicked at once", Do::PanicAtOnce, plain(), panicked("at once")),
        ("panicked in a poll", Do::Panic, plain(), panicked("in a poll")),
        ("panicked when done", Do::PanicWhenDone, plain(), panicked("future dropped")),
        ("panicked at once, twice", Do::PanicAtOnce, twice(), panicked("at once")),
        ("panicked in a poll, twice", Do::Panic, twice(), panicked("in a poll")),
        ("timed out", Do::Hang, start_to_close(), Err(TaskError::TimedOut)),
        ("timed out, then panicked", Do::HangThenPanic, start_to_close(), Err(TaskError::TimedOut)),
        (
            "timed out, with a further try",
            Do::Hang,
            Options { retry: twice().retry, ..start_to_close() },
            Err(TaskError::TimedOut),
        ),
        ("completed after a delay", Do::Return(9), plain().delay(ms(20)), Ok(9)),
    ];
    for (name, job, options, _) in &cases {
        calls.submit(&processor, name, *job, *options);
    }
    calls.come_to_be(processor, &cases.map(|(name, _, _, outcome)| (name, outcome)));
}

fn each_end_of_a_task_that_waits(runtime: impl Runtime) {
    let (processor, calls) = (service(runtime, 1), Calls::default());
    let close = |limit| Timeouts { schedule_to_close: Some(limit), ..Timeouts::NONE };
    let start = Timeouts { schedule_to_start: Some(ms(20)), ..Timeouts::NONE };
    processor.pause();
    // Its second try comes after the task that keeps the only place.
    calls.submit(
        &processor,
        "timed out between two tries",
        Do::FailOnce(1),
        twice().timeouts(close(ms(500))),
    );
    processor.task(Do::Hang).options(plain()).post().unwrap();
    calls.submit(&processor, "expired in the queue", Do::Return(2), timeouts(start));
    calls.submit(&processor, "timed out in the queue", Do::Return(3), timeouts(close(ms(20))));
    calls.submit(&processor, "timed out while delayed", Do::Return(4), timeouts(close(ms(20))).delay(LONG));
    processor.resume();
    calls.come_to_be(
        processor,
        &[
            ("timed out between two tries", Err(TaskError::TimedOut)),
            ("expired in the queue", Err(TaskError::Expired)),
            ("timed out in the queue", Err(TaskError::TimedOut)),
            ("timed out while delayed", Err(TaskError::TimedOut)),
        ],
    );
}

/// What each callback is called with.
type Outcomes = [(&'static str, End); 7];

const ENDED: End = Err(TaskError::Cancelled(Some(CancelReason::ENDED)));

/// A processor with tasks in each state, which stays so until it ends; their callbacks, and what those are called with if
/// they are cancelled for this reason.
fn in_each_state(runtime: impl Runtime, reason: CancelReason) -> (Service, Calls, Outcomes) {
    let (processor, calls) = (service(runtime, 3), Calls::default());
    calls.submit(&processor, "completed before", Do::Return(1), plain());
    calls.submit(&processor, "between two tries", Do::Fail, much_later());
    eventually("one is done and one waits", || calls.len() == 1 && processor.census().backoff == 1);
    calls.submit(&processor, "running", Do::Hang, plain());
    calls.submit(&processor, "running, panics when it is dropped", Do::HangThenPanic, plain());
    calls.submit(&processor, "running, completes when it is stopped", Do::Stop(2), plain());
    eventually("three run", || processor.census().running == 3);
    calls.submit(&processor, "queued", Do::Return(3), plain());
    calls.submit(&processor, "delayed", Do::Return(4), plain().delay(LONG));
    let cancelled = || Err(TaskError::Cancelled(Some(reason)));
    let expected = [
        ("completed before", Ok(1)),
        ("between two tries", cancelled()),
        ("running", cancelled()),
        ("running, panics when it is dropped", cancelled()),
        ("running, completes when it is stopped", cancelled()),
        ("queued", cancelled()),
        ("delayed", cancelled()),
    ];
    (processor, calls, expected)
}

fn cancelled_in_each_state(runtime: impl Runtime) {
    const WHY: CancelReason = CancelReason::new(&"not wanted any more");
    let (processor, calls, expected) = in_each_state(runtime, WHY);
    // From the last one, so that no place becomes free for one that waits.
    for (name, _) in expected.iter().rev().filter(|(_, outcome)| outcome.is_err()) {
        processor.cancel_because(calls.task(name), WHY).unwrap();
    }
    calls.come_to_be(processor, &expected);
}

fn an_attempt_that_is_no_longer_wanted_changes_nothing(runtime: impl Runtime) {
    let calls = Calls::default();
    let processor = Processor::builder().concurrency(4).cancel_grace(LONG).spawn_on(runtime, handle).unwrap();
    calls.submit(&processor, "cancelled, then completed", Do::Stop(1), plain());
    calls.submit(&processor, "cancelled, then panicked", Do::StopThenPanic, plain());
    calls.submit(&processor, "timed out, then completed", Do::Stop(2), start_to_close());
    calls.submit(&processor, "timed out, then panicked", Do::StopThenPanic, start_to_close());
    eventually("two run and two were timed out", || {
        processor.totals().started == 4 && processor.totals().settled.timed_out == 2
    });
    for name in ["cancelled, then completed", "cancelled, then panicked"] {
        processor.cancel(calls.task(name)).unwrap();
    }
    eventually("all have stopped", || processor.totals().orphaned == 4 && processor.census().orphans == 0);
    calls.come_to_be(
        processor,
        &[
            ("cancelled, then completed", Err(TaskError::Cancelled(None))),
            ("cancelled, then panicked", Err(TaskError::Cancelled(None))),
            ("timed out, then completed", Err(TaskError::TimedOut)),
            ("timed out, then panicked", Err(TaskError::TimedOut)),
        ],
    );
}

fn a_graceful_end_that_is_in_time(runtime: impl Runtime) {
    let (processor, calls) = (service(runtime, 1), Calls::default());
    let cases = [
        ("timed out", Do::Hang, start_to_close(), Err(TaskError::TimedOut)),
        ("queued", Do::Return(1), plain(), Ok(1)),
        ("panics", Do::Panic, plain(), panicked("in a poll")),
        ("tried again", Do::FailOnce(2), twice(), Ok(2)),
        ("delayed", Do::Return(3), plain().delay(ms(20)), Ok(3)),
    ];
    for (name, job, options, _) in &cases {
        calls.submit(&processor, name, *job, *options);
    }
    let report = block_on(processor.shutdown(Drain::graceful(LONG)));
    calls.are(&cases.map(|(name, _, _, outcome)| (name, outcome)));
    assert_eq!((report.ledger.callbacks.entered, report.ledger.callbacks.left), (5, 5));
}

fn a_graceful_end_at_its_deadline(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime, CancelReason::ENDED);
    let _report = block_on(processor.shutdown(Drain::graceful(ms(20))));
    calls.end_as(&expected);
}

fn an_abort(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime, CancelReason::ENDED);
    let _report = block_on(processor.shutdown(Drain::Abort));
    calls.end_as(&expected);
}

fn a_shutdown_that_is_dropped(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime, CancelReason::ENDED);
    drop(processor.shutdown(Drain::graceful(LONG)));
    calls.end_as(&expected);
}

fn the_owner_is_dropped(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime, CancelReason::ENDED);
    drop(processor);
    calls.end_as(&expected);
}

type Slot = Arc<Mutex<Option<Service>>>;

fn take(slot: &Slot) -> Option<Service> {
    slot.lock().unwrap().take()
}

fn the_owner_is_dropped_in_a_handler(runtime: impl Runtime) {
    let (calls, slot) = (Calls::default(), Slot::default());
    let owner = slot.clone();
    let processor = Processor::builder()
        .concurrency(2)
        .spawn_on(runtime, move |job: Do, cx: Context| {
            if let Do::Return(_) = job {
                drop(take(&owner));
            }
            handle(job, cx)
        })
        .unwrap();
    let submitter = processor.submitter();
    calls.submit(&submitter, "running", Do::Hang, plain());
    eventually("one runs", || submitter.census().running == 1);
    submitter.pause();
    *slot.lock().unwrap() = Some(processor);
    for name in ["drops the owner", "queued"] {
        calls.submit(&submitter, name, Do::Return(1), plain());
    }
    submitter.resume();
    calls.end_as(&["running", "drops the owner", "queued"].map(|name| (name, ENDED)));
}

fn the_owner_is_dropped_in_a_callback(runtime: impl Runtime) {
    let (calls, slot) = (Calls::default(), Slot::default());
    let processor = service(runtime, 1);
    let submitter = processor.submitter();
    processor.pause();
    *slot.lock().unwrap() = Some(processor);
    let note = calls.note("drops the owner");
    let ends = move |settled| {
        drop(take(&slot));
        note.call(settled);
    };
    assert!(submitter.task(Do::Return(1)).options(plain()).call(ends).is_ok());
    calls.submit(&submitter, "queued", Do::Hang, plain());
    calls.submit(&submitter, "delayed", Do::Return(2), plain().delay(LONG));
    submitter.resume();
    calls.end_as(&[("drops the owner", Ok(1)), ("queued", ENDED), ("delayed", ENDED)]);
}

/// Panics when it is dropped.
struct Brittle;

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("captured");
    }
}

fn callbacks_that_panic_take_nothing_from_others(runtime: impl Runtime) {
    let (processor, calls) = (service(runtime, 2), Calls::default());
    let jobs = [Do::Return(1), Do::Fail, Do::Panic, Do::Return(1), Do::Fail, Do::Panic];
    for job in jobs {
        let brittle = Brittle;
        let panics = move |_| {
            let _captured = &brittle;
        };
        assert!(processor.task(job).options(plain()).call(|_| panic!("callback")).is_ok());
        assert!(processor.task(job).options(plain()).call(panics).is_ok());
    }
    calls.submit(&processor, "completed", Do::Return(1), plain());
    calls.submit(&processor, "failed", Do::Fail, plain());
    calls.submit(&processor, "panicked", Do::Panic, plain());
    eventually("every panic was counted", || processor.totals().late_panics == 2 * jobs.len() as u64);
    calls.come_to_be(
        processor,
        &[
            ("completed", Ok(1)),
            ("failed", Err(TaskError::Failed("failed"))),
            ("panicked", panicked("in a poll")),
        ],
    );
}

fn a_refused_callback_comes_back_uncalled(runtime: impl Runtime) {
    let calls = Calls::default();
    let processor = Processor::builder().queue(1).concurrency(1).spawn_on(runtime, handle).unwrap();
    calls.submit(&processor, "running", Do::Hang, plain());
    eventually("it runs", || processor.census().running == 1);
    calls.submit(&processor, "queued", Do::Return(1), plain());
    let submitter = processor.submitter();
    let refuse = |name: &str, reason| {
        let note = calls.note(name);
        let Err(refused) = submitter.task(Do::Return(2)).options(plain()).call(|settled| note.call(settled))
        else {
            panic!("it was admitted")
        };
        assert_eq!(refused.reason, reason);
        refused.into_value().1
    };
    let full = refuse("full", Refusal::Full);
    drop(processor);
    let closed = refuse("closed", Refusal::Closed);
    calls.end_as(&[("running", ENDED), ("queued", ENDED)]);
    let nobody = TaskId::from_bits(u64::MAX).unwrap();
    full(Settlement::new(nobody, (), Ok(3)));
    closed(Settlement::new(nobody, (), Ok(4)));
    assert_eq!(calls.fates("full"), [Fate::Called(Ok(3))]);
    assert_eq!(calls.fates("closed"), [Fate::Called(Ok(4))]);
}

fn a_callback_may_submit_the_next_task(runtime: impl Runtime) {
    let (processor, calls) = (service(runtime, 1), Calls::default());
    let (first, next, submitter) = (calls.note("first"), calls.clone(), processor.submitter());
    let submits = move |settled| {
        next.submit(&submitter, "next", Do::Fail, plain());
        first.call(settled);
    };
    assert!(processor.task(Do::Panic).options(plain()).call(submits).is_ok());
    calls.come_to_be(
        processor,
        &[("first", panicked("in a poll")), ("next", Err(TaskError::Failed("failed")))],
    );
}

#[cfg(feature = "tokio")]
#[test]
fn the_owner_outlives_tokio() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (processor, calls, expected) =
        in_each_state(plimsoll::Tokio::on(tokio.handle().clone()), CancelReason::ENDED);
    drop(tokio);
    drop(processor);
    calls.end_as(&expected);
}

#[cfg(feature = "smol")]
#[test]
fn the_owner_outlives_an_executor_of_smol() {
    let executor = Arc::new(smol::Executor::new());
    let (stop, stopped) = futures::channel::oneshot::channel::<()>();
    let running = executor.clone();
    let thread = std::thread::spawn(move || _ = smol::block_on(running.run(stopped)));
    let (processor, calls, expected) = in_each_state(plimsoll::Smol::on(executor), CancelReason::ENDED);
    drop(stop);
    thread.join().unwrap();
    drop(processor);
    calls.end_as(&expected);
}
