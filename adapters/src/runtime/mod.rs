//! What an executor has to offer to run a processor.
//!
//! [`Runtime`] is the trait; [`sim`] is an executor for tests that runs weeks in seconds.

pub mod sim;
#[cfg(feature = "smol")]
pub mod smol;
pub mod thread;
#[cfg(feature = "tokio")]
pub mod tokio;

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time;

use crate::Instant;

/// An executor, as far as a processor needs one. About thirty lines to implement: see `smol.rs` and `tokio.rs` of this
/// crate.
///
/// All methods are called by [`Builder::spawn_on`](crate::Builder::spawn_on) and never after: a processor keeps
/// the clock, the timer and the spawned futures, but not the runtime. So neither keeps the other alive.
///
/// The runtime must drop the spawned futures when it ends, as executors do: that is how a processor learns of it. Then it
/// cancels what is not settled, on the thread that drops them, and nobody waits for it any more.
///
/// `conformance::executor::check` (feature `conformance`) tries all of these promises on an implementation, and says in words
/// which one is broken, what was seen, and where to look.
pub trait Runtime {
    /// The runtime's timer. A processor uses exactly one.
    type Timer: Timer + Send;

    /// On how many threads spawned futures may run at the same time. Default: [`Threads::Several`], which is right for
    /// every executor and costs one with a single thread some speed.
    fn threads(&self) -> Threads {
        Threads::Several
    }

    /// Whether it can run a processor, asked before anything else. Default: it can.
    ///
    /// # Errors
    /// What it lacks, and how it is made to have that: what [`BuildError::Runtime`](crate::BuildError::Runtime) says.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// The clock that the timer goes by: it reads the time since an origin of the runtime's choice, which is the same at each
    /// call, and never goes backwards. It may be read on any thread, also after the end of the executor, which it must not keep
    /// alive. For real time this is [`since_start`].
    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static;

    /// A timer that is not set.
    fn timer(&self) -> Self::Timer;

    /// Runs a future to its end on the executor, whatever becomes of this value, and drops it then. It is not polled within
    /// this call. It is called a fixed number of times: once for each worker, and once for the timekeeper.
    ///
    /// No wake-up may be lost, from whichever thread it comes. A future that wakes itself while it is polled, as a worker does at
    /// the end of its turn, has to stand in line behind the others that are ready: where it is polled again at once, nobody else
    /// gets its thread, the timekeeper included.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static);

    /// A number from which a processor derives what it draws at random: the jitter of a backoff, the order of a cache.
    /// Default: another one at each call, as random as the standard library's hash maps are. A runtime that is to be
    /// deterministic answers from a seed of its own.
    fn seed(&self) -> u64 {
        RandomState::new().hash_one(())
    }

    /// Whether the task that is being polled on this thread may go on, where the runtime gives each of its tasks a budget
    /// in a turn. A worker returns to the runtime when it may not, so that the next attempt has a budget of its own. Called
    /// after each poll of an attempt that goes on. Default: always.
    #[must_use]
    fn may_go_on() -> bool
    where
        Self: Sized,
    {
        true
    }
}

/// An executor of one thread, for processors that stay there: as [`Runtime`], but what is spawned need not be `Send`. About as
/// long to implement: see `SmolLocal` and `TokioLocal` of this crate.
///
/// All methods are called by [`Builder::spawn_local_on`](crate::Builder::spawn_local_on) and never after, on the thread on which
/// the futures are to run. What is said of [`Runtime`] holds here too; `conformance::executor::check_local` tries it.
pub trait LocalRuntime {
    /// The runtime's timer. A processor uses exactly one.
    type Timer: Timer;

    /// Whether it can run a processor: see [`Runtime::check`].
    ///
    /// # Errors
    /// What it lacks, and how it is made to have that.
    fn check(&self) -> Result<(), &'static str> {
        Ok(())
    }

    /// The clock that the timer goes by: see [`Runtime::clock`].
    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static;

    /// A timer that is not set.
    fn timer(&self) -> Self::Timer;

    /// Runs a future to its end on this thread: see [`Runtime::spawn`]. It is called twice.
    fn spawn(&self, future: impl Future<Output = ()> + 'static);

    /// See [`Runtime::seed`].
    fn seed(&self) -> u64 {
        RandomState::new().hash_one(())
    }

    /// See [`Runtime::may_go_on`].
    #[must_use]
    fn may_go_on() -> bool
    where
        Self: Sized,
    {
        true
    }
}

/// On how many threads a [`Runtime`] runs futures at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Threads {
    /// On one, which may be another one from time to time.
    One,
    /// On several, or on a number that is not known.
    Several,
}

/// A timer that can be set again and again, by which a processor is woken.
///
/// The clock decides what is due; the timer only wakes. It may fire late, and it may fire early, when it is set again. One that
/// rounds should round up: while it fires early again and again, its processor spins.
pub trait Timer: 'static {
    /// Sets it to fire at this instant of the runtime's clock, whatever it was set to before, once it is polled again. An instant
    /// may have passed, or be centuries away. [`Instant::MAX`] unsets it: then nothing of the runtime should wait for it.
    fn reset(self: Pin<&mut Self>, at: Instant);

    /// Ready once it has fired; otherwise this waker is kept, in place of one of an earlier poll. It is not polled again after it
    /// was ready until it is reset.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;
}

/// Reads the clock of a runtime. Foreign code: not to be called under a lock.
pub(crate) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

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
