//! Waiting for a future on a thread that runs no executor.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until the future is ready.
pub(crate) fn block_on<F: Future + Unpin>(future: &mut F) -> F::Output {
    loop {
        // Without a limit it returns with an output only.
        if let Some(output) = block_until(future, None) {
            return output;
        }
    }
}

/// Waits until the future is ready, for so long at most.
pub(crate) fn block_on_for<F: Future + Unpin>(future: &mut F, limit: Duration) -> Option<F::Output> {
    block_until(future, Instant::now().checked_add(limit))
}

/// `None` stands for the end of time.
fn block_until<F: Future + Unpin>(future: &mut F, until: Option<Instant>) -> Option<F::Output> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return None,
            Some(left) => thread::park_timeout(left),
        }
    }
}
