//! Doing what the machine asks for, without a lock, whatever foreign code it runs.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plimsoll_core::{Drain, Effect, Message, Phase, Settlement};

use crate::shared::{Duty, Shared, Types};

/// The most timers that fire in one lock hold.
pub(crate) const TIMERS_A_HOLD: u32 = 64;

impl<J, O, E, M: Copy> Shared<J, O, E, M> {
    /// Does a duty. Runs callbacks, wakers and drops; call it without a lock.
    pub(crate) fn perform(&self, duty: Duty<J, O, E, M>) {
        let effect = match duty {
            Duty::Stop { attempt, place } => {
                if let Some(place) = place.and_then(|place| self.places.get(place)) {
                    self.guarded(|| place.stop(attempt));
                }
                return;
            }
            Duty::Effect(effect) => effect,
        };
        match effect {
            Effect::Settle(settlement) | Effect::Discard(settlement) => self.settle(settlement),
            Effect::Wake(waker) => self.guarded(|| waker.wake()),
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

    /// Takes and performs up to `most` effects; whether there may be more.
    pub(crate) fn perform_pending(&self, most: u32) -> bool {
        for _ in 0..most {
            let duty = self.lock().poll_duty();
            match duty {
                Some(duty) => self.perform(duty),
                None => return false,
            }
        }
        true
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
            let duty = state.poll_any_duty();
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
