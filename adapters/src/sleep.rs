//! Sleeping in a handler, on the processor's own timers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll_core::{AttemptId, SleepId, SleepRefusal};

use crate::Instant;
use crate::engine::attempt_host::AttemptHost;
use crate::engine::signals::Signals;
use crate::sharing::{AnyThread, Sharing};

/// A wait of one attempt. See [`Context::sleep`](crate::Context::sleep).
///
/// Dropping it gives its place back at once. After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep<S: Sharing = AnyThread> {
    signals: Arc<Signals<S>>,
    attempt: AttemptId,
    until: Instant,
    id: Option<SleepId>,
}

impl<S: Sharing> Sleep<S> {
    pub(crate) const fn new(signals: Arc<Signals<S>>, attempt: AttemptId, until: Instant) -> Self {
        Self { signals, attempt, until, id: None }
    }

    /// When it is over, on the clock of the runtime.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }
}

impl<S: Sharing> Future for Sleep<S> {
    type Output = Result<(), SleepRefusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(host) = this.signals.host() else {
            this.id = None;
            return Poll::Ready(Err(SleepRefusal::Over));
        };
        // Cloned without the lock: a waker is foreign code.
        let waker = cx.waker().clone();
        let Some(id) = this.id else {
            return match host.sleep(this.attempt, this.until, waker) {
                Ok(id) => {
                    this.id = Some(id);
                    Poll::Pending
                }
                Err(refusal) => Poll::Ready(Err(refusal)),
            };
        };
        host.resleep(id, waker).map_or(Poll::Pending, |result| {
            this.id = None;
            Poll::Ready(result)
        })
    }
}

impl<S: Sharing> Drop for Sleep<S> {
    fn drop(&mut self) {
        if let (Some(id), Some(host)) = (self.id, self.signals.host()) {
            host.end_sleep(id);
        }
    }
}

impl<S: Sharing> fmt::Debug for Sleep<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("until", &self.until)
            .field("began", &self.id.is_some())
            .finish_non_exhaustive()
    }
}
