//! A callback is called exactly once, with the outcome of its task: for each way in which a task can end, in each state
//! that it can be in, on every runtime.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;
mod race;

use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use kit::{
    Calls, Do, Error, Fate, LONG, Service, eventually, handle, ms, much_later, on_every_runtime, plain,
    service, start_to_close, timeouts, twice,
};
use plimsoll::{Context, Drain, Options, Outcome, Processor, Refusal, Runtime, Timeouts};

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
        ("completed", Do::Return(7), plain(), Outcome::Completed(7)),
        ("failed", Do::Fail, plain(), Outcome::Failed("failed")),
        ("failed twice", Do::Fail, twice(), Outcome::Failed("failed")),
        ("failed, then completed", Do::FailOnce(8), twice(), Outcome::Completed(8)),
        ("failed, then panicked", Do::FailOnceThenPanic, twice(), Outcome::Panicked(())),
        ("panicked at once", Do::PanicAtOnce, plain(), Outcome::Panicked(())),
        ("panicked in a poll", Do::Panic, plain(), Outcome::Panicked(())),
        ("panicked when done", Do::PanicWhenDone, plain(), Outcome::Panicked(())),
        ("panicked at once, twice", Do::PanicAtOnce, twice(), Outcome::Panicked(())),
        ("panicked in a poll, twice", Do::Panic, twice(), Outcome::Panicked(())),
        ("timed out", Do::Hang, start_to_close(), Outcome::TimedOut),
        ("timed out, then panicked", Do::HangThenPanic, start_to_close(), Outcome::TimedOut),
        (
            "timed out, with a further try",
            Do::Hang,
            Options { retry: twice().retry, ..start_to_close() },
            Outcome::TimedOut,
        ),
        ("completed after a delay", Do::Return(9), plain().delay(ms(20)), Outcome::Completed(9)),
    ];
    for (name, job, options, _) in cases {
        calls.submit(&processor, name, job, options);
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
    processor.post(Do::Hang, plain()).unwrap();
    calls.submit(&processor, "expired in the queue", Do::Return(2), timeouts(start));
    calls.submit(&processor, "timed out in the queue", Do::Return(3), timeouts(close(ms(20))));
    calls.submit(&processor, "timed out while delayed", Do::Return(4), timeouts(close(ms(20))).delay(LONG));
    processor.resume();
    calls.come_to_be(
        processor,
        &[
            ("timed out between two tries", Outcome::TimedOut),
            ("expired in the queue", Outcome::Expired),
            ("timed out in the queue", Outcome::TimedOut),
            ("timed out while delayed", Outcome::TimedOut),
        ],
    );
}

/// What each callback is called with.
type Outcomes = [(&'static str, Outcome<u32, Error>); 7];

/// A processor with tasks in each state, which stays so until it ends; their callbacks, and what those are called with if
/// it ends by then.
fn in_each_state(runtime: impl Runtime) -> (Service, Calls, Outcomes) {
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
    let expected = [
        ("completed before", Outcome::Completed(1)),
        ("between two tries", Outcome::Cancelled),
        ("running", Outcome::Cancelled),
        ("running, panics when it is dropped", Outcome::Cancelled),
        ("running, completes when it is stopped", Outcome::Cancelled),
        ("queued", Outcome::Cancelled),
        ("delayed", Outcome::Cancelled),
    ];
    (processor, calls, expected)
}

fn cancelled_in_each_state(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime);
    // From the last one, so that no place becomes free for one that waits.
    for (name, _) in expected.iter().rev().filter(|(_, outcome)| *outcome == Outcome::Cancelled) {
        processor.cancel(calls.task(name)).unwrap();
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
            ("cancelled, then completed", Outcome::Cancelled),
            ("cancelled, then panicked", Outcome::Cancelled),
            ("timed out, then completed", Outcome::TimedOut),
            ("timed out, then panicked", Outcome::TimedOut),
        ],
    );
}

fn a_graceful_end_that_is_in_time(runtime: impl Runtime) {
    let (processor, calls) = (service(runtime, 1), Calls::default());
    let cases = [
        ("timed out", Do::Hang, start_to_close(), Outcome::TimedOut),
        ("queued", Do::Return(1), plain(), Outcome::Completed(1)),
        ("panics", Do::Panic, plain(), Outcome::Panicked(())),
        ("tried again", Do::FailOnce(2), twice(), Outcome::Completed(2)),
        ("delayed", Do::Return(3), plain().delay(ms(20)), Outcome::Completed(3)),
    ];
    for (name, job, options, _) in cases {
        calls.submit(&processor, name, job, options);
    }
    let report = block_on(processor.shutdown(Drain::graceful(LONG)));
    calls.are(&cases.map(|(name, _, _, outcome)| (name, outcome)));
    assert_eq!((report.ledger.callbacks.entered, report.ledger.callbacks.left), (5, 5));
}

