//! The starts of attempts, and what holds them up.

use super::{Model, Stage, Task, one, size};
use crate::Event;
use crate::testkit::calls::gate::{Answer, Call, Started};
use crate::testkit::flaws::Flaw;

/// How many overdue tasks one call settles at most.
const EXPIRED_A_START: u32 = 64;

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Pause { .. } => model.paused = true,
            Self::Resume { .. } => model.paused = false,
            Self::Drain { mode, .. } => model.drain(mode),
            Self::SetConcurrency { to, .. } => return model.set_concurrency(to),
            Self::StartNext { .. } => return model.start_next(given),
        }
        Answer::Nothing
    }
}

impl Model {
    fn set_concurrency(&mut self, to: u32) -> Answer {
        self.concurrency = to.min(self.limits.concurrency);
        Answer::Concurrency(self.concurrency)
    }

    /// The queued task that starts next.
    fn next_queued(&self) -> Option<u32> {
        let (lane, fair) = if self.has_lanes() {
            self.lane_in_turn().map(|(key, fair)| (Some(key), fair))?
        } else {
            (None, self.is_fair_start())
        };
        let in_turn = |task: &&Task| lane.is_none_or(|key| task.lane_key() == key);
        let queued = self.tasks.iter().filter(in_turn).filter(|task| self.is_startable(task));
        let queued = queued.filter_map(|task| task.place().map(|place| (task, place)));
        if self.has(Flaw::ServesNewest) {
            return queued.max_by_key(|(_, place)| *place).map(|(task, _)| task.meta);
        }
        let turn = |(task, place): &(&Task, u64)| (if fair { 0 } else { task.priority.class() }, *place);
        if self.has(Flaw::LosesOrderInLongQueues) && size(queued.clone()) > 64 {
            return queued.max_by_key(|(_, place)| *place).map(|(task, _)| task.meta);
        }
        queued.min_by_key(turn).map(|(task, _)| task.meta)
    }

    fn start_next(&mut self, given: &Answer) -> Answer {
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
        self.forget_told(meta);
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
        self.note_start(meta);
        self.rearm(meta);
        self.publish(|_| Event::Started { task: id, attempt: given.attempt, meta });
        Some(started)
    }
}
