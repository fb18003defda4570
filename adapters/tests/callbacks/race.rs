//! Callbacks of thousands of tasks, while another thread cancels and the owner goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;

use plimsoll::{Options, Processor, Retry, Runtime, TaskError, Timeouts};

use crate::kit::{
    Calls, Do, End, Fate, Service, eventually, handle, ms, on_every_runtime, plain, timeouts, twice,
};

on_every_runtime! {
    thousands_that_race_with_cancels_and_the_end
}

/// Whether a task with this job may end so.
fn is_possible(job: Do, end: &End) -> bool {
    match (job, end) {
        (_, Err(TaskError::Cancelled(_))) => true,
        (Do::Return(expected) | Do::FailOnce(expected), Ok(found)) => *found == expected,
        (Do::Return(_), Err(TaskError::Expired)) => false,
        (Do::FailOnceThenPanic | Do::Panic, Err(TaskError::Panicked(_))) => true,
        // What fails while the processor ends is not tried again.
        (Do::Fail | Do::FailOnce(_) | Do::FailOnceThenPanic, Err(TaskError::Failed("failed"))) => true,
        (Do::Hang | Do::HangThenPanic, Err(TaskError::TimedOut)) => true,
        _ => false,
    }
}

/// With so short a queue that most tasks have run when the last one is submitted.
fn small(runtime: impl Runtime) -> Service {
    Processor::builder().queue(32).concurrency(8).retry(Retry::NONE).spawn_on(runtime, handle).unwrap()
}

fn thousands_that_race_with_cancels_and_the_end(runtime: impl Runtime) {
    const TASKS: u32 = 2_000;
    let (processor, calls) = (small(runtime), Calls::default());
    let (submitter, ended) = (processor.submitter(), Arc::new(AtomicBool::new(false)));
    let limited = timeouts(Timeouts { start_to_close: Some(ms(2)), ..Timeouts::NONE });
    let load = move |n: u32| match n % 8 {
        0 => (Do::Fail, plain()),
        1 => (Do::Panic, twice()),
        2 => (Do::FailOnce(n), twice()),
        3 => (Do::FailOnceThenPanic, twice()),
        4 => (Do::Hang, limited),
        5 => (Do::HangThenPanic, limited),
        _ => (Do::Return(n), plain().delay(ms(u64::from(n % 3)))),
    };
    let (sender, tasks) = mpsc::channel();
    let (of_thread, until) = (calls.clone(), ended.clone());
    let submitting = thread::spawn(move || {
        let mut admitted = Vec::new();
        for n in 0..TASKS {
            let (job, options): (Do, Options) = load(n);
            loop {
                let (name, closed) = (n.to_string(), until.load(SeqCst));
                let note = of_thread.note(&name);
                match submitter.task(job).options(options).call(|settled| note.call(settled)) {
                    Ok(task) => {
                        admitted.push((name, job));
                        sender.send(task).unwrap();
                        break;
                    }
                    // With its callback, which was not called.
                    Err(refused) => drop(refused),
                }
                assert_eq!(of_thread.forget(&name), [Fate::DroppedUncalled]);
                if closed {
                    return admitted;
                }
                thread::yield_now();
            }
        }
        admitted
    });
    let mut cancelled = 0;
    for task in tasks.iter().take(TASKS as usize / 2).step_by(5) {
        // Many are settled by now.
        cancelled += u32::from(processor.cancel(task).is_ok());
    }
    let totals = processor.totals();
    drop(processor);
    ended.store(true, SeqCst);
    // The channel stays open for the other thread.
    let admitted = submitting.join().unwrap();
    drop(tasks);
    eventually("all callbacks are gone", || calls.len() >= admitted.len());
    assert_eq!(calls.len(), admitted.len());
    for (name, job) in &admitted {
        let fates = calls.fates(name);
        assert!(matches!(&fates[..], [Fate::Called(end)] if is_possible(*job, end)), "{job:?}: {fates:?}");
    }
    println!("{} admitted, {cancelled} cancelled, by the end {totals:?}", admitted.len());
}
