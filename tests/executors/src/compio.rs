//! The runtime of compio: one thread, on io_uring where that is to be had. Its timers can't be set again, so they are made anew.

use std::pin::Pin;
use std::task::{Context, Poll};

use plimsoll::conformance::executor::LocalExecutor;
use plimsoll::{Instant, LocalRuntime, Timer, since_start};

/// The runtime of the calling thread.
struct Bound;

impl LocalRuntime for Bound {
    type Timer = CompioTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> CompioTimer {
        CompioTimer(None)
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        compio_runtime::spawn(future).detach();
    }
}

struct CompioTimer(Option<Pin<Box<dyn Future<Output = ()>>>>);

impl Timer for CompioTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let wait = at.saturating_since(since_start());
        self.0 = (at != Instant::MAX).then(|| Box::pin(compio_runtime::time::sleep(wait)) as _);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

pub struct Compio(compio_runtime::Runtime);

impl Compio {
    pub fn new() -> Self {
        Self(compio_runtime::Runtime::new().expect("the system has what compio needs"))
    }
}

impl LocalExecutor for Compio {
    fn runtime(&self) -> impl LocalRuntime {
        Bound
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}
