//! A runtime whose timers are counted.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll::{Instant, Runtime, Threads, Timer};

use super::{Tally, Token};

/// Any runtime, with a count of the timers that it has made and that were not dropped. Clones share both.
pub struct Watched<R> {
    runtime: Arc<R>,
    timers: Tally,
}

impl<R> Watched<R> {
    /// Watches this runtime.
    pub fn new(runtime: R) -> Self {
        Self { runtime: Arc::new(runtime), timers: Tally::default() }
    }

    /// How many timers there are.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.timers.live()
    }
}

impl<R: Runtime> Runtime for Watched<R> {
    type Timer = WatchedTimer<R::Timer>;

    fn threads(&self) -> Threads {
        self.runtime.threads()
    }

    fn seed(&self) -> u64 {
        self.runtime.seed()
    }

    fn may_go_on() -> bool {
        R::may_go_on()
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        self.runtime.clock()
    }

    fn timer(&self) -> Self::Timer {
        WatchedTimer { timer: Box::pin(self.runtime.timer()), _token: self.timers.token() }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(future);
    }
}

impl<R> Clone for Watched<R> {
    fn clone(&self) -> Self {
        Self { runtime: self.runtime.clone(), timers: self.timers.clone() }
    }
}

impl<R> fmt::Debug for Watched<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("timers", &self.timers()).finish_non_exhaustive()
    }
}

/// A timer that is counted.
#[derive(Debug)]
pub struct WatchedTimer<T> {
    timer: Pin<Box<T>>,
    _token: Token,
}

impl<T: Timer> Timer for WatchedTimer<T> {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.timer.as_mut().reset(at);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.as_mut().poll(cx)
    }
}
