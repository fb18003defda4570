//! How an outcome is fixed, and how it leaves the machine.

use super::{Model, Owner, Parting, STAND_IN, Stage, Task};
use crate::testkit::calls::effects::Settled;
use crate::testkit::flaws::Flaw;
use crate::testkit::order::Way;
use crate::{CancelReason, EmitterId, ErrorKind, Event, LastError, Message, OutcomeKind, TaskId};

impl Model {
    /// Fixes the outcome of a task. If its attempt still runs, it becomes an orphan.
    pub(super) fn settle(&mut self, meta: u32, kind: OutcomeKind, value: Option<u32>) {
        self.disarm(Owner::Task(meta));
        self.end_sleeps(meta);
        let (now, ending, discards, observes) = (self.now, self.ending, self.discards, self.observes);
        let forgets = self.has(Flaw::ForgetsCallbacks) && kind == OutcomeKind::Expired;
        let Some(task) = self.at(meta) else { return };
        let began = match task.stage {
            Stage::Running { since, .. } | Stage::Halting { since, .. } => since,
            _ => now,
        };
        // An attempt is asked to stop only once.
        let was_asked = task.is_halting() && !task.stop;
        let has_stopped = task.is_halting() && !task.placed;
        task.waited = began.saturating_since(task.admitted_at);
        task.ran = now.saturating_since(began);
        task.stage = Stage::Over;
        task.kind = Some(kind);
        task.value = value;
        task.settled_at = now;
        task.stop = task.placed && !was_asked;
        if forgets {
            task.callback = None;
        }
        let orphaned = task.is_orphan();
        let discarded = discards && task.way == Way::Handle || ending && task.way == Way::Retain;
        task.held = observes && matches!(task.way, Way::Handle | Way::Retain);
        match task.way {
            Way::Nowhere | Way::Callback => task.parting.push(Parting::Settle),
            Way::Handle if task.waiter.is_some() && (discarded || !task.held) => {
                task.parting.push(Parting::Wake);
            }
            Way::Handle | Way::Retain => {}
        }
        if task.held {
            task.parting.push(Parting::Observe);
        }
        if discarded {
            task.parting.push(Parting::Discard);
        }
        let is_retained = task.way == Way::Retain && !task.held && !ending;
        self.totals.orphaned += u64::from(orphaned);
        self.totals.settled.add(kind);
        self.since_health.add(kind);
        self.owe_verdict(meta, kind);
        match kind {
            OutcomeKind::TimedOut if has_stopped => {}
            OutcomeKind::TimedOut => self.task_error(ErrorKind::TimedOut, meta, Message::default()),
            OutcomeKind::Expired => self.task_error(ErrorKind::Expired, meta, Message::default()),
            OutcomeKind::Completed => self.streak = 0,
            _ => {}
        }
        self.leave_lane(meta);
        self.leave_key(meta);
        self.outbox.retain(|&other| other != meta);
        self.post(meta);
        if is_retained {
            self.retain(meta);
        }
        self.publish(|model| Event::Settled { task: model.id_of(meta), meta, kind });
    }

    /// Settles a task as cancelled.
    pub(super) fn settle_cancelled(&mut self, meta: u32, reason: Option<CancelReason>) {
        let forgets = self.has(Flaw::ForgetsReasons);
        self.settle(meta, OutcomeKind::Cancelled, None);
        if let Some(task) = self.at(meta).filter(|_| !forgets) {
            task.reason = reason;
        }
    }

    /// The id of a task, or the stand-in if no answer has named it yet.
    pub(super) fn id_of(&self, meta: u32) -> TaskId {
        self.task(meta).and_then(|task| task.id).unwrap_or(STAND_IN)
    }

    /// Puts a task that owes effects at the end of the outbox, unless it is there.
    pub(super) fn post(&mut self, meta: u32) {
        if self.task(meta).is_some_and(Task::owes) && !self.outbox.contains(&meta) {
            self.outbox.push_back(meta);
        }
    }

    /// Takes a task that owes nothing any more out of the outbox.
    pub(super) fn unpost(&mut self, meta: u32) {
        if !self.task(meta).is_some_and(Task::owes) {
            self.outbox.retain(|&other| other != meta);
        }
    }

    pub(super) fn retain(&mut self, meta: u32) {
        if self.kept.len() >= self.limits.results.entries as usize {
            if let Some(oldest) = self.kept.pop_front() {
                self.part(oldest, Parting::Discard);
            }
        }
        self.kept.push_back(meta);
        let now = self.now;
        if let Some(task) = self.at(meta) {
            task.retained_at = now;
        }
    }

    pub(super) fn part(&mut self, meta: u32, parting: Parting) {
        if let Some(task) = self.at(meta) {
            task.parting.push(parting);
        }
        self.post(meta);
    }

    /// Takes out the outcome of a settled task, with the values that leave with it.
    pub(super) fn release(&mut self, meta: u32, given: Option<TaskId>) -> Option<Settled> {
        self.name(meta, given)?;
        let task = self.at(meta)?;
        let (callback, waiter) = (task.callback.take(), task.waiter.take());
        let settled = Settled { callback, waiter, ..task.take_outcome()? };
        self.let_go(meta);
        Some(settled)
    }

    /// Notes that the outcome of a settled task has left.
    pub(super) fn let_go(&mut self, meta: u32) {
        let Some(task) = self.at(meta) else { return };
        task.released = true;
        task.held = false;
        task.out = false;
        task.parting.clear();
        self.kept.retain(|&other| other != meta);
        self.unpost(meta);
        self.forget_if_over(meta);
    }

    /// Frees the slot of a task whose outcome has left, if no attempt still runs.
    pub(super) fn forget_if_over(&mut self, meta: u32) {
        let is_over = |task: &&Task| task.stage == Stage::Over && task.released && !task.placed;
        let Some(task) = self.task(meta).filter(is_over) else { return };
        let (slot, used, delivery) = (task.slot, task.starts.max(1), task.delivery);
        self.tasks.retain(|task| task.meta != meta);
        *self.worn.entry(slot).or_default() += used;
        if self.generations_left(slot) > 0 {
            self.free_slots.push(slot);
        } else {
            self.retired += 1;
        }
        self.leave_delivery(delivery);
    }

    /// How many generations of a slot are left.
    pub(super) fn generations_left(&self, slot: u32) -> u64 {
        let used = self.worn.get(&slot).copied().unwrap_or(0);
        if self.has(Flaw::WearsNothingOut) { u64::MAX } else { self.generations.saturating_sub(used) }
    }

    pub(super) fn task_error(&mut self, kind: ErrorKind, meta: u32, message: Message) {
        let Some(attempt) = self.task(meta).map(|task| task.attempts) else { return };
        self.explain(meta, message);
        self.error(kind, Some(meta), None, attempt, message);
    }

    pub(super) fn error(
        &mut self,
        kind: ErrorKind,
        meta: Option<u32>,
        emitter: Option<EmitterId>,
        attempt: u32,
        message: Message,
    ) {
        self.streak = self.streak.saturating_add(1);
        self.last_error = Some(LastError {
            kind,
            task: meta.map(|meta| self.id_of(meta)),
            emitter,
            source: None,
            attempt,
            meta,
            message,
            pending: self.count(Task::is_waiting),
            running: self.count(Task::is_running),
            at: self.now,
            streak: self.streak,
        });
    }
}
