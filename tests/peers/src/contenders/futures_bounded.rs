//! `futures-bounded` behind a bounded queue: one driver polls the running jobs in one set, which has its own limit and
//! gives each job its time-out. A set has one time-out for all and asks for a timer at each push, so that the driver
//! can say just before for how long. It catches no panics.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use async_channel::Receiver;
use futures_bounded::{Delay, FuturesTupleSet, Timeout};
use futures_util::{FutureExt, Stream};

use super::Contender;
use super::attempt::settle;
use super::queue::{Job, Queue};
use crate::drive::Peer;
use crate::host::{Host, Smol, Tokio};
use crate::work::{Body, Limits, Outcome};

pub struct Driven;

impl Contender<Tokio> for Driven {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (queue, receiver) = Queue::bounded(limits.queue);
        let driver = drive::<B>(receiver, limits.concurrency, Delay::tokio);
        // With tokio's coop budget used up, timers that are due look pending: the driver would fill the set up, and
        // the fuller that is the longer each push takes.
        Tokio::detach(tokio::task::unconstrained(driver));
        queue
    }
}

/// With the timers of `futures-timer`, which run on a thread of their own: the library has no others for smol.
impl Contender<Smol> for Driven {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (queue, receiver) = Queue::bounded(limits.queue);
        Smol::detach(drive::<B>(receiver, limits.concurrency, Delay::futures_timer));
        queue
    }
}

type Running = FuturesTupleSet<Outcome, oneshot::Sender<Outcome>>;

async fn drive<B: Body>(jobs: Receiver<Job>, concurrency: usize, delay: fn(Duration) -> Delay) {
    let mut jobs = pin!(jobs);
    let limit = Arc::new(AtomicU64::new(0));
    let read = limit.clone();
    let mut running = Running::new(move || delay(Duration::from_nanos(read.load(Relaxed))), concurrency);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = running.poll_unpin(cx) {
                tell(ended);
            } else if running.poll_ready_unpin(cx).is_ready()
                && let Poll::Ready(job) = jobs.as_mut().poll_next(cx)
            {
                let Some(job) = job else { return Poll::Ready(()) };
                push::<B>(&mut running, &limit, job);
            } else {
                return Poll::Pending;
            }
        }
    })
    .await;
}

fn push<B: Body>(running: &mut Running, limit: &AtomicU64, (id, outcome): Job) {
    let nanoseconds = u64::try_from(B::limit(id).as_nanos()).expect("a short time-out");
    limit.store(nanoseconds, Relaxed);
    let caught = AssertUnwindSafe(B::run(id)).catch_unwind();
    let pushed = running.try_push(caught.map(|caught| settle(caught.map(Some))), outcome);
    assert!(pushed.is_ok(), "the set said that it has room");
}

fn tell((ended, outcome): (Result<Outcome, Timeout>, oneshot::Sender<Outcome>)) {
    // Whoever has dropped the handle does not want to know.
    let _ = outcome.send(ended.unwrap_or(Outcome::TimedOut));
}
