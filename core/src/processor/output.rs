//! What leaves the machine: attempts to start, and effects.

use super::Processor;
use super::deadlines::Owner;
use crate::lifecycle::{Input, State};
use crate::list::NIL;
use crate::task::{Claimant, Payload, Pending, Task};
use crate::time::NEVER;
use crate::{AttemptId, Effect, Event, Instant, OutcomeKind, Plan, Settlement, Start, Stop, TaskId};

/// How many tasks that have waited too long are passed over in one call of `start_next`.
const PASSED_OVER: u32 = 64;

impl<P: Plan> Processor<P> {
    /// How many attempts could be started now.
    #[must_use]
    #[inline]
    pub fn startable(&self) -> u32 {
        self.tally.of(State::Queued).min(self.gate.free(&self.tally))
    }

    /// Starts the next attempt: its job leaves for the host, its concurrency place is taken, and its
    /// start-to-close time-out counts from `now`, or from the instant that [`began`](Self::began) reports. `None` when
    /// nothing can be started.
    ///
    /// A task whose deadline is over is settled instead, at most 64 in one call. If there are more, the
    /// answer is `None` although [`startable`](Self::startable) is not 0: call again, or call
    /// [`advance`](Self::advance).
    ///
    /// May change: [`next_wake`](Self::next_wake), room, effects (of tasks that expired), events.
    #[inline(always)]
    pub fn start_next(&mut self, now: Instant) -> Option<Start<P>> {
        let now = self.observe_time(now);
        if self.gate.free(&self.tally) == 0 {
            return None;
        }
        let mut index = self.queue.next();
        if self.tasks.at(index)?.deadline_in(State::Queued) < now {
            index = self.next_in_time(now)?;
        }
        let (task, started) = self.tasks.entry(index)?;
        let Payload::Job(job) = core::mem::replace(&mut started.payload, Payload::Away) else {
            debug_assert!(false, "a queued task has its job");
            return None;
        };
        self.tally.step(started, Input::Start)?;
        started.start(now);
        let (number, starts, meta) = (started.attempts, started.starts, started.meta);
        let deadline = started.deadline_in(State::Running);
        let further = started.tries.total().saturating_sub(number);
        self.queue.start(started.priority);
        self.deadlines.set(Owner::Task(index), deadline);
        let attempt = self.attempt(task, starts)?;
        self.totals.started = self.totals.started.wrapping_add(1);
        self.ledger.jobs.leave();
        self.ledger.running.note(self.tally.placed());
        self.publish(|| Event::Started { task, attempt, meta });
        let deadline = if deadline == NEVER { None } else { Some(deadline) };
        Some(Start { task, attempt, number, job, meta, deadline, further })
    }

    /// Settles tasks that have waited too long, until it is the turn of another one.
    #[cold]
    fn next_in_time(&mut self, now: Instant) -> Option<u32> {
        for _ in 0..PASSED_OVER {
            let index = self.queue.next();
            if self.tasks.at(index)?.deadline_in(State::Queued) >= now {
                return Some(index);
            }
            self.overdue(index);
        }
        None
    }

    /// The id of the attempt that was the last of so many to be started. The first one has the task's own generation, so
    /// that tasks that are tried once wear their slot out no faster, the others those that follow.
    #[inline]
    pub(super) fn attempt(&self, task: TaskId, starts: u32) -> Option<AttemptId> {
        self.tasks.further(task, starts.checked_sub(1)?)
    }

    /// Whether to call [`poll_effect`](Self::poll_effect). In the course of the end it may have nothing to hand
    /// out although it was asked for; it has made progress then.
    #[must_use]
    #[inline]
    pub fn has_effect(&self) -> bool {
        // No list has anything when no head differs from `NIL`, which is all ones: one comparison for four lists.
        let heads = self.outbox.head()
            & self.sleeps.first_wake()
            & self.admission.line.first()
            & self.subscribers.first_wake();
        (heads != NIL && self.lists_have_effect()) || self.sweep_due || self.has_end_effect()
    }

    /// How many effects there are, as far as that is known: those of tasks are counted, all others together as one. 0 only
    /// when [`has_effect`](Self::has_effect) is false. For a host with several threads that perform effects. O(1).
    #[must_use]
    #[inline]
    pub fn pending_effects(&self) -> u32 {
        if self.has_effect() { self.outbox.len().max(1) } else { 0 }
    }

