//! Runtimes on which everything stays on one thread.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_executor::LocalExecutor;
use futures_util::FutureExt;
use tokio::task::LocalSet;

use crate::host::{Host, Smol, Tokio};

/// Something that can't be sent, in the hands of a harness that asks for `Send` and runs all of it on one thread.
#[derive(Clone)]
pub struct OnThisThread<T>(pub T);

// SAFETY: only `TokioSet` and `SmolSet` run what is made of this. They poll and drop everything on the thread of `run`.
unsafe impl<T> Send for OnThisThread<T> {}

impl<T: Future + Unpin> Future for OnThisThread<T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// tokio's `LocalSet` on a current-thread runtime.
#[derive(Clone, Copy, Debug)]
pub struct TokioSet;

impl Host for TokioSet {
    type Sleep = tokio::time::Sleep;

    fn sleep_until(at: Instant) -> Self::Sleep {
        Tokio::sleep_until(at)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        Tokio::timeout(limit, future).await
    }

    fn run<T: Send + 'static>(_: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, async { Self::spawn(main).await })
    }

    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        let task = tokio::task::spawn_local(tokio::task::unconstrained(future));
        task.map(|joined| joined.expect("a task of the harness that does not panic"))
    }

    fn detach(future: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::task::spawn_local(future));
    }
}

/// A local executor of smol.
#[derive(Clone, Copy, Debug)]
pub struct SmolSet;

thread_local! {
    static EXECUTOR: Rc<LocalExecutor<'static>> = Rc::default();
}

impl SmolSet {
    pub fn executor() -> Rc<LocalExecutor<'static>> {
        EXECUTOR.with(Rc::clone)
    }
}

impl Host for SmolSet {
    type Sleep = async_io::Timer;

    fn sleep_until(at: Instant) -> Self::Sleep {
        Smol::sleep_until(at)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        Smol::timeout(limit, future).await
    }

    fn run<T: Send + 'static>(_: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        let executor = Self::executor();
        async_io::block_on(executor.run(executor.spawn(main)))
    }

    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        OnThisThread(Self::executor().spawn(future))
    }

    fn detach(future: impl Future<Output = ()> + Send + 'static) {
        Self::executor().spawn(future).detach();
    }
}