fn a_graceful_end_at_its_deadline(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime);
    let _report = block_on(processor.shutdown(Drain::graceful(ms(20))));
    calls.end_as(&expected);
}

fn an_abort(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime);
    let _report = block_on(processor.shutdown(Drain::Abort));
    calls.end_as(&expected);
}

fn a_shutdown_that_is_dropped(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime);
    drop(processor.shutdown(Drain::graceful(LONG)));
    calls.end_as(&expected);
}

fn the_owner_is_dropped(runtime: impl Runtime) {
    let (processor, calls, expected) = in_each_state(runtime);
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
    calls.end_as(&["running", "drops the owner", "queued"].map(|name| (name, Outcome::Cancelled)));
}

fn the_owner_is_dropped_in_a_callback(runtime: impl Runtime) {
    let (calls, slot) = (Calls::default(), Slot::default());
    let processor = service(runtime, 1);
    let submitter = processor.submitter();
    processor.pause();
    *slot.lock().unwrap() = Some(processor);
    let note = calls.note("drops the owner");
    let ends = move |outcome| {
        drop(take(&slot));
        note.call(outcome);
    };
    assert!(submitter.call(Do::Return(1), plain(), ends).is_ok());
    calls.submit(&submitter, "queued", Do::Hang, plain());
    calls.submit(&submitter, "delayed", Do::Return(2), plain().delay(LONG));
    submitter.resume();
    calls.end_as(&[
        ("drops the owner", Outcome::Completed(1)),
        ("queued", Outcome::Cancelled),
        ("delayed", Outcome::Cancelled),
    ]);
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
        assert!(processor.call(job, plain(), |_| panic!("callback")).is_ok());
        assert!(processor.call(job, plain(), panics).is_ok());
    }
    calls.submit(&processor, "completed", Do::Return(1), plain());
    calls.submit(&processor, "failed", Do::Fail, plain());
    calls.submit(&processor, "panicked", Do::Panic, plain());
    eventually("every panic was counted", || processor.totals().late_panics == 2 * jobs.len() as u64);
    calls.come_to_be(
        processor,
        &[
            ("completed", Outcome::Completed(1)),
            ("failed", Outcome::Failed("failed")),
            ("panicked", Outcome::Panicked(())),
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
        let Err(refused) = submitter.call(Do::Return(2), plain(), |outcome| note.call(outcome)) else {
            panic!("it was admitted")
        };
        assert_eq!(refused.reason, reason);
        refused.into_value().1
    };
    let full = refuse("full", Refusal::Full);
    drop(processor);
    let closed = refuse("closed", Refusal::Closed);
    calls.end_as(&[("running", Outcome::Cancelled), ("queued", Outcome::Cancelled)]);
    full(Outcome::Completed(3));
    closed(Outcome::Completed(4));
    assert_eq!(calls.fates("full"), [Fate::Called(Outcome::Completed(3))]);
    assert_eq!(calls.fates("closed"), [Fate::Called(Outcome::Completed(4))]);
}

fn a_callback_may_submit_the_next_task(runtime: impl Runtime) {
    let (processor, calls) = (service(runtime, 1), Calls::default());
    let (first, next, submitter) = (calls.note("first"), calls.clone(), processor.submitter());
    let submits = move |outcome| {
        next.submit(&submitter, "next", Do::Fail, plain());
        first.call(outcome);
    };
    assert!(processor.call(Do::Panic, plain(), submits).is_ok());
    calls.come_to_be(processor, &[("first", Outcome::Panicked(())), ("next", Outcome::Failed("failed"))]);
}

#[cfg(feature = "tokio")]
#[test]
fn the_owner_outlives_tokio() {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (processor, calls, expected) = in_each_state(plimsoll::Tokio::on(tokio.handle().clone()));
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
    let (processor, calls, expected) = in_each_state(plimsoll::Smol::on(executor));
    drop(stop);
    thread.join().unwrap();
    drop(processor);
    calls.end_as(&expected);
}
