//! The future of an attempt's cancellation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use crate::AttemptId;
use crate::engine::attempt_host::AttemptHost;
use crate::engine::signals::Signals;
use crate::sharing::Sharing;

/// Ready when an attempt is asked to stop, or over. See [`Context::cancelled`](super::Context::cancelled).
pub(super) struct WhenCancelled<S: Sharing> {
    signals: Arc<Signals<S>>,
    place: u32,
    attempt: AttemptId,
    /// Under which the waker was left.
    key: Option<usize>,
}

impl<S: Sharing> WhenCancelled<S> {
    pub(super) const fn new(signals: Arc<Signals<S>>, place: u32, attempt: AttemptId) -> Self {
        Self { signals, place, attempt, key: None }
    }
}

impl<S: Sharing> Future for WhenCancelled<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if !this.signals.is_running(this.place, this.attempt) {
            return Poll::Ready(());
        }
        let Some(host) = this.signals.host() else { return Poll::Ready(()) };
        // Cloned without the lock: a waker is foreign code.
        let waker = cx.waker().clone();
        if host.wait_for_stop(this.place, this.attempt, &mut this.key, waker) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}

impl<S: Sharing> Drop for WhenCancelled<S> {
    fn drop(&mut self) {
        if let (Some(key), Some(host)) = (self.key, self.signals.host()) {
            host.leave_stop(self.place, self.attempt, key);
        }
    }
}
