//! Every runtime there is, and the macro that runs a test on each.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::runtime::{Runtime, Threads, Timer};
use crate::{Instant, Thread};

/// Runs each of these functions, which take [`AnyRuntime`], as a test on every runtime.
macro_rules! on_every_runtime {
    ($($test:ident)*) => {$(
        mod $test {
            use crate::tests::runtimes::AnyRuntime;

            #[test]
            fn on_thread() {
                super::$test(AnyRuntime::thread());
            }

            #[cfg(feature = "smol")]
            #[test]
            fn on_smol() {
                super::$test(AnyRuntime::smol());
            }

            #[cfg(feature = "tokio")]
            #[test]
            fn on_tokio() {
                let runtime = ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
                super::$test(AnyRuntime::tokio(runtime.handle()));
            }
        }
    )*};
}
pub(super) use on_every_runtime;

/// One of the runtimes, as a value: so a test is compiled once, and not with an engine for each of them.
#[derive(Clone)]
pub(super) enum AnyRuntime {
    Thread(Thread),
    #[cfg(feature = "smol")]
    Smol(crate::Smol),
    #[cfg(feature = "tokio")]
    Tokio(crate::Tokio),
}

impl AnyRuntime {
    pub(super) fn thread() -> Self {
        Self::Thread(Thread::start().unwrap())
    }

    #[cfg(feature = "smol")]
    pub(super) fn smol() -> Self {
        Self::Smol(crate::Smol::global())
    }

    #[cfg(feature = "tokio")]
    pub(super) fn tokio(handle: &::tokio::runtime::Handle) -> Self {
        Self::Tokio(crate::Tokio::on(handle.clone()))
    }
}

/// The same expression with each.
macro_rules! with_each {
    ($any:ident, $runtime:ident => $what:expr) => {
        match $any {
            AnyRuntime::Thread($runtime) => $what,
            #[cfg(feature = "smol")]
            AnyRuntime::Smol($runtime) => $what,
            #[cfg(feature = "tokio")]
            AnyRuntime::Tokio($runtime) => $what,
        }
    };
}

impl Runtime for AnyRuntime {
    type Timer = AnyTimer;

    fn threads(&self) -> Threads {
        with_each!(self, runtime => runtime.threads())
    }

    fn check(&self) -> Result<(), &'static str> {
        with_each!(self, runtime => runtime.check())
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let clock: Box<dyn Fn() -> Instant + Send + Sync> =
            with_each!(self, runtime => Box::new(runtime.clock()));
        clock
    }

    fn timer(&self) -> AnyTimer {
        with_each!(self, runtime => AnyTimer(Box::pin(runtime.timer())))
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        with_each!(self, runtime => runtime.spawn(future));
    }

    fn seed(&self) -> u64 {
        with_each!(self, runtime => runtime.seed())
    }

    /// Of the runtimes here only tokio gives budgets, and elsewhere it says that all may go on.
    #[cfg(feature = "tokio")]
    fn may_go_on() -> bool {
        crate::Tokio::may_go_on()
    }
}

pub(super) struct AnyTimer(Pin<Box<dyn Timer + Send>>);

impl Timer for AnyTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.0.as_mut().reset(at);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
