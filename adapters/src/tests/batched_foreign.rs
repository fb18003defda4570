//! Foreign code about a batch: wakers and drops, which may call back or panic, and attempts that are polled by hand.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use futures::StreamExt;
use futures::future::join_all;

use super::kit::{Bell, ms};
use crate::runtime::sim::Sim;
use crate::{AnyThread, Batch, Batching, Context, Handler, Processor, TaskError, batched};

/// An attempt that is polled by hand.
type Attempt = Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>;

/// Drops the attempt that is in there when it is dropped or woken.
#[derive(Clone, Default)]
struct Drops(Arc<Mutex<Option<Attempt>>>);

impl Drops {
    fn drop_attempt(&self) {
        let attempt = self.0.lock().unwrap().take();
        drop(attempt);
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}

/// A job.
struct Tie(Drops);

impl Drop for Tie {
    fn drop(&mut self) {
        self.0.drop_attempt();
    }
}

impl Wake for Tie {
    fn wake(self: Arc<Self>) {
        self.0.drop_attempt();
    }
}

fn poll(attempt: &mut Attempt, waker: &Waker) -> Poll<Result<(), ()>> {
    attempt.as_mut().poll(&mut TaskContext::from_waker(waker))
}

#[test]
fn jobs_and_wakers_are_foreign_code() {
    type Work = fn(Tie) -> Result<(), ()>;
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let notes = sizes.clone();
    let handler = batched(Batching::new(9), move |batch: Batch<Work>| {
        notes.lock().unwrap().push(batch.len());
        async move {
            std::future::pending::<()>().await;
            drop(batch);
        }
    });
    let attempt = |ties: &Drops| -> Attempt {
        Box::pin(Handler::<Work, _, AnyThread>::call(&handler, Tie(ties.clone()), Context::for_test))
    };
    let noop = Waker::noop();
    for runs in [false, true] {
        // The job of the first drops the third, and so does the waker of the second, which is woken when the first goes.
        let [by_job, by_waker] = [Drops::default(), Drops::default()];
        let mut first = attempt(&by_job);
        let mut second = attempt(&Drops::default());
        let [mut third, mut fourth] = [attempt(&Drops::default()), attempt(&Drops::default())];
        assert!(poll(&mut first, noop).is_pending());
        assert!(poll(&mut second, &Waker::from(Arc::new(Tie(by_waker.clone())))).is_pending());
        assert!(poll(&mut third, noop).is_pending() && poll(&mut fourth, noop).is_pending());
        if runs {
            assert!((0..2).all(|_| poll(&mut first, noop).is_pending()));
        }
        *by_job.0.lock().unwrap() = Some(third);
        *by_waker.0.lock().unwrap() = Some(fourth);
        drop(first);
        assert_eq!((by_waker.is_empty(), by_job.is_empty()), (true, !runs));
        assert!(poll(&mut second, noop).is_pending());
        drop(second);
        by_job.drop_attempt();
        assert_eq!(Arc::strong_count(&by_job.0), 1, "jobs go with the last member");
    }
    assert_eq!(*sizes.lock().unwrap(), [4]);
}

#[test]
fn only_the_driver_is_woken_and_then_its_successor() {
    type Work = fn(u8) -> Result<(), ()>;
    let (send, receive) = futures::channel::mpsc::unbounded::<()>();
    let receive = Arc::new(Mutex::new(receive));
    let handler = batched(Batching::new(3), move |batch: Batch<Work>| {
        let receive = receive.clone();
        async move {
            for _ in 0..2 {
                poll_fn(|cx| receive.lock().unwrap().poll_next_unpin(cx)).await.unwrap();
            }
            batch.for_each(|(_, answer)| answer.give(Ok(())));
        }
    });
    let bells = [0; 3].map(|_| Arc::new(Bell::default()));
    let wakers = bells.clone().map(Waker::from);
    let rung = || bells.each_ref().map(|bell| bell.0.swap(0, SeqCst));
    let mut attempts = [0, 1, 2].map(|job| -> Option<Attempt> {
        Some(Box::pin(Handler::<Work, _, AnyThread>::call(&handler, job, Context::for_test)))
    });
    let mut ask = |index: usize| attempts[index].as_mut().map(|attempt| poll(attempt, &wakers[index]));
    assert_eq!([0, 1, 2].map(&mut ask), [Some(Poll::Pending); 3]);
    // The first waits for others, by a wake of its own. The last fills the batch, and so drives it.
    assert_eq!(rung(), [1, 0, 0]);
    assert_eq!(ask(0), Some(Poll::Pending));
    send.unbounded_send(()).unwrap();
    assert_eq!(rung(), [0, 0, 1]);
    // It goes before it is polled: the wake is not lost.
    attempts[2] = None;
    assert_eq!(rung(), [1, 0, 0]);
    let mut ask = |index: usize| attempts[index].as_mut().map(|attempt| poll(attempt, &wakers[index]));
    assert_eq!([ask(1), ask(0)], [Some(Poll::Pending); 2]);
    send.unbounded_send(()).unwrap();
    assert_eq!(rung(), [1, 0, 0]);
    assert_eq!(ask(0), Some(Poll::Ready(Ok(()))));
    assert_eq!(rung(), [0, 1, 0]);
    assert_eq!(ask(1), Some(Poll::Ready(Ok(()))));
}

/// A waker that panics.
struct Shrill;

impl Wake for Shrill {
    fn wake(self: Arc<Self>) {
        panic!("woken");
    }
}

#[test]
fn a_waker_that_panics_does_not_keep_others_from_being_woken() {
    type Work = fn(u8) -> Result<(), ()>;
    let handler = batched(Batching::new(4), |batch: Batch<Work>| async move {
        batch.for_each(|(_, answer)| answer.give(Ok(())));
    });
    let mut attempts = [0, 1, 2, 3].map(|job| -> Attempt {
        Box::pin(Handler::<Work, _, AnyThread>::call(&handler, job, Context::for_test))
    });
    let bell = Arc::new(Bell::default());
    let wakers = [Waker::noop().clone(), Waker::from(Arc::new(Shrill)), Waker::from(bell.clone())];
    for (attempt, waker) in attempts.iter_mut().zip(&wakers) {
        assert!(poll(attempt, waker).is_pending());
    }
    assert_eq!(poll(&mut attempts[3], Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(bell.0.load(SeqCst), 1);
    assert!(attempts[..3].iter_mut().all(|attempt| poll(attempt, Waker::noop()) == Poll::Ready(Ok(()))));
}

#[test]
fn a_panic_of_the_future_when_it_is_dropped_is_that_of_all() {
    type Work = fn(u32) -> Result<u32, ()>;
    let sim = Sim::new(1);
    let handler = batched(Batching::new(2), |batch: Batch<Work>| {
        batch.for_each(|(job, answer)| answer.give(Ok(job)));
        let grenade = Grenade(true);
        poll_fn(move |_| {
            let _ = &grenade;
            Poll::Ready(())
        })
    });
    let processor = Processor::builder().spawn_on(sim.clone(), handler).unwrap();
    let handles = [0, 1].map(|job| processor.submit(job).unwrap());
    for result in sim.block_on(join_all(handles)).unwrap() {
        assert_eq!(result, Err(TaskError::Panicked("dropped".into())));
    }
}

/// Panics when it is dropped, if it is told to.
#[derive(Debug)]
struct Grenade(bool);

impl Drop for Grenade {
    fn drop(&mut self) {
        assert!(!self.0, "dropped");
    }
}

#[test]
fn a_result_that_panics_when_dropped_hurts_no_neighbour() {
    type Work = fn(bool) -> Result<Grenade, Grenade>;
    let sim = Sim::new(1);
    let time = sim.time();
    let handler = batched(Batching::new(3), move |batch: Batch<Work>| {
        let time = time.clone();
        async move {
            time.sleep(ms(10)).await;
            let panics = batch.jobs().all(|job| *job);
            batch.for_each(|(job, answer)| answer.give(Ok(Grenade(job))));
            assert!(!panics, "in the function");
        }
    });
    let processor = Processor::builder().spawn_on(sim.clone(), handler).unwrap();
    let handles = [true; 3].map(|job| processor.submit(job).unwrap());
    for result in sim.block_on(join_all(handles)).unwrap() {
        assert!(matches!(result, Err(TaskError::Panicked(text)) if text.as_str() == "in the function"));
    }
    let gone = processor.task(true).timeout(ms(5)).submit().unwrap();
    let handles = [false; 2].map(|job| processor.submit(job).unwrap());
    assert!(matches!(sim.block_on(gone).unwrap(), Err(TaskError::TimedOut)));
    assert!(sim.block_on(join_all(handles)).unwrap().iter().all(Result::is_ok));
}
