//! The driver: one future of the runtime that gives the machine the time, and does what nobody else does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use plimsoll_core::{Instant, Swept};

use crate::engine::{EFFECTS_A_TURN, Engine};
use crate::perform::TIMERS_A_HOLD;
use crate::runtime::Timer;
use crate::shared::Nudge;

/// How often the driver looks for work before it lets other tasks of the runtime run.
const ROUNDS_A_TURN: u32 = 16;
/// How many expired values a round sweeps.
const SWEPT_A_ROUND: u32 = 64;

/// Spawned once and kept until the owner closes the engine. The one timer lives in the engine.
pub(crate) struct Driver<J, O, E, M: Copy, H, F, T> {
    engine: Arc<Engine<J, O, E, M, H, F, T>>,
    /// What the timer is set to, while it has not fired.
    set_to: Option<Instant>,
}

impl<J, O, E, M: Copy, H, F, T> Driver<J, O, E, M, H, F, T> {
    pub(crate) const fn new(engine: Arc<Engine<J, O, E, M, H, F, T>>) -> Self {
        Self { engine, set_to: None }
    }
}

/// What a round came to.
enum Round {
    /// There may be more to do.
    More,
    /// All is done for now; the timer is to be set to this, if anything.
    Done(Option<Instant>),
}

impl<J, O, E, M: Copy, H, F, T: Timer> Driver<J, O, E, M, H, F, T> {
    fn round(&mut self) -> Round {
        let shared = &self.engine.shared;
        shared.driver.listen();
        let now = shared.now();

        let mut state = shared.lock();
        if state.owned {
            return Round::Done(self.set_to);
        }
        let progress = state.machine.advance(now, TIMERS_A_HOLD);
        let sweeping = state.sweeping;
        let hurried = state.graces.pop_due(now);
        drop(state);

        if let Some((worker, place)) = hurried.and_then(|place| shared.place(place)) {
            worker.poll_again(place);
        }
        let mut more = progress.more || hurried.is_some();
        more |= shared.perform_pending(EFFECTS_A_TURN);
        more |= sweeping && self.sweep(now);

        let mut state = shared.lock();
        let timer = state.machine.next_timer().map_or(Instant::MAX, |(at, _)| at);
        let grace = state.graces.next().unwrap_or(Instant::MAX);
        let set_to = self.set_to.unwrap_or(Instant::MAX);
        state.armed = set_to.min(timer).min(grace);
        let set_to = Some(state.armed).filter(|at| *at != Instant::MAX);
        // Waking one worker is enough, as it wakes the next.
        let nudge = state.nudge(&shared.workers);
        drop(state);
        debug_assert!(!nudge.timer, "the timer is about to be set to the earliest instant");
        more |= nudge.driver;
        shared.wake(Nudge { driver: false, ..nudge });
        if more { Round::More } else { Round::Done(set_to) }
    }

    /// Frees some expired results and cache entries. Whether there may be more.
    fn sweep(&self, now: Instant) -> bool {
        let shared = &self.engine.shared;
        for _ in 0..SWEPT_A_ROUND {
            let swept = shared.lock().machine.sweep(now, 1).next();
            match swept {
                Some(Swept::Result(settlement)) => shared.discard(settlement),
                Some(_) => {}
                None => {
                    let mut panics = 0;
                    let more = shared.cache.sweep(now, SWEPT_A_ROUND, &mut panics);
                    shared.note_panics(panics);
                    shared.lock().sweeping = more;
                    return more;
                }
            }
        }
        true
    }

    /// Sets the timer if it is to fire earlier than it is set to, and polls it. Whether it has fired.
    fn poll_timer(&mut self, at: Option<Instant>, cx: &mut TaskContext<'_>) -> bool {
        let Some(mut timer) = self.engine.timer.take(0) else { return false };
        if self.set_to != at {
            self.set_to = at;
            if let Some(at) = at {
                timer.as_mut().reset(at);
            }
        }
        let fired = at.is_some() && timer.as_mut().poll(cx).is_ready();
        if let Err(timer) = self.engine.timer.put_back(0, timer) {
            self.engine.shared.discard(timer);
        }
        if fired {
            self.set_to = None;
        }
        fired
    }
}

impl<J, O, E, M: Copy, H, F, T: Timer> Future for Driver<J, O, E, M, H, F, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        let shared = this.engine.shared.clone();
        let _turn = shared.turn();
        shared.driver.register(cx.waker());
        for _ in 0..ROUNDS_A_TURN {
            if shared.is_closed() {
                drop(shared.driver.take());
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

/// A runtime that drops the driver before the end has stopped: whoever waits for the end is told.
impl<J, O, E, M: Copy, H, F, T> Drop for Driver<J, O, E, M, H, F, T> {
    fn drop(&mut self) {
        let shared = &self.engine.shared;
        if shared.is_closed() {
            return;
        }
        let mut state = shared.lock();
        state.stranded = true;
        let waker = state.shutdown.take();
        drop(state);
        if let Some(waker) = waker {
            shared.guarded(|| waker.wake());
        }
    }
}
