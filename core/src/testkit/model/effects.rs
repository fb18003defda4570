//! The outputs of the machine: attempts, effects, swept results, events.

use alloc::vec::Vec;

use super::{Model, Parting, STAND_IN, Stage, Task, one, size};
use crate::testkit::Flaw;
use crate::testkit::answer::{Answer, Done, Settled, Started, Swept};
use crate::{Event, Instant, Next, OutcomeKind, Phase, Stop, SubscriberId, TaskId};

/// How many overdue tasks one call settles at most.
const EXPIRED_A_START: u32 = 64;

impl Model {
    /// The queued task that starts next.
    fn next_queued(&self) -> Option<u32> {
        let fair = (self.picks + 1) % u64::from(crate::Priority::FAIR_EVERY) == 0;
        let queued = self.tasks.iter().filter_map(|task| match task.stage {
            Stage::Queued { place, .. } => Some((task, place)),
            _ => None,
        });
        if self.serves_newest() {
            return queued.max_by_key(|(_, place)| *place).map(|(task, _)| task.meta);
        }
        let turn =
            |(task, place): &(&Task, u64)| (if fair { 0 } else { task.order.priority().class() }, *place);
        if self.has(Flaw::LosesOrderInLongQueues) && size(queued.clone()) > 64 {
            return queued.max_by_key(|(_, place)| *place).map(|(task, _)| task.meta);
        }
        queued.min_by_key(turn).map(|(task, _)| task.meta)
    }

    pub(super) fn start_next(&mut self, given: &Answer) -> Answer {
        for _ in 0..EXPIRED_A_START {
            if self.free() == 0 {
                break;
            }
            let Some(meta) = self.next_queued() else { break };
            let too_late = self.task(meta).and_then(Task::waits_until).filter(|(by, _)| self.is_late(*by));
            if let Some((_, kind)) = too_late {
                self.settle(meta, kind, None);
                continue;
            }
            return Answer::Started(self.start(meta, given));
        }
        Answer::Started(None)
    }

    fn start(&mut self, meta: u32, given: &Answer) -> Option<Started> {
        let Answer::Started(Some(given)) = given else {
            self.complain("a task can start, and was not started");
            return None;
        };
        self.picks += 1;
        one(&mut self.totals.started);
        if given.meta != meta {
            self.complain("another task's turn to start");
            return None;
        }
        let id = self.name(meta, Some(given.task))?;
        if !self.attempt_ids.insert(given.attempt) {
            self.complain("an attempt's id was given out twice");
        }
        let now = self.now;
        let task = self.at(meta)?;
        let deadline = task.closes(now);
        task.attempts += 1;
        task.starts += 1;
        task.attempt = Some(given.attempt);
        task.placed = true;
        task.stage = Stage::Running { since: now, deadline };
        let started = Started {
            task: id,
            attempt: given.attempt,
            number: task.attempts,
            job: task.job.take()?,
            meta,
            deadline,
            further: task.order.retry().total().saturating_sub(task.attempts),
        };
        self.rearm(meta);
        self.publish(|_| Event::Started { task: id, attempt: given.attempt, meta });
        Some(started)
    }

    pub(super) fn has_effect(&self) -> bool {
        let in_line = match self.phase {
            Phase::Open => self.can_call_first(),
            Phase::Draining => !self.line.is_empty() || !self.sources.is_empty() || self.has_last_effect(),
            Phase::Drained => false,
        };
        in_line || !self.outbox.is_empty() || self.sleeps.has_wake() || self.ring.has_wake() || self.sweep_due
    }

    pub(super) fn poll(&mut self, given: &Answer) -> Answer {
        Answer::Effect(self.effect(given))
    }

    pub(super) fn effect(&mut self, given: &Answer) -> Option<Done> {
        if let Some(&meta) = self.outbox.front() {
            return self.task_effect(meta, given);
        }
        if self.sleeps.has_wake() {
            return self.sleeps.wake();
        }
        let in_line = match self.phase {
            Phase::Open => self.call_first(),
            _ => self.send_away(),
        };
        if in_line.is_some() {
            return in_line;
        }
        if let Some(waiter) = self.ring.wake() {
            return Some(Done::Wake(waiter));
        }
        if self.sweep_due {
            self.sweep_due = false;
            return Some(Done::Sweep);
        }
        self.last_effect()
    }

