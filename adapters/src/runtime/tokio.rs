//! A processor on tokio.
//!
//! ```
//! use plimsoll::{Processor, Tokio, infallible};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let processor = Processor::builder()
//!     .spawn_on(Tokio::current(), infallible(|name: String| async move { name.len() }))?;
//! assert_eq!(processor.submit("Plimsoll".to_owned())?.await?, 8);
//! # Ok(())
//! # }
//! ```

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tokio::runtime::{Handle, RuntimeFlavor};
use ::tokio::task::{coop, spawn_local};
use ::tokio::time::{self, Sleep};
use pin_project_lite::pin_project;

use crate::Instant;
use crate::panics::{catch, discard_panic};
use crate::runtime::{LocalRuntime, Runtime, Threads, Timer, instant, origin, std_instant};

/// A tokio runtime, current-thread or multi-thread. Its time driver must be enabled, or no processor can be
/// [built](crate::Builder::build) for it.
///
/// The clock is tokio's, so that a paused test clock works, where calls are made from within that runtime.
#[derive(Clone, Debug)]
pub struct Tokio(Handle);

impl Tokio {
    /// The runtime of the calling task or thread.
    ///
    /// # Panics
    /// Outside a tokio runtime, as [`Handle::current`] does.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self(Handle::current())
    }

    /// The runtime of this handle.
    #[must_use]
    pub const fn on(handle: Handle) -> Self {
        Self(handle)
    }
}

impl Runtime for Tokio {
    type Timer = TokioTimer;

    fn check(&self) -> Result<(), &'static str> {
        check_timers(&self.0)
    }

    fn threads(&self) -> Threads {
        match self.0.runtime_flavor() {
            RuntimeFlavor::CurrentThread => Threads::One,
            _ => Threads::Several,
        }
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        clock()
    }

    fn timer(&self) -> TokioTimer {
        TokioTimer { handle: self.0.clone(), sleep: None }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.spawn(future));
    }

    fn may_go_on() -> bool {
        coop::has_budget_remaining()
    }
}

/// Whether timers can be made in this runtime.
fn check_timers(handle: &Handle) -> Result<(), &'static str> {
    let _inside = handle.enter();
    // There is no other way to ask.
    match catch(|| drop(time::sleep(Duration::ZERO))) {
        Ok(()) => Ok(()),
        Err(panic) => {
            discard_panic(panic);
            Err("the tokio runtime has no timers: build it with `enable_time` or `enable_all`")
        }
    }
}

/// The [`LocalSet`](::tokio::task::LocalSet), or the local runtime, in which the calling task runs: for processors whose values
/// need not be `Send`. Clock and timer are as those of [`Tokio`].
///
/// ```
/// use plimsoll::{Processor, TokioLocal, infallible};
/// use std::rc::Rc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// tokio::task::LocalSet::new()
///     .run_until(async {
///         let processor = Processor::builder()
///             .spawn_local_on(TokioLocal::current(), infallible(|name: Rc<str>| async move { name.len() }))?;
///         assert_eq!(processor.submit("Plimsoll".into())?.await?, 8);
///         Ok(())
///     })
///     .await
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokioLocal(Handle);

impl TokioLocal {
    /// The local set or runtime of the calling task.
    ///
    /// # Panics
    /// Outside a tokio runtime, as [`Handle::current`] does. In one that is not local no processor can be
    /// [built](crate::Builder::spawn_local_on).
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self(Handle::current())
    }
}

impl LocalRuntime for TokioLocal {
    type Timer = TokioTimer;

    fn check(&self) -> Result<(), &'static str> {
        check_timers(&self.0)?;
        // There is no other way to ask for this either.
        catch(|| drop(spawn_local(std::future::ready(())))).map_err(|panic| {
            discard_panic(panic);
            "the call is not within a `LocalSet` or a local runtime of tokio, where something can be spawned"
        })
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        clock()
    }

    fn timer(&self) -> TokioTimer {
        TokioTimer { handle: self.0.clone(), sleep: None }
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        drop(spawn_local(future));
    }

    fn may_go_on() -> bool {
        coop::has_budget_remaining()
    }
}

/// The clock of tokio, which a test may have paused.
fn clock() -> impl Fn() -> Instant + Send + Sync + 'static {
    // The origin is fixed before the first reading, which may be of a test clock that runs ahead.
    let _ = origin();
    || instant(time::Instant::now().into_std())
}

/// A year: where an instant cannot be told to tokio, waking up early does no harm.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pin_project! {
    /// The timer of [`Tokio`]: one `Sleep`, reset in place. While it is not set there is none, so that a paused test clock
    /// does not wait for it.
    #[derive(Debug)]
    pub struct TokioTimer {
        handle: Handle,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Timer for TokioTimer {
    fn reset(self: Pin<&mut Self>, at: Instant) {
        let mut this = self.project();
        if at == Instant::MAX {
            this.sleep.set(None);
            return;
        }
        let far = time::Instant::now() + FAR;
        let at = std_instant(at).map_or(far, time::Instant::from_std).min(far);
        match this.sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.reset(at),
            None => {
                let _inside = this.handle.enter();
                this.sleep.set(Some(time::sleep_until(at)));
            }
        }
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.as_pin_mut().map_or(Poll::Pending, |sleep| sleep.poll(cx))
    }
}
