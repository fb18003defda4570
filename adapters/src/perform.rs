//! Doing what the machine asks for, without a lock, whatever foreign code it runs.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plimsoll_core::{Drain, Effect, Message, Phase, Settlement};

use crate::shared::{Shared, State, Types};
use crate::signal::{self, Waiter, WorkerSignal, bit};

/// The most timers that fire in one lock hold.
pub(crate) const TIMERS_A_HOLD: u32 = 64;

/// The most attempts that are told to stop or to wake up in one lock hold.
const READY_A_HOLD: usize = 32;

/// Something to be done without the lock.
pub(crate) enum Duty<J, O, E, M: Copy> {
    /// The attempt in this place is to be polled, perhaps because it was asked to stop. Who waits for that is to be
    /// woken.
    Ready(u32),
    /// Any other effect.
    Effect(Effect<Types<J, O, E, M>>),
}

impl<J, O, E, M: Copy> Shared<J, O, E, M> {
    /// The next duty, for others than the owner.
    pub(crate) fn poll_duty(&self, state: &mut State<J, O, E, M>) -> Option<Duty<J, O, E, M>> {
        if state.owned { None } else { self.poll_any_duty(state) }
    }

    /// The next duty. An attempt that is to stop is told so here, and the end is noted.
    fn poll_any_duty(&self, state: &mut State<J, O, E, M>) -> Option<Duty<J, O, E, M>> {
        loop {
            match state.machine.poll_effect()? {
                Effect::Stop(stop) => {
                    let attempt = stop.attempt.to_bits();
                    let Some(place) = state.place_of(attempt) else { continue };
                    if self.place(place).is_some_and(|(worker, place)| worker.stop(place, attempt)) {
                        return Some(Duty::Ready(place));
                    }
                }
                Effect::Wake(Waiter::Place(place)) => return Some(Duty::Ready(place)),
                effect => {
                    if let Effect::Drained(remains) = &effect {
                        state.ended = Some(*remains);
                    }
                    return Some(Duty::Effect(effect));
                }
            }
        }
    }

    /// Does a duty. Runs callbacks, wakers and drops; call it without a lock.
    pub(crate) fn perform(&self, duty: Duty<J, O, E, M>) {
        let effect = match duty {
            Duty::Ready(place) => {
                self.poll_again(&[place]);
                return self.tell_waiters(&[place]);
            }
            Duty::Effect(effect) => effect,
        };
        match effect {
            Effect::Settle(settlement) | Effect::Discard(settlement) => self.settle(settlement),
            Effect::Wake(Waiter::Waker(waker)) => self.guarded(|| waker.wake()),
            Effect::Wake(Waiter::Place(place)) => self.poll_again(&[place]),
            Effect::Detach(detached) => {
                self.discard(detached.guard.task);
                self.discard(detached.guard.batch);
                self.discard(detached.guard.error);
            }
            Effect::Sweep => {
                self.lock().sweeping = true;
                self.driver.notify();
            }
            Effect::Drained(_) => self.note_drained(),
            other => drop(other),
        }
    }

    /// Gives the callback its outcome, and drops the rest, each value on its own.
    fn settle(&self, settlement: Settlement<Types<J, O, E, M>>) {
        let Settlement { outcome, job, callback, .. } = settlement;
        match callback {
            Some(callback) => self.guarded(|| callback(outcome)),
            None => self.discard(outcome),
        }
        self.discard(job);
    }

    /// Takes and performs about `most` effects; whether there may be more. Attempts that are to stop or to
    /// wake up come in crowds: as many as there are in a row are told in one hold of the lock.
    pub(crate) fn perform_pending(&self, most: u32) -> bool {
        let mut left = most;
        while left > 0 {
            let mut places = [0; READY_A_HOLD];
            let (mut ready, mut duty) = (0, None);
            let mut state = self.lock();
            for slot in &mut places {
                duty = self.poll_duty(&mut state);
                let Some(Duty::Ready(place)) = duty else { break };
                *slot = place;
                ready += 1;
            }
            drop(state);
            let places = places.get(..ready).unwrap_or_default();
            // What was taken is all done before those are told who wait for an end: what they do is not to be known.
            self.poll_again(places);
            let has_more = duty.is_some();
            if let Some(duty @ Duty::Effect(_)) = duty {
                self.perform(duty);
            }
            self.tell_waiters(places);
            if !has_more {
                return false;
            }
            left = left.saturating_sub(ready.max(1) as u32);
        }
        true
    }