    fn task_effect(&mut self, meta: u32, given: &Answer) -> Option<Done> {
        let named = match given {
            Answer::Effect(Some(Done::Stop(stop))) => Some(stop.task),
            Answer::Effect(Some(Done::Observe(settled) | Done::Settle(settled) | Done::Discard(settled))) => {
                Some(settled.task)
            }
            _ => None,
        };
        let id = self.name(meta, named.filter(|_| self.task(meta).is_some_and(|task| task.id.is_none())));
        let task = self.at(meta)?;
        if task.stop {
            task.stop = false;
            let stop =
                Stop { task: id?, attempt: task.attempt?, why: task.kind.unwrap_or(OutcomeKind::TimedOut) };
            self.unpost(meta);
            if self.ending && self.has(Flaw::AbandonsAtOnce) {
                self.abandon(meta);
            }
            return Some(Done::Stop(stop));
        }
        if task.parting.contains(&Parting::Settle) {
            return self.release(meta, named).map(Done::Settle);
        }
        if task.parting.contains(&Parting::Wake) {
            task.parting.retain(|parting| *parting != Parting::Wake);
            let waiter = task.waiter.take()?;
            self.unpost(meta);
            return Some(Done::Wake(waiter));
        }
        if task.held {
            return self.held_effect(meta, given);
        }
        self.remains.discarded += u32::from(self.ending);
        self.release(meta, named).map(Done::Discard)
    }

    /// A value expires when its age reaches the time to live.
    fn too_old(&self, meta: u32, now: Instant) -> bool {
        let age = self.task(meta).map(|task| now.saturating_since(task.retained_at));
        self.limits.results.ttl.zip(age).is_some_and(|(ttl, age)| age >= ttl)
    }

    pub(super) fn sweep(&mut self, budget: u32, given: &Answer) -> Answer {
        let mut items = Vec::new();
        for turn in 0..budget as usize {
            if let Some(&oldest) = self.kept.front().filter(|&&oldest| self.too_old(oldest, self.now)) {
                let given = given_result(given, turn);
                items.extend(self.release(oldest, given).map(Swept::Result));
            } else if let Some((key, token, value)) = self.cache.sweep(&self.limits.cache, self.now) {
                items.push(Swept::Cached(key, token, value));
            } else {
                break;
            }
        }
        let due = self.sweep_finds(self.now);
        Answer::Swept { items, due }
    }

    pub(super) fn sweep_finds(&self, now: Instant) -> bool {
        self.kept.front().is_some_and(|&oldest| self.too_old(oldest, now))
            || self.cache.sweep_due(&self.limits.cache, now)
    }

    pub(super) fn next_event(&mut self, id: SubscriberId, given: &Answer) -> Answer {
        let next = self.ring.next(id).map(|next| match (next, given) {
            (Next::Event(event), Answer::Event(Some(Next::Event(given)))) => {
                Next::Event(self.identified(event, *given))
            }
            (next, _) => next,
        });
        Answer::Event(next)
    }

    /// An event may name a task whose id no answer has named before: then this answer names it.
    fn identified(&mut self, mut event: Event<u32>, mut given: Event<u32>) -> Event<u32> {
        if let (Some(task), Some(given)) = (task_in(&mut event), task_in(&mut given)) {
            if *task == STAND_IN {
                *task = *given;
            }
        }
        event
    }
}

fn given_result(given: &Answer, turn: usize) -> Option<TaskId> {
    let Answer::Swept { items, .. } = given else { return None };
    match items.get(turn) {
        Some(Swept::Result(Settled { task, .. })) => Some(*task),
        _ => None,
    }
}

fn task_in(event: &mut Event<u32>) -> Option<&mut TaskId> {
    match event {
        Event::Admitted { task, .. }
        | Event::Started { task, .. }
        | Event::Retrying { task, .. }
        | Event::Snoozed { task, .. }
        | Event::Settled { task, .. }
        | Event::OrphanStopped { task } => Some(task),
        _ => None,
    }
}
