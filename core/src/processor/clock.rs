//! Time: when the host has to come back, and what happens when it does.

use core::time::Duration;

use super::{Owner, Processor};
use crate::ids::TimerId;
use crate::lifecycle::{Input, State};
use crate::timers::Step;
use crate::{ByOutcome, Event, Instant, Plan, Progress, Reason, Wake};

/// Something that happens again and again.
pub(super) struct Interval {
    every: Duration,
    due: Instant,
    timer: Option<TimerId>,
}

impl<P: Plan> Processor<P> {
    /// When the host has to come back, and why. Never later than the earliest deadline, rounded up to a
    /// millisecond. Coming earlier does no harm; coming then always makes progress.
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

    /// When the timers alone want [`advance`](Self::advance) to be called. For hosts whose workers ask for
    /// starts by themselves.
    #[must_use]
    pub fn next_timer(&self) -> Option<(Instant, Reason)> {
        let (at, due) = self.timers.next_wake()?;
        Some((at, if due { Reason::Timer } else { Reason::Cascade }))
    }

    /// Lets everything happen that is due at `now`, as far as the budget goes: each timer that fires, each
    /// far timer that is re-sorted and each slot that the end walks over uses one. With a budget of 0
    /// nothing happens but the clock moves on.
    ///
    /// May change: everything that time changes, so effects, events, room, [`startable`](Self::startable).
    pub fn advance(&mut self, now: Instant, budget: u32) -> Progress {
        let now = self.tell(now);
        let mut used = 0;
        while used < budget {
            match self.timers.step(now) {
                Step::Fired(owner) => self.fire(owner),
                Step::Moved => {}
                Step::Idle => break,
            }
            used += 1;
        }
        used += self.advance_end(budget - used);
        let timer_due = self.next_timer().is_some_and(|(at, _)| at <= now);
        Progress { used, more: timer_due || self.is_end_due() }
    }

    fn fire(&mut self, owner: Owner) {
        match owner {
            Owner::Task(index) => self.fire_task(index),
            Owner::Health => self.fire_health(),
            Owner::Sweep => {
                self.sweep = self.sweep.take().map(|interval| self.rearm(interval, Owner::Sweep).0);
                self.sweep_due = true;
            }
            Owner::Drain => self.drain_deadline(),
        }
    }

    fn fire_task(&mut self, index: u32) {
        self.ledger.timers.leave();
        let Some(task) = self.tasks.at_mut(index) else {
            debug_assert!(false, "a timer ends with its task");
            return;
        };
        task.timer = None;
        if matches!(task.state, State::Delayed | State::Backoff) && task.since <= self.now {
            self.ready(index);
        } else {
            self.overdue(index);
        }
    }

    /// Queues the task in slot `index`, whose delay is over.
    fn ready(&mut self, index: u32) {
        if self.step(index, Input::Ready).is_some() {
            if let Some(task) = self.tasks.at_mut(index) {
                task.since = self.now;
            }
            self.enqueue(index);
        }
    }

    /// Settles the task in slot `index`, whose deadline is over.
    pub(super) fn overdue(&mut self, index: u32) {
        let Some(task) = self.tasks.at(index) else { return };
        let expired = task.state == State::Queued && task.start_by() <= task.close_by;
        self.settle(index, if expired { Input::Expire } else { Input::TimeOut });
    }

    fn fire_health(&mut self) {
        let Some(interval) = self.health.take() else { return };
        let (interval, missed) = self.rearm(interval, Owner::Health);
        self.health = Some(interval);
        let health = crate::Health { missed, ..self.health(self.now) };
        self.settled_since_health = ByOutcome::default();
        self.publish(Event::Health(health));
    }

    /// Arms an interval that has come for its next time after now, and tells how many it has missed.
    fn rearm(&mut self, interval: Interval, owner: Owner) -> (Interval, u64) {
        let every = u64::try_from(interval.every.as_nanos()).unwrap_or(u64::MAX).max(1);
        let late = self.now.as_nanos().saturating_sub(interval.due.as_nanos());
        let missed = late / every;
        let next = interval.due.as_nanos().checked_add((missed.saturating_add(1)).saturating_mul(every));
        let due = next.map_or(Instant::MAX, Instant::from_nanos);
        let timer = next.and_then(|_| self.timers.arm(due, owner));
        (Interval { due, timer, ..interval }, missed)
    }

    pub(super) fn arm_intervals(&mut self) {
        self.health = self.limits.health_every.and_then(|every| self.first(every, Owner::Health));
        if self.health.is_some() {
            self.ledger.health_intervals.enter();
        }
        self.sweep = self.limits.sweep_every.and_then(|every| self.first(every, Owner::Sweep));
        if self.sweep.is_some() {
            self.ledger.sweep_intervals.enter();
        }
    }

    fn first(&mut self, every: Duration, owner: Owner) -> Option<Interval> {
        let due = self.now.checked_add(every)?;
        Some(Interval { every, due, timer: self.timers.arm(due, owner) })
    }

    pub(super) fn disarm_intervals(&mut self) {
        if let Some(interval) = self.health.take() {
            interval.timer.and_then(|timer| self.timers.disarm(timer));
            self.ledger.health_intervals.leave();
        }
        if let Some(interval) = self.sweep.take() {
            interval.timer.and_then(|timer| self.timers.disarm(timer));
            self.ledger.sweep_intervals.leave();
        }
        self.sweep_due = false;
    }

    /// How many intervals are armed.
    pub(super) fn intervals(&self) -> u32 {
        let armed =
            [&self.health, &self.sweep].into_iter().flatten().filter(|interval| interval.timer.is_some());
        armed.fold(0, |count, _| count + 1)
    }
}
