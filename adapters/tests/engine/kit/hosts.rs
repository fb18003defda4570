//! The runtimes by name, each with its threads, and the macros that make a test for each of them of one function. A
//! further runtime is a [`Host`] and a line in `on_every_runtime`.

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::channel::oneshot;
use plimsoll::Runtime;
use plimsoll::Thread;

/// A runtime with its threads, which run until it is stopped or dropped.
pub(crate) trait Host: Sized + Send + 'static {
    type Runtime: Runtime + Clone;
    const THREADS: usize;

    fn start() -> Self;
    fn runtime(&self) -> Self::Runtime;
    /// Sleeps on the runtime's timer where it has one that handlers may use.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send + 'static;
    /// Drops the runtime with all that it has.
    fn stop(self) {}
}

impl Host for Thread {
    type Runtime = Self;
    const THREADS: usize = 1;

    fn start() -> Self {
        Self::start().unwrap()
    }

    fn runtime(&self) -> Self {
        self.clone()
    }

    async fn sleep(duration: Duration) {
        let (over, is_over) = oneshot::channel::<()>();
        thread::spawn(move || {
            thread::sleep(duration);
            drop(over);
        });
        let _ = is_over.await;
    }
}

#[cfg(feature = "tokio")]
pub(crate) use with_tokio::{TokioOne, TokioThreads};

#[cfg(feature = "tokio")]
mod with_tokio {
    use super::*;
    use ::tokio::runtime;
    use plimsoll::Tokio;

    /// Tokio on one thread.
    pub(crate) struct TokioOne {
        handle: runtime::Handle,
        stop: Option<oneshot::Sender<bool>>,
        thread: Option<JoinHandle<()>>,
    }

    impl TokioOne {
        /// Drops the runtime, or shuts it down in the background.
        pub(crate) fn end(&mut self, in_background: bool) {
            let _ = self.stop.take().map(|stop| stop.send(in_background));
            let _ = self.thread.take().map(JoinHandle::join);
        }

        pub(crate) fn stop_in_background(mut self) {
            self.end(true);
        }
    }

    impl Host for TokioOne {
        type Runtime = Tokio;
        const THREADS: usize = 1;

        fn start() -> Self {
            let (stop, is_stopped) = oneshot::channel();
            let (started, starts) = mpsc::channel();
            let thread = thread::spawn(move || {
                let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
                started.send(runtime.handle().clone()).unwrap();
                if runtime.block_on(is_stopped) == Ok(true) {
                    runtime.shutdown_background();
                }
            });
            Self { handle: starts.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
        }

        fn runtime(&self) -> Tokio {
            Tokio::on(self.handle.clone())
        }

        async fn sleep(duration: Duration) {
            ::tokio::time::sleep(duration).await;
        }
    }

    impl Drop for TokioOne {
        fn drop(&mut self) {
            self.end(false);
        }
    }

    /// Tokio on `N` threads.
    pub(crate) struct TokioThreads<const N: usize>(Option<runtime::Runtime>);

    impl<const N: usize> TokioThreads<N> {
        pub(crate) fn handle(&self) -> runtime::Handle {
            self.0.as_ref().unwrap().handle().clone()
        }

        pub(crate) fn stop_in_background(mut self) {
            self.0.take().unwrap().shutdown_background();
        }
    }

    impl<const N: usize> Host for TokioThreads<N> {
        type Runtime = Tokio;
        const THREADS: usize = N;

        fn start() -> Self {
            let mut builder = runtime::Builder::new_multi_thread();
            Self(Some(builder.worker_threads(N).enable_time().build().unwrap()))
        }

        fn runtime(&self) -> Tokio {
            Tokio::on(self.handle())
        }

        async fn sleep(duration: Duration) {
            ::tokio::time::sleep(duration).await;
        }
    }
}

#[cfg(feature = "smol")]
pub(crate) use with_smol::SmolThreads;

#[cfg(feature = "smol")]
mod with_smol {
    use super::*;
    use ::smol::Executor;
    use plimsoll::Smol;

    /// An executor of smol, run by `N` threads. It is dropped un-run if there are none.
    pub(crate) struct SmolThreads<const N: usize> {
        executor: Arc<Executor<'static>>,
        runners: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
    }

    impl<const N: usize> SmolThreads<N> {
        /// Stops running the executor, but keeps it.
        pub(crate) fn halt(&mut self) {
            for (stop, thread) in self.runners.drain(..) {
                drop(stop);
                let _ = thread.join();
            }
        }
    }

    impl<const N: usize> Host for SmolThreads<N> {
        type Runtime = Smol;
        const THREADS: usize = N;

        fn start() -> Self {
            let executor = Arc::new(Executor::new());
            let run = |_| {
                let (stop, is_stopped) = oneshot::channel::<()>();
                let executor = executor.clone();
                let run = move || {
                    // Stopped by a word or by the loss of who might say it.
                    let _ = ::smol::block_on(executor.run(is_stopped));
                };
                (stop, thread::spawn(run))
            };
            Self { runners: (0..N).map(run).collect(), executor }
        }

        fn runtime(&self) -> Smol {
            if N == 1 { Smol::on_one_thread(self.executor.clone()) } else { Smol::on(self.executor.clone()) }
        }

        async fn sleep(duration: Duration) {
            ::smol::Timer::after(duration).await;
        }
    }

    impl<const N: usize> Drop for SmolThreads<N> {
        fn drop(&mut self) {
            self.halt();
        }
    }
}

// A function that takes a host becomes a module with a test for each of these runtimes.

macro_rules! on_hosts {
    ([$($(#[$cfg:meta])* $name:ident: $host:ty;)*] $test:ident) => {
        mod $test {
            $(
                $(#[$cfg])*
                #[test]
                fn $name() {
                    use $crate::kit;
                    kit::within(kit::WATCHDOG, || super::$test(<$host as kit::Host>::start()));
                }
            )*
        }
    };
}

macro_rules! on_every_runtime {
    ($($test:ident)*) => {$(on_hosts! { [
        #[cfg(feature = "tokio")] tokio_one_thread: kit::TokioOne;
        #[cfg(feature = "tokio")] tokio_two_threads: kit::TokioThreads<2>;
        #[cfg(feature = "smol")] smol_one_thread: kit::SmolThreads<1>;
        #[cfg(feature = "smol")] smol_two_threads: kit::SmolThreads<2>;
        plain_thread: plimsoll::Thread;
    ] $test })*};
}

macro_rules! on_two_threads {
    ($($test:ident)*) => {$(on_hosts! { [
        #[cfg(feature = "tokio")] tokio_two_threads: kit::TokioThreads<2>;
        #[cfg(feature = "smol")] smol_two_threads: kit::SmolThreads<2>;
    ] $test })*};
}

/// All but the plain thread, which cannot be stopped.
macro_rules! on_runtimes_that_stop {
    ($($test:ident)*) => {$(on_hosts! { [
        #[cfg(feature = "tokio")] tokio_one_thread: kit::TokioOne;
        #[cfg(feature = "tokio")] tokio_two_threads: kit::TokioThreads<2>;
        #[cfg(feature = "smol")] smol_one_thread: kit::SmolThreads<1>;
        #[cfg(feature = "smol")] smol_two_threads: kit::SmolThreads<2>;
    ] $test })*};
}

macro_rules! on_tokio {
    ($($test:ident)*) => {$(on_hosts! { [
        #[cfg(feature = "tokio")] one_thread: kit::TokioOne;
        #[cfg(feature = "tokio")] two_threads: kit::TokioThreads<2>;
    ] $test })*};
}
