//! Sleeps of running attempts: begun, asked about, ended.

use super::Processor;
use super::deadlines::Owner;
use crate::ids::{AttemptId, SleepId};
use crate::lifecycle::State;
use crate::list::NIL;
use crate::sleeps::{Ended, SleepStatus};
use crate::{Instant, Plan, Refused, SleepRefusal};

impl<P: Plan> Processor<P> {
    /// Begins a sleep: a running attempt waits until an instant, on the machine's own timers. When the instant has
    /// come, the waiter leaves by [`Effect::Wake`](crate::Effect::Wake), at once if it is not in the future. Then call
    /// [`resleep`](Self::resleep).
    ///
    /// A sleep ends with its attempt: when the attempt is reported, stopped, abandoned, or asked to stop. Then its
    /// waiter is woken, too, and `resleep` returns [`Gone`](SleepStatus::Gone).
    ///
    /// May change: [`next_wake`](Self::next_wake), effects. O([`Limits::sleeps`](crate::Limits::sleeps)).
    ///
    /// ```
    /// # use plimsoll_core::{Effect, Instant, Limits, Offer, Processor, Reason, Simple, SleepStatus, Terms, Wake};
    /// # use std::task::Waker;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// # let waker = Waker::noop();
    /// processor.submit(Instant::ZERO, Offer::new("job", ()), &Terms::new())?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// let at = Instant::from_millis(5);
    /// let sleep = processor.sleep(Instant::ZERO, start.attempt, at, waker.clone())?;
    /// assert_eq!(processor.next_wake(), Wake::At(at, Reason::Timer));
    /// let _ = processor.advance(at, 64);
    /// assert!(matches!(processor.poll_effect(), Some(Effect::Wake(_))));
    /// assert!(matches!(processor.resleep(at, sleep, waker.clone()), SleepStatus::Over(..)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SleepRefusal`] with the waiter.
    pub fn sleep(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        until: Instant,
        waiter: P::Waiter,
    ) -> Result<SleepId, Refused<P::Waiter, SleepRefusal>> {
        let now = self.observe_time(now);
        let index = self.index_of(attempt).unwrap_or(NIL);
        let task = self.tasks.at_mut(index).filter(|task| task.state == State::Running);
        let Some(task) = task else { return Err(Refused::new(SleepRefusal::Over, waiter)) };
        let most = self.limits.sleeps;
        let begun = self.sleeps.begin(index, &mut task.first_sleep, most, until, waiter);
        let (id, sleep) = begun.map_err(|waiter| Refused::new(SleepRefusal::Full, waiter))?;
        self.ledger.sleeps.enter();
        if until <= now {
            let _ = self.sleeps.fall_due(sleep);
        } else {
            self.deadlines.add(Owner::Sleep(sleep), until);
        }
        Ok(id)
    }

    /// The state of a sleep. If it goes on, `waiter` replaces the earlier one. If its time has come, this call ends it,
    /// whether or not [`advance`](Self::advance) has run.
    ///
    /// May change: [`next_wake`](Self::next_wake), effects. O([`Limits::sleeps`](crate::Limits::sleeps)).
    pub fn resleep(&mut self, now: Instant, id: SleepId, waiter: P::Waiter) -> SleepStatus<P::Waiter> {
        let now = self.observe_time(now);
        let waiter = match self.sleeps.wait_on(id, now, waiter) {
            Ok(old) => return SleepStatus::Sleeping(old),
            Err(waiter) => waiter,
        };
        match self.end_sleep(id) {
            Some(old) => SleepStatus::Over(waiter, old),
            None => SleepStatus::Gone(waiter),
        }
    }

    /// Ends a sleep early, and hands out its waiter if it was not woken yet. `None` if there is no such sleep: its
    /// attempt is over, or it was ended before.
    ///
    /// May change: [`next_wake`](Self::next_wake), effects. O([`Limits::sleeps`](crate::Limits::sleeps)).
    pub fn end_sleep(&mut self, id: SleepId) -> Option<Option<P::Waiter>> {
        let Ended { index, task, next, waiter } = self.sleeps.end(id)?;
        self.deadlines.clear(Owner::Sleep(index));
        self.ledger.sleeps.leave();
        if let Some(task) = self.tasks.at_mut(task) {
            self.sleeps.unlink(&mut task.first_sleep, index, next);
        }
        Some(waiter)
    }

    /// Ends all sleeps of an attempt that is over. The first one is in slot `first`.
    #[cold]
    pub(super) fn end_sleeps(&mut self, first: u32) {
        let mut index = first;
        while let Some((next, is_gone)) = self.sleeps.abandon(index) {
            self.deadlines.clear(Owner::Sleep(index));
            if is_gone {
                self.ledger.sleeps.leave();
            }
            index = next;
        }
    }

    /// Takes the waiter of the next sleep to wake.
    #[inline]
    pub(super) fn wake_sleeper(&mut self) -> Option<P::Waiter> {
        if !self.sleeps.has_wake() {
            return None;
        }
        let (waiter, is_gone) = self.sleeps.pop_wake()?;
        if is_gone {
            self.ledger.sleeps.leave();
        }
        Some(waiter)
    }
}
