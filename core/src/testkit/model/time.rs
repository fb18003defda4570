//! The changes that time makes.

use alloc::vec::Vec;

use super::wheel::{Timer, Unit};
use super::{Model, Owner, Stage, Task};
use crate::testkit::calls::effects::Settled;
use crate::testkit::calls::time::{Answer, Call, Swept};
use crate::testkit::flaws::Flaw;
use crate::{Instant, OutcomeKind, Reason, TaskId, Wake};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Advance { budget, .. } => model.advance(budget),
            Self::Sweep { budget, .. } => model.sweep(budget, given),
        }
    }
}

impl Model {
    fn timer_is_due(&self) -> bool {
        self.timers.next().is_some_and(|(at, _)| at <= self.now)
    }

    pub(super) fn is_due(&self) -> bool {
        self.timer_is_due() || self.end_goes_on()
    }

    /// One unit of the budget is a timer that fires or moves, or a step of the end.
    fn advance(&mut self, budget: u32) -> Answer {
        let mut used = 0;
        while used < budget {
            match self.timers.step(self.now) {
                Unit::Fires(timer) => {
                    self.fire(timer);
                    self.note_highest();
                }
                Unit::Moves => {}
                Unit::None => break,
            }
            used += 1;
        }
        used += self.walk(budget - used);
        Answer::Advanced { used, more: self.is_due() }
    }

    fn fire(&mut self, timer: Timer) {
        match timer.owner {
            Owner::Task(meta) => self.fire_task(meta),
            Owner::Health => {
                let (next, missed) = self.next_interval(timer.at, self.limits.health_every);
                self.arm(next, Owner::Health);
                self.check_health(missed);
            }
            Owner::Sweep => {
                let (next, _) = self.next_interval(timer.at, self.limits.sweep_every);
                self.arm(next, Owner::Sweep);
                self.sweep_due = true;
            }
            Owner::Drain => self.end_now(!self.is_quiet()),
            Owner::Gate => self.shut_or_open_gate(),
            Owner::Sleep(id) => self.sleeps.fall_due(id),
            Owner::Lane(key) => self.fire_lane(key),
            Owner::Schedule(id) => self.calendar.fall_due(id),
            Owner::Source(id) => self.fire_source(id),
        }
    }

    fn fire_task(&mut self, meta: u32) {
        let now = self.now;
        let Some((stage, is_behind)) = self.task(meta).map(|task| (task.stage, task.is_behind)) else {
            return;
        };
        match stage {
            Stage::Delayed { until } | Stage::Backoff { until } => {
                // At the last instant, everything beyond it has come, too, but for what another task keeps waiting.
                if until.unwrap_or(Instant::MAX) <= now && !is_behind {
                    self.queue(meta);
                } else {
                    self.settle(meta, OutcomeKind::TimedOut, None);
                }
            }
            Stage::Queued { .. } => {
                let waits_until = self.task(meta).and_then(Task::waits_until);
                let kind = waits_until.map_or(OutcomeKind::Expired, |(_, kind)| kind);
                self.settle(meta, kind, None);
            }
            Stage::Running { .. } if !self.is_overdue(meta) => {}
            Stage::Running { since, .. } => match self.has_time_for_another(meta) {
                true => self.halt(meta, since),
                false => self.settle(meta, OutcomeKind::TimedOut, None),
            },
            Stage::Halting { .. } => self.settle(meta, OutcomeKind::TimedOut, None),
            Stage::Over => self.complain("a settled task has a timer"),
        }
    }

    /// The first of `due + every`, `due + 2 * every`, … that lies ahead, and how many of them lie behind.
    fn next_interval(&self, due: Instant, every: Option<core::time::Duration>) -> (Option<Instant>, u64) {
        let Some(every) = every.and_then(|every| u64::try_from(every.as_nanos()).ok()) else {
            return (None, 0);
        };
        let behind = self.now.as_nanos().saturating_sub(due.as_nanos()).checked_div(every).unwrap_or(0);
        let ahead = (behind + 1).checked_mul(every).map(core::time::Duration::from_nanos);
        (ahead.and_then(|ahead| due.checked_add(ahead)), behind)
    }

    /// When the host has to come back, and why.
    pub(super) fn next_wake(&self) -> Wake {
        if self.has_effect() {
            return Wake::Now(Reason::Effect);
        }
        if self.startable() > 0 {
            return Wake::Now(Reason::Start);
        }
        if self.end_goes_on() {
            return Wake::Now(Reason::End);
        }
        self.timers.next().map_or(Wake::Never, |(at, reason)| Wake::At(at, reason))
    }

    /// When the next timer fires for which tasks wait.
    pub(in crate::testkit) fn next_of_tasks(&self) -> Option<Instant> {
        self.timers
            .first_of(|owner| matches!(owner, Owner::Task(_) | Owner::Drain | Owner::Gate | Owner::Lane(_)))
    }

    pub(in crate::testkit) fn unsettled(&self) -> u32 {
        self.count(|task| task.stage != Stage::Over)
    }

    /// Unsettled tasks whose delay and whose deadline lie beyond the end of time.
    pub(in crate::testkit) fn delayed_for_ever(&self) -> u32 {
        self.count(|task| task.stage == Stage::Delayed { until: None } && task.close_by.is_none())
    }

    pub(super) fn startable(&self) -> u32 {
        let waiting = if self.has_lanes() {
            self.startable_in_lanes()
        } else {
            self.count(|task| self.is_startable(task))
        };
        waiting.min(self.free())
    }

    pub(super) fn is_late(&self, deadline: Instant) -> bool {
        if self.has(Flaw::ExpiresEarly) { self.now >= deadline } else { self.now > deadline }
    }

    /// A value expires when its age reaches the time to live.
    fn too_old(&self, meta: u32, now: Instant) -> bool {
        let age = self.task(meta).map(|task| now.saturating_since(task.retained_at));
        self.limits.results.ttl.zip(age).is_some_and(|(ttl, age)| age >= ttl)
    }

    fn sweep(&mut self, budget: u32, given: &Answer) -> Answer {
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
}

fn given_result(given: &Answer, turn: usize) -> Option<TaskId> {
    let Answer::Swept { items, .. } = given else { return None };
    match items.get(turn) {
        Some(Swept::Result(Settled { task, .. })) => Some(*task),
        _ => None,
    }
}
