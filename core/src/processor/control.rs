//! Commands that steer the machine: cancel, pause, hold, the rate, the concurrency limit.
//!
//! What a cancel does to a task in each state is in the table of [`State::on`](crate::lifecycle::State::on);
//! `end_cancelled` in `settle` performs it.

use super::Processor;
use super::deadlines::{OwnTimer, Owner};
use crate::{CancelError, CancelReason, Instant, Plan, Priority, Rate, TaskId};

/// What [`Processor::cancel`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cancelled {
    /// The task was waiting and is settled.
    Settled,
    /// The task is settled; its attempt was running and is asked to stop.
    Stopping,
}

impl<P: Plan> Processor<P> {
    /// Cancels a task that is not settled yet, in whichever state it is. A running attempt is asked to stop, by
    /// [`Effect::Stop`](crate::Effect::Stop).
    ///
    /// May change: effects (its settlement; a `Stop` if it runs), the queue, room.
    ///
    /// ```
    /// # use plimsoll_core::{CancelError, Cancelled, Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let task = processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// assert_eq!(processor.cancel(now, task)?, Cancelled::Settled);
    /// assert_eq!(processor.cancel(now, task), Err(CancelError::Settled));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`CancelError`]; nothing has changed.
    pub fn cancel(&mut self, now: Instant, task: TaskId) -> Result<Cancelled, CancelError> {
        self.cancel_with(now, task, None)
    }

    /// Like [`cancel`](Self::cancel), with a reason that comes out with the outcome.
    ///
    /// May change: as [`cancel`](Self::cancel).
    ///
    /// ```
    /// # use plimsoll_core::{CancelReason, Effect, Instant, Limits, Offer, Outcome, Processor, Simple, Terms};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// const SUPERSEDED: CancelReason = CancelReason::new(&"a newer one came");
    /// let task = processor.submit(Instant::ZERO, Offer::new("job", ()), &Terms::new())?;
    /// processor.cancel_because(Instant::ZERO, task, SUPERSEDED)?;
    /// let Some(Effect::Settle(settled)) = processor.poll_effect() else { return Err("not settled".into()) };
    /// assert_eq!(settled.outcome, Outcome::Cancelled(Some(SUPERSEDED)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`cancel`](Self::cancel).
    pub fn cancel_because(
        &mut self,
        now: Instant,
        task: TaskId,
        reason: CancelReason,
    ) -> Result<Cancelled, CancelError> {
        self.cancel_with(now, task, Some(reason))
    }

    fn cancel_with(
        &mut self,
        now: Instant,
        task: TaskId,
        reason: Option<CancelReason>,
    ) -> Result<Cancelled, CancelError> {
        self.observe_time(now);
        let state = self.tasks.get(task).ok_or(CancelError::NotFound)?.state;
        if !state.is_unsettled() {
            return Err(CancelError::Settled);
        }
        self.end_cancelled(self.tasks.index_of(task), reason, false);
        Ok(if state.runs() { Cancelled::Stopping } else { Cancelled::Settled })
    }

