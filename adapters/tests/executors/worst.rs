//! A binding that keeps every promise as badly as it may is none that the kit finds fault with.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use plimsoll::conformance::executor::check;
use plimsoll::{Instant, Runtime, Thread, Threads, Timer};

use super::assert_conforms;

/// How long a reading of a clock takes where the machine is busy.
const BUSY: Duration = Duration::from_millis(200);

/// The plain thread, on a busy machine: the second reading of each clock takes long, before or after the time is read, and
/// timers fire early.
#[derive(Clone)]
struct Worst {
    thread: Thread,
    is_late_after: bool,
}

impl Runtime for Worst {
    type Timer = Early<<Thread as Runtime>::Timer>;

    fn threads(&self) -> Threads {
        Threads::One
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let (clock, readings, is_late_after) = (self.thread.clock(), AtomicU32::new(0), self.is_late_after);
        move || {
            let nth = readings.fetch_add(1, SeqCst);
            if nth == 1 && !is_late_after {
                thread::sleep(BUSY);
            }
            let now = clock();
            if nth == 0 && is_late_after {
                thread::sleep(BUSY);
            }
            now
        }
    }

    fn timer(&self) -> Self::Timer {
        Early { timer: Box::pin(self.thread.timer()), resets: 0, polls: 0, has_fired: false }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.thread.spawn(future);
    }
}

/// Fires early at a poll of each second setting, the first or the third one in turn, and must not be polled on then.
struct Early<T> {
    timer: Pin<Box<T>>,
    resets: u32,
    polls: u32,
    has_fired: bool,
}

impl<T: Timer> Timer for Early<T> {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        (self.resets, self.polls, self.has_fired) = (self.resets + 1, 0, false);
        self.timer.as_mut().reset(at);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(!self.has_fired, "it was polled after it was ready, and not reset");
        self.polls += 1;
        let fires_early = matches!((self.resets % 4, self.polls), (1, 3) | (3, 1));
        let fired = if fires_early { Poll::Ready(()) } else { self.timer.as_mut().poll(cx) };
        self.has_fired = fired.is_ready();
        fired
    }
}

#[test]
fn a_slow_clock_and_early_timers_conform() {
    for is_late_after in [false, true] {
        let make = move || Worst { thread: Thread::start().unwrap(), is_late_after };
        assert_conforms(&check(make), 2);
    }
}
