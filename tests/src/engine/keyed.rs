//! What is known of tasks with keys, and of attempts that are monitored.

use plimsoll::{AttemptId, Instant, OutcomeKind, TaskId};

use super::answer::{Answer, ensure};
use super::book::Book;
use super::choice::ms;
use super::task::{Attempt, Closing, Entry, Keyed, Task};

impl Task {
    fn runs(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.end.is_none())
    }

    /// When its key is forgotten, if it has completed.
    fn remembered_until(&self) -> Option<Instant> {
        let has_returned = |attempt: &&Attempt| attempt.has_ended(Closing::Returned);
        let (_, at) = self.attempts.iter().find(has_returned)?.end?;
        Some(at.saturating_add(self.order.window()))
    }
}

impl Book {
    fn with_key(&self, key: u64) -> impl Iterator<Item = (u32, &Task)> {
        let numbered = (0..).zip(&self.tasks);
        numbered.filter(move |(_, task)| task.order.key() == Some(key) && task.entry == Entry::Admitted)
    }

    /// No other attempt of the key of a task runs.
    pub(super) fn ensure_alone(&self, number: u32) -> Answer {
        let Some(key) = self.tasks[number as usize].order.key() else { return Ok(()) };
        let other = self.with_key(key).find(|(other, task)| *other != number && task.runs());
        ensure(other.is_none(), || format!("task {other:?} with the same key runs"))
    }

    /// A task was taken in when `older` had its key, and waited or ran.
    pub(super) fn enter_key(&mut self, number: u32, older: Option<TaskId>, waits: bool) {
        self.entered += 1;
        let entered = self.entered;
        let is_there = older.is_some();
        let older = self.tasks.iter().position(|task| is_there && task.id == older);
        let key = self.task(number).order.key();
        let others = key.into_iter().flat_map(|key| self.with_key(key));
        let runs = others.into_iter().any(|(other, task)| other != number && task.runs());
        let now = self.task(number).submitted;
        let mut row_began = now;
        // What an older one waits for, this one waits for. Of one that is not known that is possible.
        let is_behind_older = older.map_or(waits, |older| waits && self.tasks[older].keyed.is_behind);
        if let Some(older) = older.map(|older| &mut self.tasks[older]).filter(|_| waits) {
            older.keyed.superseded = Some(now);
            row_began = older.keyed.row_began.unwrap_or(now);
        }
        let is_behind = runs || is_behind_older || (is_there && !waits);
        let row_began = Some(row_began);
        self.task(number).keyed = Keyed { entered, row_began, is_behind, ..Keyed::default() };
    }

    /// An attempt at a task ends: what is behind it goes on.
    pub(super) fn release_behind(&mut self, number: u32, now: Instant) {
        let Some(key) = self.task(number).order.key() else { return };
        for task in &mut self.tasks {
            if task.keyed.is_behind && task.order.key() == Some(key) {
                task.keyed.is_behind = false;
                task.keyed.released = Some(now);
            }
        }
    }

    /// Whether there is another task that may have taken the place of this one. That it was taken in may not be known yet.
    pub(super) fn may_be_superseded(&self, number: u32) -> bool {
        let Some(key) = self.tasks[number as usize].order.key() else { return false };
        let others = (0..).zip(&self.tasks).filter(|(other, _)| *other != number);
        let replaces = |task: &Task| task.order.replaces() && task.entry != Entry::Refused;
        others.into_iter().any(|(_, task)| task.order.key() == Some(key) && replaces(task))
    }

    /// Whether a key may be remembered without a task.
    pub(super) fn may_be_remembered(&self, key: u64, now: Instant) -> bool {
        self.with_key(key).any(|(_, task)| task.remembered_until().is_some_and(|until| until >= now))
    }

    /// Whether a key is remembered without a task for certain, if as many are as there are: the last task with this key,
    /// apart from this one, has completed.
    pub(super) fn is_remembered(&self, key: u64, but: u32, now: Instant) -> bool {
        let others = self.with_key(key).filter(|(other, _)| *other != but);
        let last = others.max_by_key(|(_, task)| task.keyed.entered).map(|(_, task)| task);
        let is_completed = |task: &&Task| matches!(task.settled, Some((OutcomeKind::Completed, _)));
        let last = last.filter(is_completed).filter(|task| task.keyed.entered > 0 && !task.runs());
        last.and_then(Task::remembered_until).is_some_and(|until| until > now)
    }

    /// Whether a task with this key is not settled, or its attempt is not over. It is known if all events are.
    pub(super) fn has_key(&self, key: u64) -> bool {
        self.with_key(key).any(|(_, task)| task.settled.is_none() || task.runs())
    }

    /// An attempt has told that it is alive.
    pub(super) fn beat(&mut self, number: u32, attempt: AttemptId, now: Instant) {
        if let Some(told) = self.task(number).attempts.iter_mut().find(|one| one.id == attempt) {
            told.beat_at = now;
        }
    }

    /// An attempt is reported as slow.
    pub(super) fn note_slow(&mut self, number: u32, attempt: AttemptId, now: Instant) -> Answer {
        let limit = self.task(number).order.slow_after();
        let found = self.task(number).attempts.iter_mut().find(|one| one.id == attempt);
        let Some(slow) = found else { return Err("slow, but it was not called".into()) };
        let was_slow = std::mem::replace(&mut slow.is_slow, true);
        ensure(!was_slow, || "slow twice".into())?;
        let is_late = limit.is_some_and(|limit| slow.called.saturating_add(limit) <= now);
        ensure(is_late, || format!("slow at {now:?}, after {limit:?} from {:?} on", slow.called))
    }

    /// How many attempts were reported as slow and run.
    pub(super) fn slow(&self) -> usize {
        let attempts = self.tasks.iter().flat_map(|task| &task.attempts);
        attempts.filter(|attempt| attempt.is_slow && attempt.end.is_none()).count()
    }
}

impl Task {
    /// Whether its attempt runs for longer than its soft limit, and nobody has told.
    pub(super) fn is_slow_untold(&self, now: Instant) -> bool {
        let running = self.attempts.last().filter(|last| last.end.is_none() && !last.is_slow);
        let late = running.zip(self.order.slow_after()).and_then(|(running, limit)| {
            running.called.checked_add(limit).and_then(|at| at.checked_add(ms(2)))
        });
        late.is_some_and(|late| late <= now) && self.settled.is_none() && !self.is_lost()
    }
}
