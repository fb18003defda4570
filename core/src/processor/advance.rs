//! Time: when the host has to call again, and what is due then.

use core::hint::black_box;
use core::time::Duration;

use super::Processor;
use super::deadlines::{OwnTimer, Owner};
use crate::lifecycle::{Input, State};
use crate::schedules::Grid;
use crate::timers::Step;
use crate::{Advanced, ByOutcome, Event, Health, Instant, Plan, Reason, Wake};

impl<P: Plan> Processor<P> {
    /// When the host has to call again, and why. Never later than the earliest deadline, rounded up to a millisecond.
    /// An earlier call does no harm; a call at this time always makes progress.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Reason, Simple, Terms, Wake};
    /// # use core::time::Duration;
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// assert_eq!(processor.next_wake(), Wake::Never);
    /// processor.submit(now, Offer::new("now", ()), &Terms::new())?;
    /// assert_eq!(processor.next_wake(), Wake::Now(Reason::Start));
    /// let start = processor.start_next(now).ok_or("nothing to start")?;
    /// processor.submit(now, Offer::new("later", ()), &Terms::new().delay(Duration::from_millis(5)))?;
    /// assert_eq!(processor.next_wake(), Wake::At(Instant::from_millis(5), Reason::Timer));
    /// # drop(start);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn next_wake(&self) -> Wake {
        if self.has_effect() {
            return Wake::Now(Reason::Effect);
        }
        if self.startable() > 0 {
            return Wake::Now(Reason::Start);
        }
        if self.is_end_due() {
            return Wake::Now(Reason::End);
        }
        match self.next_timer() {
            Some((at, reason)) => Wake::At(at, reason),
            None => Wake::Never,
        }
    }

    /// When [`advance`](Self::advance) has to be called for the timers alone, and why. `None` if no timer is armed. For
    /// hosts whose workers ask for starts by themselves.
    #[must_use]
    #[inline]
    pub fn next_timer(&self) -> Option<(Instant, Reason)> {
        let (at, due) = self.deadlines.next_wake()?;
        Some((at, if due { Reason::Timer } else { Reason::Cascade }))
    }

    /// Does the work that is due at `now`, within the budget. Each timer that fires, each far timer that is moved to a
    /// nearer slot of the wheel, and each task slot that the end visits uses one unit. A budget of 0 only advances the
    /// machine's time. O(budget), plus O([`Limits::sleeps`](crate::Limits::sleeps)) for each attempt that it ends.
    ///
    /// May change: effects, events, room, [`startable`](Self::startable), [`next_wake`](Self::next_wake).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// # use core::time::Duration;
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("later", ()), &Terms::new().delay(Duration::from_secs(5)))?;
    /// assert_eq!(processor.startable(), 0);
    /// while processor.advance(Instant::from_millis(5_000), 64).more {}
    /// assert_eq!(processor.startable(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn advance(&mut self, now: Instant, budget: u32) -> Advanced {
        let now = self.observe_time(now);
        let mut used = 0;
        while used < budget {
            match self.deadlines.step(now) {
                Step::Fired(owner) => self.fire(owner),
                Step::Moved => {}
                Step::Idle => break,
            }
            used += 1;
        }
        used += self.advance_end(budget - used);
        let timer_due = self.next_timer().is_some_and(|(at, _)| at <= now);
        Advanced { used, more: timer_due || self.is_end_due() }
    }

    fn fire(&mut self, owner: Owner) {
        match owner {
            Owner::Task(index) => self.fire_task(index),
            Owner::Own(OwnTimer::Health) => self.fire_health(),
            Owner::Own(OwnTimer::Sweep) => self.fire_sweep(),
            Owner::Own(OwnTimer::Drain) => self.fire_drain(),
            Owner::Own(OwnTimer::Gate) => self.fire_gate(),
            Owner::Lane(number) => self.fire_lane(number),
            Owner::Schedule(index) => self.schedules.fall_due(index),
            Owner::Source(index) => self.fire_source(index),
            Owner::Sleep(index) => {
                let task = self.sleeps.fall_due(index);
                // The attempt will soon go on and needs its task, which is cold in the caches if there are many tasks.
                // No code depends on this load, so the loads of several tasks overlap.
                black_box(self.tasks.at(task).map(|task| (task.starts, task.since)));
            }
        }
    }

    fn fire_task(&mut self, index: u32) {
        let Some(task) = self.tasks.at(index) else {
            debug_assert!(false, "a timer ends with its task");
            return;
        };
        let is_due = matches!(task.state, State::Delayed | State::Backoff) && task.since <= self.now;
        if is_due && !self.is_behind(index) {
            self.ready(index);
        } else if self.monitor.is_none() || self.is_overdue(index) {
            self.overdue(index);
        }
    }

    /// Queues the task in slot `index`, whose delay or backoff is over.
    #[inline(always)]
    pub(super) fn ready(&mut self, index: u32) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        if self.tally.step(task, Input::Ready).is_some() {
            task.since = self.now;
            let deadline = task.deadline_in(State::Queued);
            let priority = task.priority;
            self.enqueue(index, priority);
            self.ledger.queued.note(self.tally.of(State::Queued));
            self.deadlines.add(Owner::Task(index), deadline);
        }
    }

    /// Settles the task in slot `index`, whose deadline has passed. If only its attempt timed out and another attempt
    /// may follow, asks the attempt to stop instead.
    #[cold]
    pub(super) fn overdue(&mut self, index: u32) {
        let Some(task) = self.tasks.at(index) else { return };
        if task.state == State::Running && self.has_time_for_another(index) {
            return self.halt(index);
        }
        let expired = task.state == State::Queued && task.start_by() <= task.close_by();
        self.settle_out_of_line(index, if expired { Input::Expire } else { Input::TimeOut }, None, false);
    }

    fn fire_health(&mut self) {
        let Some((_, missed)) = self.health.as_mut().and_then(|interval| interval.pass(self.now)) else {
            return;
        };
        self.arm_interval(OwnTimer::Health, self.health);
        self.last_health = Some(Health { missed, ..self.health(self.now) });
        self.settled_since_health = ByOutcome::default();
        self.publish(|| Event::Health);
    }

    fn fire_sweep(&mut self) {
        self.sweep.as_mut().and_then(|interval| interval.pass(self.now));
        self.arm_interval(OwnTimer::Sweep, self.sweep);
        self.sweep_due = true;
    }

    pub(super) fn arm_intervals(&mut self) {
        self.health = self.limits.health_every.and_then(|every| self.first(every, OwnTimer::Health));
        if self.health.is_some() {
            self.ledger.health_intervals.enter();
        }
        self.sweep = self.limits.sweep_every.and_then(|every| self.first(every, OwnTimer::Sweep));
        if self.sweep.is_some() {
            self.ledger.sweep_intervals.enter();
        }
    }

    fn first(&mut self, every: Duration, timer: OwnTimer) -> Option<Grid> {
        let interval = Some(Grid::new(every, Some(self.now.checked_add(every)?)));
        self.arm_interval(timer, interval);
        interval
    }

    /// Arms the timer of an interval for its next time, unless that lies past the end of time.
    fn arm_interval(&mut self, timer: OwnTimer, interval: Option<Grid>) {
        if let Some(at) = interval.and_then(|interval| interval.next()) {
            self.deadlines.set(Owner::Own(timer), at);
        }
    }

    pub(super) fn disarm_intervals(&mut self) {
        self.deadlines.clear(Owner::Own(OwnTimer::Health));
        self.deadlines.clear(Owner::Own(OwnTimer::Sweep));
        if self.health.take().is_some() {
            self.ledger.health_intervals.leave();
        }
        if self.sweep.take().is_some() {
            self.ledger.sweep_intervals.leave();
        }
        self.sweep_due = false;
    }
}
