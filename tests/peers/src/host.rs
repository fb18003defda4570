//! The runtimes that contenders run on.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_executor::Executor;
use futures_util::FutureExt;

/// A runtime, as far as the harness and the contenders that run on several need one.
pub trait Host: Copy + Send + Sync + 'static {
    type Sleep: Future + Send;

    /// How many threads it has at least.
    const THREADS: usize = 1;

    /// A timer of the runtime, set to so long from now.
    fn sleep(duration: Duration) -> Self::Sleep {
        Self::sleep_until(Instant::now() + duration)
    }

    /// A timer of the runtime, set to this instant.
    fn sleep_until(at: Instant) -> Self::Sleep;

    /// The future's output, or `None` when it took longer: as the runtime's users write it.
    fn timeout<F: Future + Send>(
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send
    where
        F::Output: Send;

    /// Runs the main future as a task of the runtime, which has so many threads. See [`spawn`](Self::spawn).
    fn run<T: Send + 'static>(threads: usize, main: impl Future<Output = T> + Send + 'static) -> T;

    /// Spawns a submitter. On tokio it is unconstrained for every contender alike: else tokio's coop budget would cut
    /// off a submitter that takes a hundred outcomes in one poll, for those contenders that use tokio's channels.
    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send;

    /// Spawns a task of a contender that nobody awaits.
    fn detach(future: impl Future<Output = ()> + Send + 'static);
}

/// tokio: current-thread with one thread, multi-thread with more.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl Host for Tokio {
    type Sleep = tokio::time::Sleep;

    fn sleep_until(at: Instant) -> Self::Sleep {
        tokio::time::sleep_until(at.into())
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        tokio::time::timeout(limit, future).await.ok()
    }

    fn run<T: Send + 'static>(threads: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        let mut builder = match threads {
            1 => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        if threads > 1 {
            builder.worker_threads(threads);
        }
        let runtime = builder.enable_all().build().expect("a runtime");
        runtime.block_on(async { Self::spawn(main).await })
    }

    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        let task = tokio::spawn(tokio::task::unconstrained(future));
        task.map(|joined| joined.expect("a task of the harness that does not panic"))
    }

    fn detach(future: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(future));
    }
}

/// tokio, multi-thread with two threads at least.
#[derive(Clone, Copy, Debug)]
pub struct TokioThreads;

impl Host for TokioThreads {
    type Sleep = tokio::time::Sleep;

    const THREADS: usize = 2;

    fn sleep_until(at: Instant) -> Self::Sleep {
        Tokio::sleep_until(at)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        Tokio::timeout(limit, future).await
    }

    fn run<T: Send + 'static>(threads: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        Tokio::run(threads.max(Self::THREADS), main)
    }

    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        Tokio::spawn(future)
    }

    fn detach(future: impl Future<Output = ()> + Send + 'static) {
        Tokio::detach(future);
    }
}

/// One executor of smol, run by as many threads as are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Smol;

static EXECUTOR: LazyLock<Arc<Executor<'static>>> = LazyLock::new(Arc::default);

impl Smol {
    pub fn executor() -> &'static Arc<Executor<'static>> {
        &EXECUTOR
    }
}

impl Host for Smol {
    type Sleep = async_io::Timer;

    fn sleep_until(at: Instant) -> Self::Sleep {
        async_io::Timer::at(at)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output>
    where
        F::Output: Send,
    {
        // Made here, so that it counts from the start.
        let timer = async_io::Timer::after(limit);
        let late = async {
            timer.await;
            None
        };
        futures_lite::future::or(async { Some(future.await) }, late).await
    }

    fn run<T: Send + 'static>(threads: usize, main: impl Future<Output = T> + Send + 'static) -> T {
        for _ in 1..threads {
            std::thread::spawn(|| async_io::block_on(EXECUTOR.run(std::future::pending::<()>())));
        }
        async_io::block_on(EXECUTOR.run(EXECUTOR.spawn(main)))
    }

    fn spawn<T: Send + 'static>(
        future: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send {
        EXECUTOR.spawn(future)
    }

    fn detach(future: impl Future<Output = ()> + Send + 'static) {
        EXECUTOR.spawn(future).detach();
    }
}
