//! Schedules: begun, moved, ended, and what is due of them. [`crate::schedules`] has the schedules themselves.

use super::Processor;
use super::deadlines::Owner;
use crate::ids::ScheduleId;
use crate::schedules::{Due, Schedule};
use crate::{Instant, Plan, ScheduleRefusal};

impl<P: Plan> Processor<P> {
    /// Begins a schedule. At each of its instants the host gets [`Effect::Due`](crate::Effect::Due), and submits what is to be
    /// done then; with [`Overlap::Skip`](crate::Overlap::Skip) it calls [`schedule_done`](Self::schedule_done) when that is
    /// over. A schedule owes one effect at most: a host that is late gets one, with a count of what was missed.
    ///
    /// A schedule goes on until it is [ended](Self::unschedule) or the machine drains. Then
    /// [`Effect::Unschedule`](crate::Effect::Unschedule) names it.
    ///
    /// May change: [`next_wake`](Self::next_wake).
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use plimsoll_core::{Effect, Instant, Limits, Processor, Reason, Schedule, Simple, Wake};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let id = processor.schedule(Instant::ZERO, &Schedule::fixed_rate(Duration::from_millis(10)))?;
    /// assert_eq!(processor.next_wake(), Wake::At(Instant::from_millis(10), Reason::Timer));
    ///
    /// let late = Instant::from_millis(34);
    /// let _ = processor.advance(late, 64);
    /// let Some(Effect::Due(due)) = processor.poll_effect() else { return Err("it is due".into()) };
    /// assert_eq!((due.schedule, due.at, due.missed), (id, Instant::from_millis(30), 2));
    ///
    /// processor.schedule_done(late, id);
    /// assert_eq!(processor.next_of_schedule(id), Some(Instant::from_millis(40)));
    /// assert!(processor.unschedule(id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ScheduleRefusal`].
    pub fn schedule(&mut self, now: Instant, schedule: &Schedule) -> Result<ScheduleId, ScheduleRefusal> {
        let now = self.observe_time(now);
        if !self.is_open() {
            return Err(ScheduleRefusal::Closed);
        }
        let (id, index) = self.schedules.begin(schedule, now).ok_or(ScheduleRefusal::Full)?;
        self.ledger.schedules.enter();
        self.arm_schedule(index);
        Ok(id)
    }

    /// The work of a schedule is over: its next instant is awaited, which is the first one after now. Returns whether
    /// that was waited for. It is not if the schedule lets work [overlap](crate::Overlap::Allow), was given another instant
    /// since, or does not exist.
    ///
    /// May change: [`next_wake`](Self::next_wake).
    pub fn schedule_done(&mut self, now: Instant, id: ScheduleId) -> bool {
        let now = self.observe_time(now);
        let index = self.schedules.end_work(id, now);
        index.is_some_and(|index| self.arm_schedule(index))
    }

    /// Sets the next instant of a schedule, in place of the one that would come next. A period counts from it from now on.
    /// An effect that is owed is taken back. An instant that is not in the future is due at once. Returns whether the
    /// schedule exists.
    ///
    /// May change: [`next_wake`](Self::next_wake), effects.
    pub fn reschedule(&mut self, now: Instant, id: ScheduleId, at: Instant) -> bool {
        self.observe_time(now);
        let index = self.schedules.move_to(id, at);
        index.is_some_and(|index| self.arm_schedule(index))
    }

    /// Ends a schedule. An effect that is owed is taken back. Returns whether the schedule existed.
    ///
    /// May change: [`next_wake`](Self::next_wake), effects.
    pub fn unschedule(&mut self, id: ScheduleId) -> bool {
        let Some(index) = self.schedules.end(id) else { return false };
        self.deadlines.clear(Owner::Schedule(index));
        self.ledger.schedules.leave();
        true
    }

    /// The next instant of a schedule, without the jitter. `None` while its work is not over, if no instant will come, or
    /// if the schedule does not exist.
    #[must_use]
    pub fn next_of_schedule(&self, id: ScheduleId) -> Option<Instant> {
        self.schedules.next(id)
    }

    /// Sets the timer of the schedule in slot `index` to its next instant, if there is one.
    fn arm_schedule(&mut self, index: u32) -> bool {
        match self.schedules.draw_deadline(index, &mut self.rng) {
            Some(at) => self.deadlines.set(Owner::Schedule(index), at),
            None => self.deadlines.clear(Owner::Schedule(index)),
        }
        true
    }

    /// Takes what is due next.
    pub(super) fn poll_due(&mut self) -> Option<Due> {
        let (due, index) = self.schedules.take_due(self.now)?;
        self.arm_schedule(index);
        Some(due)
    }

    /// Ends the oldest schedule, because the machine drains.
    pub(super) fn end_oldest_schedule(&mut self) -> Option<ScheduleId> {
        let id = self.schedules.oldest()?;
        self.unschedule(id);
        Some(id)
    }
}
