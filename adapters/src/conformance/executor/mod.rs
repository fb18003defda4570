//! The conformance kit for an executor: any binding of [`Runtime`] or [`LocalRuntime`].
//!
//! [`check`] makes the executor anew for each promise, drives it, and tries the promise on a thread of its own, with a limit: a
//! binding that is broken ends in a [`Finding`] and not in a hang. What rests on something that is broken is not tried, so the first
//! finding is the one to begin with. The promises are those of [`Runtime`] and [`Timer`](crate::Timer):
//!
//! - the clock never goes backwards, counts real time, and has one origin;
//! - futures are polled by the executor, each in its turn and on as many threads as it says, and dropped when they are done;
//! - no wake-up is lost: by the future itself, by others, by other threads, while it is polled, again and again, after a rest;
//! - timers fire when they are due, can be set again earlier and later, or unset, and wake the waker of the last poll;
//! - the end of the executor drops all that was spawned, while clocks, timers and wakers live on;
//! - and processors do their tasks on it, keep time, end, and tell everybody if the executor ends before them.
//!
//! An executor with threads of its own that can't be ended is checked by its binding alone:
//!
//! ```
//! use plimsoll::{Thread, conformance::executor};
//!
//! executor::check(|| Thread::start().expect("a thread")).assert_ok();
//! ```
//!
//! For any other, [`Executor`] says how it is driven and what ends it:
//!
//! ```
//! # #[cfg(feature = "smol")]
//! # fn main() {
//! use plimsoll::{Runtime, Smol, conformance::executor};
//! use std::sync::Arc;
//!
//! struct Own(Arc<smol::Executor<'static>>);
//!
//! impl executor::Executor for Own {
//!     fn runtime(&self) -> impl Runtime {
//!         Smol::on_one_thread(self.0.clone())
//!     }
//!
//!     fn block_on<F: Future>(&self, future: F) -> F::Output {
//!         smol::block_on(self.0.run(future))
//!     }
//! }
//!
//! executor::check(|| Own(Arc::default())).assert_ok();
//! # }
//! # #[cfg(not(feature = "smol"))]
//! # fn main() {}
//! ```
//!
//! The kit goes by real time, so an executor on a simulated clock can't be checked. A good executor takes about a second. Each
//! limit is several seconds, so that a busy machine makes no findings; a trial that hangs leaves its thread behind.

mod clocks;
mod crew;
mod end;
mod gone;
mod jobs;
mod laws;
mod processors;
mod report;
mod spawning;
mod subject;
mod tally;
mod timer_scripts;
mod timers;
mod trial;
mod verdict;
mod wakes;

use std::future::Future;
use std::pin::pin;

use crate::park;
use crate::runtime::{LocalRuntime, Runtime};
pub use report::{Finding, Report};
use subject::{OfOneThread, OfThreads};

/// An executor under test, and how it is driven.
///
/// Every [`Runtime`] that can be cloned is one: an executor with threads of its own, which nobody can end. The futures of a trial
/// come to their end by themselves, so that the next one finds it idle.
pub trait Executor: 'static {
    /// The binding under test. Called within [`block_on`](Self::block_on), as often as the kit needs one.
    fn runtime(&self) -> impl Runtime;

    /// Runs the executor on this thread until the future is ready. Default: this thread only waits, which is right for an
    /// executor with threads of its own.
    ///
    /// Up to 128 futures are spawned at the same time.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        park::block_on(&mut pin!(future))
    }

    /// Whether the executor ends when this value is dropped, and with it all that was spawned. Default: yes. If it does not,
    /// what is promised about the end is not tried.
    fn can_end(&self) -> bool {
        true
    }
}

impl<R: Runtime + Clone + 'static> Executor for R {
    fn runtime(&self) -> impl Runtime {
        self.clone()
    }

    fn can_end(&self) -> bool {
        false
    }
}

/// As [`Executor`], for one that stays on the thread that made it, which calls all of these methods.
pub trait LocalExecutor: 'static {
    /// The binding under test. Called within [`block_on`](Self::block_on), as often as the kit needs one.
    fn runtime(&self) -> impl LocalRuntime;

    /// Runs the executor on this thread until the future is ready. Up to 128 futures are spawned at the same time.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// See [`Executor::can_end`].
    fn can_end(&self) -> bool {
        true
    }
}

/// Tries every promise of an executor. `make` makes a new one for each, or gives a further handle of the same.
///
/// It is called on threads of the kit's; a panic in it, or in a method of the executor, is a finding. Starts a thread for each
/// promise, and one for each wait.
pub fn check<E: Executor>(make: impl Fn() -> E + Send + Sync + 'static) -> Report {
    trial::check(move || OfThreads(make()), laws::of_threads())
}

/// As [`check`], for a [`LocalRuntime`].
///
/// ```
/// # #[cfg(feature = "smol")]
/// # fn main() {
/// use plimsoll::{LocalRuntime, SmolLocal, conformance::executor};
/// use std::rc::Rc;
///
/// struct Own(Rc<smol::LocalExecutor<'static>>);
///
/// impl executor::LocalExecutor for Own {
///     fn runtime(&self) -> impl LocalRuntime {
///         SmolLocal::on(self.0.clone())
///     }
///
///     fn block_on<F: Future>(&self, future: F) -> F::Output {
///         smol::block_on(self.0.run(future))
///     }
/// }
///
/// executor::check_local(|| Own(Rc::default())).assert_ok();
/// # }
/// # #[cfg(not(feature = "smol"))]
/// # fn main() {}
/// ```
pub fn check_local<E: LocalExecutor>(make: impl Fn() -> E + Send + Sync + 'static) -> Report {
    trial::check(move || OfOneThread(make()), laws::of_one_thread())
}
