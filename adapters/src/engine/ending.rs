//! The end: of the machine, which hands everything out, and of the engine, which drops everything.

use std::hint;
use std::sync::atomic::Ordering;

use plimsoll_core::{Drain, Instant, Phase};

use super::base::{BoxCell, Engine, TIMERS_A_HOLD};
use super::close::Close;
use super::effects::Aftermath;
use super::machine::Shared;
use crate::work::AnyWork;

/// After this many steps without any progress the machine is given up.
const IDLE_STEPS: u32 = 8;

impl<W: AnyWork, H, F> Close for Engine<W, H, F> {
    fn end(&self, mode: Drain) {
        Self::end(self, mode);
    }
}

impl<W: AnyWork, H, F> Engine<W, H, F> {
    /// See [`Close::end`].
    pub(super) fn end(&self, mode: Drain) {
        let shared = &*self.shared;
        if shared.is_closed() {
            return;
        }
        shared.enders.fetch_add(1, Ordering::SeqCst);
        let now = shared.now();
        shared.change(|state| {
            // In one hold with the drain, so that the workers take nothing of it.
            state.ending = true;
            state.machine.drain(now, mode);
        });
        // A step may do nothing but take what is over already: then the next one gets further.
        let mut idle_steps = 0;
        while shared.lock().machine.phase() != Phase::Drained && idle_steps < IDLE_STEPS {
            idle_steps = if self.end_some() { 0 } else { idle_steps + 1 };
        }
        debug_assert!(idle_steps < IDLE_STEPS, "a machine that ends reaches its end by itself");
        // The last action may have been that of another thread.
        while self.end_some() {}
        shared.wakes.workers.wait_for_duties();
        while shared.entering_enders.load(Ordering::SeqCst) > 0 {
            hint::spin_loop();
            std::thread::yield_now();
        }
        self.close();
        shared.enders.fetch_sub(1, Ordering::SeqCst);
        shared.wake_shutdown();
    }

    /// Goes on with the end of the machine. Whether there was anything to do.
    fn end_some(&self) -> bool {
        let shared = &*self.shared;
        let now = shared.now();
        let mut aftermath = Aftermath::new();
        let mut state = shared.lock();
        let progress = state.machine.advance(now, TIMERS_A_HOLD);
        let took_any = state.take_effects(shared, &mut aftermath);
        let calls = !aftermath.is_empty();
        if calls {
            shared.entering_enders.fetch_add(1, Ordering::SeqCst);
        }
        shared.release(state, 0);

        let has_progress = took_any || progress.used > 0 || progress.more;
        if calls {
            shared.entering_enders.fetch_sub(1, Ordering::SeqCst);
            shared.perform(&mut aftermath);
        }
        for place in aftermath.stopping {
            if let Some(cell) = self.places.take(place) {
                self.drop_attempt(cell, now);
            }
        }
        has_progress
    }

    /// Drops an attempt that nobody polls, and reports that it has stopped.
    fn drop_attempt(&self, cell: BoxCell<W, H, F>, now: Instant) {
        let attempt = cell.attempt();
        self.dispose(cell);
        if let Some(attempt) = attempt {
            // Late when another thread has brought the machine to its end meanwhile.
            let _ = self.shared.act(|machine| machine.stopped(now, attempt, None));
        }
    }

    /// Drops a place with all that is in it, each value on its own.
    pub(super) fn dispose(&self, mut place: BoxCell<W, H, F>) {
        if let Some(panic) = place.as_mut().clear() {
            self.shared.discard(panic);
            self.shared.note_panics(1);
        }
        self.shared.discard_contents(place.as_mut().dismantle());
    }

    /// Drops everything that is left.
    fn close(&self) {
        let shared = &*self.shared;
        if !shared.close() {
            return;
        }
        // Only what is being polled runs on; of the other attempts in hand none is polled any more.
        let mut is_counted = false;
        loop {
            let cell = self.places.close();
            if !is_counted {
                is_counted = true;
                let in_hand = self.places.count_in_hand().saturating_sub(usize::from(cell.is_some()));
                shared.note_end(in_hand);
            }
            let Some(cell) = cell else { break };
            self.dispose(cell);
        }
        shared.signals.close();
        shared.drop_hook();
        let wakers = shared.change(|state| state.stop_waiters.take_all());
        wakers.into_iter().for_each(|wakers| shared.wake_all(wakers));
        for waker in shared.wakes.workers.take_wakers().chain(shared.timekeeper.take()) {
            shared.guarded(|| waker.wake());
        }
        let timer = shared.lock_timer().take();
        shared.discard(timer);
        shared.close_cache();
        shared.publish_metrics();
    }
}

impl<W: AnyWork> Shared<W> {
    /// Completes what was left at the end by what only the engine knows.
    fn note_end(&self, in_hand: usize) {
        // A worker polls one attempt at a time.
        let polled = (self.wakes.workers.count_holding() as usize).min(in_hand);
        if let Some(remains) = &mut self.lock().ended {
            // Those that the machine knows as abandoned and that nobody could drop.
            remains.abandoned = remains.abandoned.min(u32::try_from(polled).unwrap_or(u32::MAX));
        }
    }

    /// Whether the end is complete: nothing is left, and every callback has returned.
    pub(crate) fn is_end_complete(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
            && !self.wakes.workers.have_duties()
            && self.enders.load(Ordering::SeqCst) == 0
    }
}
