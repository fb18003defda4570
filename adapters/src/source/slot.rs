//! A place for one operation of an engine that may be under way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// A future that is under way, or none.
    pub(super) struct Slot<F> {
        #[pin]
        future: Option<F>,
    }
}

impl<F: Future> Slot<F> {
    pub(super) const fn empty() -> Self {
        Self { future: None }
    }

    pub(super) fn is_empty(self: Pin<&Self>) -> bool {
        self.project_ref().future.is_none()
    }

    pub(super) fn begin(self: Pin<&mut Self>, future: F) {
        self.project().future.set(Some(future));
    }

    /// Ready when the future is, and empty from then on; pending when there is none.
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut future = self.as_mut().project().future;
        let Some(running) = future.as_mut().as_pin_mut() else { return Poll::Pending };
        let output = running.poll(cx);
        if output.is_ready() {
            future.set(None);
        }
        output
    }
}
