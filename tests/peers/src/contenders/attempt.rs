//! What most peers need and no library of theirs brings: one attempt at a job with time-out and panics caught, and
//! the receiving end of a oneshot channel as a handle.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pin_project_lite::pin_project;

use crate::host::Host;
use crate::work::{Body, Outcome};

/// How a peer gives one job its time-out.
pub trait Timing: Send + Sync + 'static {
    /// Does the job.
    fn attempt<H: Host, B: Body>(id: u64) -> impl Future<Output = Outcome> + Send;
}

/// By the `timeout` that the runtime's users have: what people write.
pub struct ByLibrary;

impl Timing for ByLibrary {
    async fn attempt<H: Host, B: Body>(id: u64) -> Outcome {
        settle(AssertUnwindSafe(H::timeout(B::limit(id), B::run(id))).catch_unwind().await)
    }
}

/// As those do it who have measured: the clock is read at the start, and the timer is made only when the first poll was
/// pending.
pub struct Tuned;

impl Timing for Tuned {
    async fn attempt<H: Host, B: Body>(id: u64) -> Outcome {
        timed::<H, B>(id, Some(Instant::now())).await
    }
}

/// From the end of the first poll, when that was pending: a task that is ready at once needs no clock, but what the
/// first poll took is not counted. It is less than the others do.
pub struct Late;

impl Timing for Late {
    async fn attempt<H: Host, B: Body>(id: u64) -> Outcome {
        timed::<H, B>(id, None).await
    }
}

async fn timed<H: Host, B: Body>(id: u64, start: Option<Instant>) -> Outcome {
    let future = Timed::<_, H> { inner: B::run(id), start, limit: B::limit(id), timer: None };
    settle(AssertUnwindSafe(future).catch_unwind().await)
}

/// The outcome of a caught attempt; `None` is one that took too long.
pub fn settle<P>(caught: Result<Option<Result<u64, u64>>, P>) -> Outcome {
    match caught {
        Ok(Some(result)) => result.into(),
        Ok(None) => Outcome::TimedOut,
        Err(_) => Outcome::Panicked,
    }
}

pin_project! {
    struct Timed<F, H: Host> {
        #[pin]
        inner: F,
        start: Option<Instant>,
        limit: Duration,
        #[pin]
        timer: Option<H::Sleep>,
    }
}

impl<F: Future, H: Host> Future for Timed<F, H> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(output) = this.inner.poll(cx) {
            return Poll::Ready(Some(output));
        }
        if this.timer.is_none() {
            let start = this.start.unwrap_or_else(Instant::now);
            this.timer.set(Some(H::sleep_until(start + *this.limit)));
        }
        if let Some(timer) = this.timer.as_pin_mut() {
            ready!(timer.poll(cx));
        }
        Poll::Ready(None)
    }
}

/// A handle that tells the outcome, made from one that could also tell of its loss.
pub struct Told<F>(pub F);

impl<F: Future<Output = Result<Outcome, E>> + Unpin, E> Future for Told<F> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(outcome) => Poll::Ready(outcome),
            Err(_) => panic!("an outcome was lost"),
        }
    }
}
