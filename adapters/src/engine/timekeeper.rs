//! The timekeeper: the one future that gives the machine the time when nobody else does. It runs no code of a user.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use plimsoll_core::{Drain, Instant};

use super::base::TIMERS_A_HOLD;
use super::close::Close;
use super::machine::{DynEngine, Shared};
use crate::runtime::Timer;
use crate::work::AnyWork;

/// How often it looks before it lets other tasks of the runtime run.
const ROUNDS_A_TURN: u32 = 16;

/// Spawned once, and kept until the engine is closed. It owns the use of the runtime's timer, which lies where the owner
/// can drop it.
pub(super) struct Timekeeper<W: AnyWork> {
    shared: Arc<Shared<W>>,
    engine: DynEngine<W>,
    /// What the timer is set to; the end of time while it is not set.
    set_to: Instant,
}

/// What a round came to.
enum Round {
    /// There is more to do.
    More,
    /// The timer is to be set to this.
    Done(Instant),
}

impl<W: AnyWork> Timekeeper<W> {
    pub(super) const fn new(shared: Arc<Shared<W>>, engine: DynEngine<W>) -> Self {
        Self { shared, engine, set_to: Instant::MAX }
    }

    /// Lets everything happen that is due, within bounds.
    fn round(&self) -> Round {
        let shared = &*self.shared;
        shared.timekeeper.listen();
        let now = shared.now();
        let (hurried, more, next) = shared.change(|state| {
            if state.ending {
                return (None, false, Instant::MAX);
            }
            state.rounds = state.rounds.wrapping_add(1);
            let progress = state.machine.advance(now, TIMERS_A_HOLD);
            let hurried = state.graces.pop_due(now);
            if let Some(place) = hurried {
                shared.signals.over(place);
            }
            state.publishing.look(now);
            state.armed = state.next_deadline();
            (hurried, progress.more, state.armed)
        });
        if let Some(place) = hurried {
            shared.wakes.wake_from_afar(place);
        }
        if more || hurried.is_some() { Round::More } else { Round::Done(next) }
    }

    /// Sets the timer and polls it. Whether it has fired.
    fn poll_timer(&mut self, at: Instant, cx: &mut TaskContext<'_>) -> bool {
        let shared = &*self.shared;
        let Some(mut timer) = shared.lock_timer().take() else { return false };
        if self.set_to != at {
            self.set_to = at;
            timer.as_mut().reset(at);
        }
        let fired = at != Instant::MAX && timer.as_mut().poll(cx).is_ready();
        if fired {
            self.set_to = Instant::MAX;
        }
        let mut place = shared.lock_timer();
        // The owner closes the engine first, and then takes the timer.
        let leftover = if shared.is_closed() { Some(timer) } else { place.replace(timer) };
        drop(place);
        shared.discard(leftover);
        fired
    }
}

impl<W: AnyWork> Future for Timekeeper<W> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.timekeeper.register(cx.waker());
        for _ in 0..ROUNDS_A_TURN {
            if this.shared.is_closed() {
                return Poll::Ready(());
            }
            if let Round::Done(at) = this.round() {
                if !this.poll_timer(at, cx) {
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A runtime that drops the timekeeper has ended: the machine ends with it, on this thread.
impl<W: AnyWork> Drop for Timekeeper<W> {
    fn drop(&mut self) {
        self.engine.end(Drain::Cancel);
    }
}
