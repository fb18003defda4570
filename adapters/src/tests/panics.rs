//! Jobs and wakers that panic where it hurts most.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use futures::executor::block_on;

use super::kit::Manual;
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::runtime::sim::Sim;
use crate::{Context, Handle, Processor, Retry, TaskError};

type Flag = fn(bool, Context) -> Result<(), ()>;

on_every_runtime! {
    a_job_that_panics_twice_aborts_nothing
}

/// Panics when it is cloned and when it is dropped.
struct Grenade;

impl Clone for Grenade {
    fn clone(&self) -> Self {
        panic!("cloned");
    }
}

impl Drop for Grenade {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

fn a_job_that_panics_twice_aborts_nothing(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .retry(Retry::NONE.attempts(2))
        .spawn_on(runtime, |_: Grenade, _: Context| async { Ok::<(), ()>(()) })
        .unwrap();
    assert!(matches!(block_on(processor.submit(Grenade).ok().unwrap()), Err(TaskError::Panicked(_))));
    assert_eq!(processor.census().orphans, 0);
}

/// A waker that panics when the last of it is dropped.
struct Brittle;

impl Wake for Brittle {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("waker");
    }
}

#[test]
fn a_waker_that_panics_when_it_is_replaced_loses_nothing() {
    let manual = Manual::default();
    let processor = Processor::builder()
        .queue(0)
        .concurrency(1)
        .spawn_on(manual.clone(), |waits: bool, _: Context| async move {
            if waits {
                pending::<()>().await;
            }
            Ok::<(), ()>(())
        })
        .unwrap();
    let first = processor.submit(true).unwrap();
    manual.run();
    let poll = |future: &mut (dyn Future<Output = _> + Unpin), waker: Waker| {
        Pin::new(future).poll(&mut TaskContext::from_waker(&waker))
    };
    let mut second = processor.submit_wait(false);
    // The only one left of it is in the line, then in the handle's slot.
    assert!(poll(&mut second, Waker::from(Arc::new(Brittle))).is_pending());
    assert!(poll(&mut second, Waker::noop().clone()).is_pending());
    assert_eq!((processor.census().waiters, processor.totals().late_panics), (1, 1));
    first.cancel().unwrap();
    manual.run();
    let Poll::Ready(Ok(mut second)) = poll(&mut second, Waker::noop().clone()) else { panic!("no room") };
    let ask =
        |handle: &mut Handle<Flag>, waker: Waker| Pin::new(handle).poll(&mut TaskContext::from_waker(&waker));
    assert!(ask(&mut second, Waker::from(Arc::new(Brittle))).is_pending());
    assert!(ask(&mut second, Waker::noop().clone()).is_pending());
    assert_eq!(processor.totals().late_panics, 2);
    manual.run();
    assert_eq!(ask(&mut second, Waker::noop().clone()), Poll::Ready(Ok(())));
}

#[test]
fn a_retained_outcome_is_taken_though_its_job_panics() {
    let sim = Sim::new(0);
    let handler = |_: Grenade, _: Context| async { Ok::<(), ()>(()) };
    let processor = Processor::builder().results(1, None).spawn_on(sim.clone(), handler).unwrap();
    processor.pause();
    let task = processor.task(Grenade).retain().ok().unwrap();
    processor.cancel(task).unwrap();
    sim.run_until_idle().unwrap();
    // The job never started, and comes with the outcome.
    assert!(matches!(processor.result(task), Some(Err(TaskError::Cancelled(_)))));
    assert_eq!(processor.totals().late_panics, 1);
}
