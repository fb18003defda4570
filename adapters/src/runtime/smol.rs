//! A processor on smol.
//!
//! ```
//! use plimsoll::{Processor, Smol, infallible};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let processor = Processor::builder()
//!     .spawn_on(Smol::global(), infallible(|name: String| async move { name.len() }))?;
//! let handle = processor.submit("Plimsoll".to_owned())?;
//! assert_eq!(smol::block_on(handle)?, 8);
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::Instant;
use crate::runtime::{LocalRuntime, Runtime, Threads, Timer, since_start, std_instant};

/// The smol runtime: its global executor, or one of your own.
///
/// Waking a task on this executor goes through its own queue, which allocates a block every 31 wake-ups; a worker is
/// woken at most once a task, and far less under load.
#[derive(Clone)]
pub struct Smol {
    /// The global one, if none.
    executor: Option<Arc<::smol::Executor<'static>>>,
    threads: Threads,
}

impl Smol {
    /// The global executor of `smol`, with its own threads: one, unless the variable `SMOL_THREADS` says more.
    #[must_use]
    pub fn global() -> Self {
        let threads = std::env::var("SMOL_THREADS").ok().and_then(|threads| threads.parse::<usize>().ok());
        let threads = if threads.unwrap_or(1) > 1 { Threads::Several } else { Threads::One };
        Self { executor: None, threads }
    }

    /// An executor that you run yourself, on any number of threads.
    #[must_use]
    pub const fn on(executor: Arc<::smol::Executor<'static>>) -> Self {
        Self { executor: Some(executor), threads: Threads::Several }
    }

    /// An executor that you run yourself, on one thread at a time: there a worker takes many attempts at a time, which is
    /// cheaper. Should several threads run it all the same, nothing is wrong but that a handler that blocks delays others.
    #[must_use]
    pub const fn on_one_thread(executor: Arc<::smol::Executor<'static>>) -> Self {
        Self { executor: Some(executor), threads: Threads::One }
    }
}

impl Default for Smol {
    fn default() -> Self {
        Self::global()
    }
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.executor.is_some() { "Smol(own executor)" } else { "Smol(global)" })
    }
}

impl Runtime for Smol {
    type Timer = SmolTimer;

    fn threads(&self) -> Threads {
        self.threads
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> SmolTimer {
        SmolTimer(async_io::Timer::never())
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match &self.executor {
            Some(executor) => executor.spawn(future).detach(),
            None => ::smol::spawn(future).detach(),
        }
    }
}

/// An executor of smol that stays on one thread, for processors whose values need not be `Send`.
#[derive(Clone)]
pub struct SmolLocal(Rc<::smol::LocalExecutor<'static>>);

impl SmolLocal {
    /// An executor that you run yourself, on this thread.
    #[must_use]
    pub const fn on(executor: Rc<::smol::LocalExecutor<'static>>) -> Self {
        Self(executor)
    }
}

impl fmt::Debug for SmolLocal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SmolLocal")
    }
}

impl LocalRuntime for SmolLocal {
    type Timer = SmolTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> SmolTimer {
        SmolTimer(async_io::Timer::never())
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future).detach();
    }
}

/// The timer of [`Smol`] and [`SmolLocal`]: one of `async-io`.
#[derive(Debug)]
pub struct SmolTimer(async_io::Timer);

impl Timer for SmolTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        match std_instant(at).filter(|_| at != Instant::MAX) {
            Some(at) => self.0.set_at(at),
            None => self.0.clear(),
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}