    /// Starts no more attempts until [`resume`](Self::resume). Running attempts and time-outs go on, and tasks are
    /// admitted while the queue has room.
    ///
    /// May change: [`startable`](Self::startable), room.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// processor.pause(now);
    /// assert!(processor.start_next(now).is_none());
    /// processor.resume(now);
    /// assert!(processor.start_next(now).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pause(&mut self, now: Instant) {
        self.observe_time(now);
        self.gate.set_paused(true);
    }

    /// Starts attempts again, after a [`pause`](Self::pause).
    ///
    /// May change: [`startable`](Self::startable), room.
    pub fn resume(&mut self, now: Instant) {
        self.observe_time(now);
        self.gate.set_paused(false);
    }

    /// Whether the machine is paused.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.gate.is_paused()
    }

    /// Starts no attempts before `until`. Running attempts and time-outs go on, and tasks are admitted while the queue
    /// has room. A later call replaces the instant; one that is not in the future ends the hold.
    ///
    /// May change: [`startable`](Self::startable), [`next_wake`](Self::next_wake), room.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// let later = Instant::from_millis(500);
    /// processor.hold(now, later);
    /// assert!(processor.start_next(now).is_none());
    /// let _ = processor.advance(later, 64);
    /// assert!(processor.start_next(later).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hold(&mut self, now: Instant, until: Instant) {
        let now = self.observe_time(now);
        let opens_at = self.gate.hold_until(until, now);
        self.set_gate_timer(opens_at);
    }

    /// Sets how many attempts may be started in a time, in place of [`Limits::rate`](crate::Limits::rate). Starts that
    /// were counted before still count.
    ///
    /// May change: [`startable`](Self::startable), [`next_wake`](Self::next_wake), room.
    pub fn set_rate(&mut self, now: Instant, rate: Option<Rate>) {
        let now = self.observe_time(now);
        let opens_at = self.gate.set_rate(rate, now);
        self.set_gate_timer(opens_at);
    }

    /// Starts no more attempts at tasks of this priority until [`resume_class`](Self::resume_class). Those that wait keep
    /// their place in the queue and their time-outs, and further ones are admitted while it has room. They can fill it: where
    /// that matters, give them a [lane](crate::Lane), which is bounded, or let them give way
    /// ([`Overflow`](crate::Overflow)).
    ///
    /// Returns whether every lane has been updated. Without lanes that is so at once, in O(1). With lanes a call updates `budget`
    /// of them, in O(budget × log lanes): call it again until it returns true. A new lane starts with the pause. A call that
    /// changes which classes are paused begins anew with the first lane.
    ///
    /// May change: [`startable`](Self::startable).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Priority, Processor, Simple, Terms};
    /// # let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let low = Terms::new().priority(Priority::LOWEST);
    /// processor.submit(now, Offer::new("a backfill", ()), &low)?;
    /// while !processor.pause_class(now, Priority::LOWEST, 64) {}
    /// processor.submit(now, Offer::new("an order", ()), &Terms::new())?;
    /// assert_eq!(processor.start_next(now).map(|start| start.job), Some("an order"));
    /// assert!(processor.start_next(now).is_none());
    /// while !processor.resume_class(now, Priority::LOWEST, 64) {}
    /// assert_eq!(processor.start_next(now).map(|start| start.job), Some("a backfill"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "call it again until it is done"]
    pub fn pause_class(&mut self, now: Instant, priority: Priority, budget: u32) -> bool {
        self.set_class_open(now, priority, false, budget)
    }

    /// Starts attempts at tasks of this priority again, after a [`pause_class`](Self::pause_class), and as that does.
    ///
    /// May change: [`startable`](Self::startable).
    #[must_use = "call it again until it is done"]
    pub fn resume_class(&mut self, now: Instant, priority: Priority, budget: u32) -> bool {
        self.set_class_open(now, priority, true, budget)
    }

    /// Whether [`pause_class`](Self::pause_class) was called last for this priority, not [`resume_class`](Self::resume_class),
    /// even if not every lane has been updated.
    #[must_use]
    pub const fn is_class_paused(&self, priority: Priority) -> bool {
        self.queue.open() & (1 << priority.class()) == 0
    }

    fn set_class_open(&mut self, now: Instant, priority: Priority, is_open: bool, budget: u32) -> bool {
        self.observe_time(now);
        let open = self.queue.set_open(priority, is_open);
        self.lanes.as_mut().is_none_or(|lanes| lanes.set_open(open, budget))
    }

    /// Sets how many attempts may run at the same time, at most [`Limits::concurrency`](crate::Limits::concurrency),
    /// for which the machine was built. Running attempts are not stopped: while more are running than the new limit,
    /// none is started. 0 is legal. Returns the new limit.
    ///
    /// May change: [`startable`](Self::startable), room, effects (waiters for room).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Processor, Simple};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// assert_eq!(processor.set_concurrency(now, 2), 2);
    /// assert_eq!(processor.set_concurrency(now, 1_000), 64); // no more than the machine was built for
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_concurrency(&mut self, now: Instant, concurrency: u32) -> u32 {
        self.observe_time(now);
        self.gate.set_concurrency(concurrency)
    }

    /// The timer of the gate has fired.
    #[cold]
    pub(super) fn fire_gate(&mut self) {
        let opens_at = self.gate.shut_or_open(self.now);
        self.set_gate_timer(opens_at);
    }

    /// Sets the timer of the gate, or clears it if the gate is open.
    #[cold]
    pub(super) fn set_gate_timer(&mut self, opens_at: Option<Instant>) {
        let timer = Owner::Own(OwnTimer::Gate);
        match opens_at.filter(|_| !self.ending.is_ending()) {
            Some(at) => self.deadlines.set(timer, at),
            None => self.deadlines.clear(timer),
        }
    }
}
