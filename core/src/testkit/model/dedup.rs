//! Keys that no two tasks have at the same time.

use alloc::vec::Vec;

use super::comparison::Comparison;
use super::{Model, Owner, Stage, Task, after};
use crate::testkit::choices::KEYS;
use crate::testkit::flaws::Flaw;
use crate::testkit::token::Kit;
use crate::{CancelReason, Instant, OutcomeKind, Processor, Refusal, Unique};

/// The memory of keys whose tasks have completed: each with the end of its window, the oldest first.
pub(super) type Remembered = Vec<(u64, Instant)>;

impl Model {
    /// The unsettled task with this key that no attempt runs for.
    fn waiting_with(&self, key: u64) -> Option<u32> {
        let has = |task: &&Task| task.key() == Some(key) && task.is_waiting();
        self.tasks.iter().find(has).map(|task| task.meta)
    }

    fn running_with(&self, key: u64) -> Option<u32> {
        let has = |task: &&Task| task.key() == Some(key) && task.placed;
        self.tasks.iter().find(has).map(|task| task.meta)
    }

    /// How many keys have a task.
    pub(super) fn has_task_with_key(&self, key: u64) -> bool {
        self.waiting_with(key).or_else(|| self.running_with(key)).is_some()
    }

    pub(super) fn live_keys(&self) -> u32 {
        let mut keys: Vec<u64> =
            self.tasks.iter().filter(|task| task.is_in_lane()).filter_map(Task::key).collect();
        keys.sort_unstable();
        keys.dedup();
        super::size(keys.iter())
    }

    pub(super) fn key_refusal(&self, unique: Option<Unique>) -> Option<Refusal> {
        let unique = unique?;
        if self.limits.dedup.is_none() {
            return Some(Refusal::NotDeduplicated);
        }
        let is_there = self.waiting_with(unique.key()).is_some() || self.running_with(unique.key()).is_some();
        let is_remembered =
            self.remembered.iter().any(|(key, until)| *key == unique.key() && *until > self.now);
        let is_remembered = is_remembered && !self.has(Flaw::ForgetsKeys);
        (!unique.replaces && (is_there || is_remembered)).then_some(Refusal::Duplicate)
    }

    /// The task whose place one with this key takes.
    pub(super) fn replaced_by(&self, unique: Option<Unique>) -> Option<u32> {
        self.waiting_with(unique?.key).filter(|_| unique.is_some_and(|unique| unique.replaces))
    }

    /// The task is admitted, and takes the place of an older one that waits, or waits behind one that runs.
    pub(super) fn enter_key(&mut self, meta: u32, older: Option<u32>) {
        let Some(unique) = self.task(meta).and_then(|task| task.order.unique()) else { return };
        let first_at = older.and_then(|older| self.task(older)).map_or(self.now, |older| older.row_began);
        if let Some(older) = older {
            self.settle_cancelled(older, Some(CancelReason::SUPERSEDED));
        }
        self.remembered.retain(|(key, _)| *key != unique.key);
        let is_behind = self.running_with(unique.key).is_some() && !self.has(Flaw::RunsTwice);
        let longest = if self.has(Flaw::PutsOffForEver) { None } else { unique_longest(&unique) };
        let at_latest = longest.and_then(|longest| after(first_at, longest));
        let now = self.now;
        let Some(task) = self.at(meta) else { return };
        task.row_began = first_at;
        let is_delayed = !task.order.delay().is_zero();
        let ready = if is_delayed { after(task.admitted_at, task.order.delay()) } else { Some(now) };
        let ready = super::task::earlier(ready, at_latest);
        task.ready_at = ready;
        task.is_behind = is_behind;
        if is_behind {
            task.stage = Stage::Delayed { until: None };
        } else if is_delayed {
            task.stage = Stage::Delayed { until: ready };
        }
    }

    /// The task is settled and its attempt is over. The one behind it goes on.
    pub(super) fn leave_key(&mut self, meta: u32) {
        let Some(task) = self.task(meta).filter(|task| !task.is_in_lane() && !task.has_left_key) else {
            return;
        };
        let (Some(unique), kind, at) = (task.order.unique(), task.kind, task.settled_at) else { return };
        if let Some(task) = self.at(meta) {
            task.has_left_key = true;
        }
        let behind = self.waiting_with(unique.key);
        let is_live = behind.is_some() || self.running_with(unique.key).is_some();
        if !is_live && kind == Some(OutcomeKind::Completed) && unique.window > 0 && !unique.replaces {
            self.remember(unique, at);
        }
        let Some(next) = behind.filter(|next| self.task(*next).is_some_and(|task| task.is_behind)) else {
            return;
        };
        if self.running_with(unique.key).is_some() {
            return;
        }
        self.disarm(Owner::Task(next));
        let now = self.now;
        let Some(task) = self.at(next) else { return };
        task.is_behind = false;
        // At the last instant, everything beyond it has come, too.
        if task.ready_at.unwrap_or(Instant::MAX) <= now {
            self.queue(next);
        } else {
            task.stage = Stage::Delayed { until: task.ready_at };
            self.rearm(next);
        }
    }

    fn remember(&mut self, unique: Unique, completed_at: Instant) {
        let most = self.limits.dedup.unwrap_or(0) as usize;
        let window = core::time::Duration::from_nanos(unique.window);
        if most > 0 {
            if self.remembered.len() >= most {
                self.remembered.remove(0);
            }
            self.remembered.push((unique.key, completed_at.saturating_add(window)));
        }
    }

    /// Whether a later task with its key waits behind this one.
    pub(super) fn has_later(&self, meta: u32) -> bool {
        let key = self.task(meta).and_then(Task::key);
        key.and_then(|key| self.waiting_with(key)).is_some_and(|other| other != meta)
    }

    pub(super) fn compare_keys(&self, machine: &Processor<Kit>, found: &mut Comparison) {
        for key in 0..KEYS {
            let meta = self.waiting_with(key).or_else(|| self.running_with(key));
            let id = meta.and_then(|meta| self.task(meta)).map(|task| task.id);
            // No answer has named the tasks of a batch yet.
            if id != Some(None) {
                found.of("task with a key", &id.flatten(), &machine.task_with_key(key));
            }
        }
    }
}

/// A bound past the end of time is none.
fn unique_longest(unique: &Unique) -> Option<core::time::Duration> {
    (unique.longest < u64::MAX).then(|| core::time::Duration::from_nanos(unique.longest))
}
