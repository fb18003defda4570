//! What leaves the machine: attempts to start, and effects.

use super::Processor;
use crate::ids::{AttemptId, Id};
use crate::lifecycle::Input;
use crate::task::{Claimant, NEVER, Payload, Pending};
use crate::{Effect, Event, Instant, OutcomeKind, Plan, Start, Stop};

/// How many tasks that have waited too long are passed over in one call of `start_next`.
const PASSED_OVER: u32 = 64;

impl<P: Plan> Processor<P> {
    /// How many attempts could be started now.
    #[must_use]
    pub fn startable(&self) -> u32 {
        self.queue.len().min(self.free_places())
    }

    /// Starts the next attempt: its job leaves for the host, its concurrency place is taken, and its
    /// start-to-close time-out counts from `now`. `None` when nothing can be started.
    ///
    /// A task whose deadline is over is settled instead, at most 64 in one call. If there are more, the
    /// answer is `None` although [`startable`](Self::startable) is not 0: call again, or call
    /// [`advance`](Self::advance).
    ///
    /// May change: [`next_wake`](Self::next_wake), room, effects (of tasks that expired), events.
    pub fn start_next(&mut self, now: Instant) -> Option<Start<P>> {
        let now = self.tell(now);
        for _ in 0..PASSED_OVER {
            if self.free_places() == 0 {
                return None;
            }
            let index = self.queue.next(&self.tasks)?;
            if self.tasks.at(index)?.deadline() >= now {
                return self.start(now, index);
            }
            self.overdue(index);
        }
        None
    }

    fn start(&mut self, now: Instant, index: u32) -> Option<Start<P>> {
        let attempt = self.draw_attempt(index)?;
        self.disarm(index);
        self.step(index, Input::Start)?;
        self.dequeue(index);
        self.queue.started();
        let task = self.tasks.at_mut(index)?;
        task.attempt = Some(attempt);
        task.attempts = task.attempts.saturating_add(1);
        task.since = now;
        let deadline = Some(task.deadline()).filter(|deadline| *deadline != NEVER);
        let (number, meta, may_retry) = (task.attempts, task.meta, task.retry.allows(task.attempts));
        let payload = core::mem::replace(&mut task.payload, Payload::Away);
        self.arm(index);
        self.totals.started = self.totals.started.wrapping_add(1);
        self.ledger.jobs.leave();
        let task = self.tasks.id_at(index)?;
        self.publish(Event::Started { task, attempt, meta });
        let Payload::Job(job) = payload else {
            debug_assert!(false, "a queued task has its job");
            return None;
        };
        Some(Start { task, attempt, number, job, meta, deadline, may_retry })
    }

    /// A fresh id for the next attempt of the task in slot `index`. The first attempt takes the task's own
    /// generation, so that tasks that are tried once wear their slot out no faster.
    fn draw_attempt(&mut self, index: u32) -> Option<AttemptId> {
        let bits = match self.tasks.at(index)?.attempt {
            None => self.tasks.id_at(index)?.raw(),
            Some(_) => self.tasks.renew(index)?,
        };
        Some(AttemptId::from_raw(bits))
    }

    /// Whether to call [`poll_effect`](Self::poll_effect). In the course of the end it may have nothing to hand
    /// out although it was asked for; it has made progress then.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        !self.outbox.is_empty()
            || self.can_grant()
            || self.subscribers.has_wake()
            || self.sweep_due
            || self.has_end_effect()
    }

    /// Takes the next thing the host has to do, starts apart. Call it until `None` after every call that
    /// may change effects. What is pending is a state of the slots, so nothing is lost and nothing grows
    /// if you do not; but settled tasks keep their slots until then.
    ///
    /// Effects of tasks come first, in the order in which the tasks were settled; for one task `Stop` comes
    /// before its settlement. Then come grants of room (or, while draining, the end of the line and of the
    /// sources), wakes of subscribers, the request to sweep, and the end.
    pub fn poll_effect(&mut self) -> Option<Effect<P>> {
        while let Some(index) = self.outbox.front() {
            if let Some(effect) = self.poll_task(index) {
                return Some(effect);
            }
        }
        if self.is_open() {
            if let Some(waiter) = self.grant_room() {
                return Some(Effect::Wake(waiter));
            }
        } else if let Some(effect) = self.poll_closing() {
            return Some(effect);
        }
        if let Some(waiter) = self.subscribers.pop_wake() {
            return Some(Effect::Wake(waiter));
        }
        if core::mem::take(&mut self.sweep_due) {
            return Some(Effect::Sweep);
        }
        self.poll_end()
    }

    /// Grants room to the first of those who wait for it, if there is some.
    fn grant_room(&mut self) -> Option<P::Waiter> {
        if self.can_grant() { self.line.grant() } else { None }
    }

    /// Takes the first effect that the task in slot `index` owes.
    fn poll_task(&mut self, index: u32) -> Option<Effect<P>> {
        let task = self.tasks.at_mut(index)?;
        if task.pending.has(Pending::STOP) {
            let (attempt, kind) = (task.attempt, task.kind);
            let id = self.tasks.id_at(index);
            self.withdraw(index, Pending::STOP);
            self.abandon_if_ending(index);
            let why = kind.unwrap_or(OutcomeKind::Cancelled);
            return Some(Effect::Stop(Stop { task: id?, attempt: attempt?, why }));
        }
        if task.pending.has(Pending::WAKE) {
            let waiter = match &mut task.claimant {
                Claimant::Handle(waiter) => waiter.take(),
                _ => None,
            };
            self.withdraw(index, Pending::WAKE);
            return waiter.map(Effect::Wake);
        }
        let settles = task.pending.has(Pending::SETTLE);
        let settlement = self.release_outcome(index)?;
        if settles {
            return Some(Effect::Settle(settlement));
        }
        if self.ending.is_aborting() {
            self.remains.discarded = self.remains.discarded.saturating_add(1);
        }
        Some(Effect::Discard(settlement))
    }
}
