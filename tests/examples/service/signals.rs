//! Ctrl-C: once to drain, twice to abort.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Poll;

use futures::task::AtomicWaker;

static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
static WAITING: AtomicWaker = AtomicWaker::new();

/// Listens from now on. A third Ctrl-C ends the process as if nobody listened.
pub fn listen() -> Result<(), String> {
    let listened = ctrlc::set_handler(|| {
        if INTERRUPTS.fetch_add(1, SeqCst) >= 2 {
            std::process::exit(130);
        }
        WAITING.wake();
    });
    listened.map_err(|error| format!("cannot listen for Ctrl-C: {error}"))
}

/// How many there were.
pub fn interrupts() -> u32 {
    INTERRUPTS.load(SeqCst)
}

/// Waits for the `count`th. One at a time may wait.
pub async fn interrupted(count: u32) {
    poll_fn(|context| {
        WAITING.register(context.waker());
        if interrupts() < count { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}