    /// Makes workers poll these places.
    fn poll_again(&self, places: &[u32]) {
        for (worker, place) in places.iter().filter_map(|&place| self.place(place)) {
            self.guarded(|| worker.poll_again(place));
        }
    }

    /// Wakes those who wait for the ends of attempts in these places, where they were asked to stop.
    fn tell_waiters(&self, places: &[u32]) {
        signal::settle();
        for (worker, place) in places.iter().filter_map(|&place| self.place(place)) {
            if !worker.is_wanted(place) {
                self.wake_waiters(worker, bit(place));
            }
        }
    }

    /// Wakes all who wait at these places of a worker.
    #[inline]
    pub(crate) fn wake_waiters(&self, worker: &WorkerSignal, places: u64) {
        let waited = worker.waited_at(places);
        if waited != 0 {
            self.wake_waiters_at(worker, waited);
        }
    }

    #[cold]
    fn wake_waiters_at(&self, worker: &WorkerSignal, mut waited: u64) {
        while waited != 0 {
            let place = waited.trailing_zeros();
            waited &= !bit(place);
            let panics = worker.wake_waiters(place);
            self.note_panics(panics);
        }
    }

    /// Aborts the machine and performs all that is left, on this thread. When it returns the machine is drained: every
    /// task is settled, and every callback was called; one that others had taken before may still be running.
    pub(crate) fn end(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.owned = true;
        state.machine.drain(now, Drain::Abort);
        drop(state);
        loop {
            let now = self.now();
            let mut state = self.lock();
            let progress = state.machine.advance(now, TIMERS_A_HOLD);
            let duty = self.poll_any_duty(&mut state);
            let drained = state.machine.phase() == Phase::Drained;
            drop(state);
            match duty {
                Some(duty) => self.perform(duty),
                None if drained => return,
                None if progress.used == 0 && !progress.more => {
                    debug_assert!(false, "an aborted machine reaches its end by itself");
                    return;
                }
                None => {}
            }
        }
    }

    /// Drops a value; a panic of it is caught and counted.
    pub(crate) fn discard<T>(&self, value: T) {
        if std::mem::needs_drop::<T>() {
            self.guarded(|| drop(value));
        }
    }

    /// Runs foreign code after the outcome was fixed: a panic of it is caught and counted.
    pub(crate) fn guarded(&self, run: impl FnOnce()) {
        if let Err(panic) = catch(run) {
            discard_panic(panic);
            self.note_panics(1);
        }
    }

    /// Counts panics of foreign code that came after an outcome was fixed.
    pub(crate) fn note_panics(&self, panics: u32) {
        for _ in 0..panics {
            self.lock().machine.late_panic();
        }
    }
}

/// What a panic carries.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Runs foreign code. What it may leave half done is its own affair: nothing of it is looked at after a panic.
pub(crate) fn catch<R>(run: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_unwind(AssertUnwindSafe(run))
}

/// Drops what a panic carried. If that panics too, what that carried is not looked at any more.
pub(crate) fn discard_panic(panic: Panic) {
    if let Err(again) = catch(|| drop(panic)) {
        std::mem::forget(again);
    }
}

/// The text of a panic, as far as it is one.
pub(crate) fn panic_message(panic: &Panic) -> Message {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Message::from(text.unwrap_or("panicked with a value that is no text"))
}

/// How an error shows itself. Runs its `Debug`.
pub(crate) fn error_message(error: &impl fmt::Debug) -> Message {
    catch(|| Message::of(&format_args!("{error:?}"))).unwrap_or_else(|panic| {
        discard_panic(panic);
        Message::from("an error whose `Debug` panics")
    })
}
