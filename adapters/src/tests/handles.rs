//! Who is woken when an outcome is there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context as TaskContext, Poll, Waker};

use super::kit::{Bell, Manual};
use crate::{Context, Processor};

#[test]
fn whoever_looked_last_is_woken_once() {
    let runtime = Manual::default();
    let processor = Processor::builder()
        .spawn_on(runtime.clone(), |n: u32, _: Context| async move { Ok::<_, ()>(n) })
        .unwrap();
    // How often the first looks, how often the second does after that, and whose bell rings.
    for (first, second, rings) in [(1, 0, [1, 0]), (3, 0, [1, 0]), (2, 1, [0, 1]), (2, 2, [0, 1])] {
        let mut handle = processor.submit(7).unwrap();
        let bells = [first, second].map(|times| {
            let bell = Arc::new(Bell::default());
            let waker = Waker::from(bell.clone());
            for _ in 0..times {
                assert!(Pin::new(&mut handle).poll(&mut TaskContext::from_waker(&waker)).is_pending());
            }
            bell
        });
        runtime.run();
        assert_eq!(bells.map(|bell| bell.0.load(SeqCst)), rings);
        let outcome = Pin::new(&mut handle).poll(&mut TaskContext::from_waker(Waker::noop()));
        assert_eq!(outcome, Poll::Ready(Ok(7)));
    }
}

#[test]
fn a_handle_that_cancels_its_task_in_the_queue_leaves_nobody_anything_to_do() {
    let runtime = Manual::default();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime.clone(), |_: u32, _: Context| std::future::pending::<Result<(), ()>>())
        .unwrap();
    let running = processor.submit(1).unwrap();
    runtime.run();
    let mut queued = processor.submit(2).unwrap().cancel_on_drop();
    let [bell, timekeeper] = [(); 2].map(|()| Arc::new(Bell::default()));
    let waker = Waker::from(bell.clone());
    assert!(Pin::new(&mut queued).poll(&mut TaskContext::from_waker(&waker)).is_pending());
    runtime.run();
    let submitter = processor.submitter();
    submitter.shared.watch_timekeeper(&Waker::from(timekeeper.clone()));
    drop(queued);
    assert_eq!([bell, timekeeper].map(|bell| bell.0.load(SeqCst)), [0, 0]);
    assert_eq!((processor.census().tasks, processor.totals().settled.cancelled), (1, 1));
    running.detach();
}
