//! What an executor has to offer to run a processor.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time;

use crate::Instant;

/// An executor, as far as a processor needs one. About thirty lines to implement: see `smol.rs` and `tokio.rs` of this
/// crate.
///
/// All three methods are called by [`Builder::spawn_on`](crate::Builder::spawn_on) and never after: a processor keeps
/// the clock, the timer and the spawned futures, but not the runtime. So neither keeps the other alive.
pub trait Runtime: Send + Sync + 'static {
    /// The runtime's timer. A processor uses exactly one.
    type Timer: Timer;

    /// The clock that the timer goes by: it reads the time since an origin of the runtime's choice, and never goes
    /// backwards. It must not keep the executor alive. For real time this is [`since_start`].
    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static;

    /// A timer that is not set.
    fn timer(&self) -> Self::Timer;

    /// Runs a future to its end on the executor, whatever becomes of this value. It is called a fixed number of times:
    /// once for each worker, and once for the driver.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static);
}

/// A timer that can be set again and again, by which a processor is woken.
///
/// The clock decides what is due; the timer only wakes. It may fire late, and it may fire early.
pub trait Timer: Send + 'static {
    /// Sets it to fire at this instant of the runtime's clock, whatever it was set to before.
    fn reset(self: Pin<&mut Self>, at: Instant);

    /// Ready once it has fired; otherwise the waker is kept. It is not polled again after it was ready until it is reset.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

/// The origin of [`since_start`]: the first time that anybody asks.
pub(crate) fn origin() -> time::Instant {
    static ORIGIN: OnceLock<time::Instant> = OnceLock::new();
    *ORIGIN.get_or_init(time::Instant::now)
}

/// The real time that has passed since the first call in this process, on the monotonic clock: the clock of the
/// runtimes in this crate.
#[must_use]
pub fn since_start() -> Instant {
    instant(time::Instant::now())
}

/// A reading of the monotonic clock in terms of [`since_start`].
pub(crate) fn instant(at: time::Instant) -> Instant {
    Instant::ZERO.saturating_add(at.saturating_duration_since(origin()))
}

/// When the monotonic clock reads this; `None` where it cannot.
#[cfg(any(feature = "smol", feature = "tokio"))]
pub(crate) fn std_instant(at: Instant) -> Option<time::Instant> {
    origin().checked_add(at.saturating_since(Instant::ZERO))
}