    /// Whether there is an effect in a list.
    #[cold]
    fn lists_have_effect(&self) -> bool {
        !self.outbox.is_empty()
            || self.sleeps.has_wake()
            || self.can_call_first()
            || self.subscribers.has_wake()
    }

    /// Takes the next thing the host has to do, starts apart. Call it until `None` after every call that
    /// may change effects. What is pending is a state of the slots, so nothing is lost and nothing grows
    /// if you do not; but settled tasks keep their slots until then.
    ///
    /// Effects of tasks come first, in the order in which the tasks were settled, or timed out to be tried again; for one
    /// task `Stop` comes before its settlement, and `Observe` before any wake for its outcome. Then come wakes of sleeps, grants of room (or, while draining, the end of the line and of the
    /// sources), wakes of subscribers, the request to sweep, and the end.
    ///
    /// May change: what the effect was about: slots are freed, and with them room.
    #[inline]
    pub fn poll_effect(&mut self) -> Option<Effect<P>> {
        if let Some(settlement) = self.poll_settlement() {
            return Some(Effect::Settle(settlement));
        }
        if self.has_effect() { self.poll_any() } else { None }
    }

    /// [`poll_effect`](Self::poll_effect), whatever the effect is.
    #[inline(never)]
    fn poll_any(&mut self) -> Option<Effect<P>> {
        while !self.outbox.is_empty() {
            if let Some(effect) = self.poll_task(self.outbox.head()) {
                return Some(effect);
            }
        }
        match self.wake_sleeper() {
            Some(waiter) => Some(Effect::Wake(waiter)),
            None => self.poll_others(),
        }
    }

    /// The callback that the next effect hands out, if that is the settlement of a task with one whose attempt is over. A host
    /// that has a quick way for some of its callbacks looks here before it calls [`poll_settlement`](Self::poll_settlement).
    #[must_use]
    #[inline]
    pub fn next_callback(&self) -> Option<&P::Callback> {
        match self.tasks.at(self.outbox.head())? {
            task if !task.owes_only_settlement() => None,
            Task { claimant: Claimant::Callback(callback), .. } => Some(callback),
            _ => None,
        }
    }

    /// As [`poll_effect`](Self::poll_effect) where the next effect is the settlement of a task whose attempt is over, which then
    /// need not be moved as one of many kinds of effects; `None` where it is another one.
    ///
    /// May change: as [`poll_effect`](Self::poll_effect).
    #[inline(always)]
    pub fn poll_settlement(&mut self) -> Option<Settlement<P>> {
        let index = self.outbox.head();
        let (_, task) = self.tasks.entry(index)?;
        if !task.owes_only_settlement() {
            return None;
        }
        task.pending = Pending::NONE;
        let settlement = self.release_whole(index)?;
        self.outbox.pop_front();
        Some(settlement)
    }

    /// The effects that are not those of tasks.
    fn poll_others(&mut self) -> Option<Effect<P>> {
        if self.is_open() {
            if self.can_call_first() {
                if let Some(waiter) = self.admission.call_first() {
                    return Some(Effect::Wake(waiter));
                }
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

    /// Whether the first of those in line is to be called.
    #[inline]
    fn can_call_first(&self) -> bool {
        self.is_open() && self.admission.can_call_first(&self.tally, &self.gate, self.tasks.free())
    }
    /// Takes the first effect that the task in slot `index`, the first in the outbox, owes.
    fn poll_task(&mut self, index: u32) -> Option<Effect<P>> {
        let (id, task) = self.tasks.entry(index)?;
        if task.pending.has(Pending::STOP) {
            let (starts, why) = (task.starts, task.kind.unwrap_or(OutcomeKind::TimedOut));
            let attempt = self.attempt(id, starts);
            self.withdraw(index, Pending::STOP);
            return Some(Effect::Stop(Stop { task: id, attempt: attempt?, why }));
        }
        if task.pending.has(Pending::WAKE) {
            let waiter = match &mut task.claimant {
                Claimant::Handle(waiter) => waiter.take(),
                _ => None,
            };
            self.withdraw(index, Pending::WAKE);
            return waiter.map(Effect::Wake);
        }
        if task.pending.has(Pending::HELD) {
            return self.poll_held(index);
        }
        let settles = task.pending.has(Pending::SETTLE);
        let settlement = self.release_outcome(index)?;
        if settles {
            return Some(Effect::Settle(settlement));
        }
        if self.ending.is_ending() {
            self.remains.discarded = self.remains.discarded.saturating_add(1);
        }
        Some(Effect::Discard(settlement))
    }
}
