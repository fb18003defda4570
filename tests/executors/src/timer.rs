//! A timer for executors that have none: that of `async-io`, which has a thread of its own.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time;

use plimsoll::{Instant, Timer, since_start};

pub struct IoTimer(async_io::Timer);

impl IoTimer {
    pub fn new() -> Self {
        Self(async_io::Timer::never())
    }
}

impl Timer for IoTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let at = time::Instant::now()
            .checked_add(at.saturating_since(since_start()))
            .filter(|_| at < Instant::MAX);
        match at {
            Some(at) => self.0.set_at(at),
            None => self.0.clear(),
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
