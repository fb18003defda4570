//! A processor on smol.
//!
//! ```
//! use plimsoll::{Context, Outcome, Processor, smol::Smol};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let processor = Processor::builder()
//!     .spawn_on(Smol::global(), |name: String, _: Context| async move { Ok::<_, ()>(name.len()) })?;
//! let handle = processor.submit("Plimsoll".to_owned())?;
//! assert_eq!(smol::block_on(handle)?, Outcome::Completed(8));
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::Instant;
use crate::runtime::{Runtime, Timer, since_start, std_instant};

/// The smol runtime: its global executor, or one of your own.
///
/// Waking a task on this executor goes through its own queue, which allocates a block every 31 wake-ups; a worker is
/// woken at most once a task, and far less under load.
#[derive(Clone)]
pub struct Smol(Option<Arc<::smol::Executor<'static>>>);

impl Smol {
    /// The global executor of `smol`, with its own threads (`SMOL_THREADS`).
    #[must_use]
    pub const fn global() -> Self {
        Self(None)
    }

    /// An executor that you run yourself.
    #[must_use]
    pub const fn on(executor: Arc<::smol::Executor<'static>>) -> Self {
        Self(Some(executor))
    }
}

impl Default for Smol {
    fn default() -> Self {
        Self::global()
    }
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Smol(own executor)" } else { "Smol(global)" })
    }
}

impl Runtime for Smol {
    type Timer = SmolTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> SmolTimer {
        SmolTimer(async_io::Timer::never())
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match &self.0 {
            Some(executor) => executor.spawn(future).detach(),
            None => ::smol::spawn(future).detach(),
        }
    }
}

/// The timer of [`Smol`]: one of `async-io`.
#[derive(Debug)]
pub struct SmolTimer(async_io::Timer);

impl Timer for SmolTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        match std_instant(at) {
            Some(at) => self.0.set_at(at),
            None => self.0.clear(),
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}
