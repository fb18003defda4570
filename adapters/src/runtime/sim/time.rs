//! The clock of a simulation, and what waits for it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::Duration;

use super::hub::{Clock, Hub};
use crate::Instant;
use crate::runtime::Timer;

/// The clock of a simulation and its timers. Cheap to clone; it does not keep the simulation alive, so spawned futures may
/// hold it. When the simulation is gone, the clock stands still and nothing that waits for it is woken.
#[derive(Clone)]
pub struct Time {
    clock: Clock,
    hub: Weak<Hub>,
}

impl Time {
    pub(super) fn of(hub: &Hub) -> Self {
        Self { clock: hub.clock(), hub: hub.this.clone() }
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Ready after this much virtual time, counted from this call.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(duration))
    }

    /// Ready at this instant of the virtual clock; at once if that has passed.
    pub fn sleep_until(&self, until: Instant) -> Sleep {
        let mut timer = SimTimer::new(self.clone());
        timer.at = Some(until);
        Sleep { timer, until }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Time").field("now", &self.now()).finish_non_exhaustive()
    }
}

/// A wait for the virtual clock. Made by [`Sim::sleep`](super::Sim::sleep) and [`Time::sleep`]. After it was ready it must
/// not be polled again.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    timer: SimTimer,
    until: Instant,
}

impl Sleep {
    /// When it is over.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.timer).poll(cx)
    }
}

/// The timer of [`Sim`](super::Sim). It fires at the very instant that it is set to.
#[derive(Debug)]
pub struct SimTimer {
    time: Time,
    /// Tells it from others of the same instant.
    number: u64,
    at: Option<Instant>,
}

impl SimTimer {
    pub(super) fn new(time: Time) -> Self {
        let number = time.hub.upgrade().map_or(0, |hub| hub.number());
        Self { time, number, at: None }
    }

    /// Takes back the waker that was left, if it was not woken.
    fn disarm(&mut self) {
        let hub = self.time.hub.upgrade();
        let waker = self.at.take().and_then(|at| hub?.disarm(at, self.number));
        drop(waker);
    }
}

impl Timer for SimTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.disarm();
        self.at = Some(at);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        if at <= self.time.now() {
            self.disarm();
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let replaced = self.time.hub.upgrade().and_then(|hub| hub.arm(at, self.number, waker));
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for SimTimer {
    fn drop(&mut self) {
        self.disarm();
    }
}
