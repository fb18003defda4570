//! Waiting until every task is settled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::engine::idle_waiters::IdleTicket;
use crate::engine::machine::Shared;
use crate::work::AnyWork;

/// Ready when there was a moment, since it was polled first, at which every task was settled and no callback was left. Made by
/// [`Access::idle`](crate::Access::idle).
///
/// It does not keep the processor alive, and is ready when that has ended. Dropping it gives its place back. After it was
/// ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Idle<W: AnyWork> {
    shared: Arc<Shared<W>>,
    ticket: Option<IdleTicket>,
}

impl<W: AnyWork> Idle<W> {
    pub(crate) const fn new(shared: Arc<Shared<W>>) -> Self {
        Self { shared, ticket: None }
    }
}

impl<W: AnyWork> Future for Idle<W> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Cloned without the lock: a waker is foreign code.
        let waker = cx.waker().clone();
        let (is_over, unused) = this.shared.wait_until_idle(&mut this.ticket, waker);
        this.shared.discard(unused);
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<W: AnyWork> Drop for Idle<W> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let waker = self.shared.stop_waiting_until_idle(ticket);
            self.shared.discard(waker);
        }
    }
}

impl<W: AnyWork> fmt::Debug for Idle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").field("waits", &self.ticket.is_some()).finish_non_exhaustive()
    }
}
