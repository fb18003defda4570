//! Heartbeats, progress, and the watchdog over slow attempts.

use super::task::Told;
use super::wheel::has_come;
use super::{Model, Stage, Task, one};
use crate::testkit::calls::monitor::{Answer, Call};
use crate::testkit::flaws::Flaw;
use crate::{AttemptId, Event, Progress, TaskView};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        match *self {
            Self::Heartbeat { attempt, .. } => Answer::Runs(model.beat(attempt, None)),
            Self::Progress { attempt, progress, .. } => {
                Answer::Kept(model.beat(attempt, Some(progress)) && model.limits.monitor)
            }
        }
    }
}

impl Model {
    fn beat(&mut self, attempt: AttemptId, progress: Option<Progress>) -> bool {
        let (now, is_monitored) = (self.now, self.limits.monitor);
        let (forgets, keeps_first) = (self.has(Flaw::ForgetsHeartbeats), self.has(Flaw::KeepsFirstProgress));
        let Some(task) = self.tasks.iter_mut().find(|task| task.attempt == Some(attempt)) else {
            return false;
        };
        let runs = matches!(task.stage, Stage::Running { .. });
        if runs && is_monitored {
            task.told.beat_at = Some(now).filter(|_| !forgets);
            task.told.progress =
                if keeps_first { task.told.progress.or(progress) } else { progress.or(task.told.progress) };
        }
        runs
    }

    /// An attempt at this task starts, and has told nothing yet.
    pub(super) fn forget_told(&mut self, meta: u32) {
        let keeps = self.has(Flaw::KeepsProgress);
        if let Some(task) = self.at(meta) {
            let progress = task.told.progress.filter(|_| keeps);
            task.told = Told { progress, ..Told::default() };
        }
    }

    /// The timer of a running task has fired. Whether a deadline has passed; if none has, the timer is set again.
    pub(super) fn is_overdue(&mut self, meta: u32) -> bool {
        let (now, never_slow) = (self.now, self.has(Flaw::NeverSlow));
        let Some(task) = self.at(meta) else { return true };
        let deadline = task.deadline_of_attempt();
        let is_slow = task.slow_at().filter(|slow| deadline.is_none_or(|deadline| *slow < deadline));
        if is_slow.is_some_and(|slow| has_come(slow, now)) {
            task.told.slow = true;
            let attempt = task.attempt;
            self.rearm(meta);
            if let Some(attempt) = attempt.filter(|_| !never_slow) {
                one(&mut self.totals.slow);
                self.publish(|model| Event::Slow { task: model.id_of(meta), attempt, meta });
            }
            return false;
        }
        if deadline.is_some_and(|deadline| has_come(deadline, now)) {
            return true;
        }
        self.rearm(meta);
        false
    }

    /// How many attempts run that were reported as slow.
    pub(super) fn slow(&self) -> u32 {
        let forgets_orphans = self.has(Flaw::ForgetsSlowOrphans);
        self.count(|task| task.placed && task.told.slow && !(forgets_orphans && task.is_orphan()))
    }

    /// How many attempts run that were reported as slow or asked to stop.
    pub(super) fn hung(&self) -> u32 {
        let goes_on = |task: &Task| matches!(task.stage, Stage::Running { .. });
        self.count(|task| task.placed && (task.told.slow || !goes_on(task)))
    }
}

impl Task {
    /// This view of it, with what its attempt has told.
    pub(super) fn with_told(&self, view: TaskView<u32>) -> TaskView<u32> {
        TaskView { progress: self.told.progress, ..view }
    }
}
