//! The one way by which a task's outcome is fixed, and the one by which it is released.

use super::Processor;
use crate::last_error::{ErrorKind, LastError};
use crate::lifecycle::{Input, Next, State};
use crate::task::{Claimant, Payload, Pending, Task};
use crate::{Event, Message, Outcome, OutcomeKind, Plan, Settlement, TaskId};

impl<P: Plan> Processor<P> {
    /// Fixes the outcome of the unsettled task in slot `index`. An attempt that is running becomes an
    /// orphan if `input` leaves it running.
    pub(super) fn settle(&mut self, index: u32, input: Input) {
        self.settle_and(index, input, false);
    }

    /// Like [`settle`](Self::settle), for a task whose attempt has stopped: it is no orphan, and nobody has
    /// to stop it.
    pub(super) fn settle_stopped(&mut self, index: u32, input: Input) {
        self.settle_and(index, input, true);
    }

    fn settle_and(&mut self, index: u32, input: Input, stopped: bool) {
        let (Some(kind), Some(task)) = (kind_of(input), self.tasks.at(index)) else { return };
        let (from, meta) = (task.state, task.meta);
        self.disarm(index);
        let Some(mut next) = self.step(index, input) else {
            debug_assert!(false, "{from:?} does not take {input:?}");
            return;
        };
        if stopped {
            next = self.step(index, Input::Stopped).unwrap_or(next);
        }
        if from == State::Queued {
            self.dequeue(index);
        }
        self.totals.settled.add(kind);
        self.settled_since_health.add(kind);
        if next == Next::To(State::Stopping) {
            self.totals.orphaned = self.totals.orphaned.wrapping_add(1);
        }
        if let Some(task) = self.tasks.at_mut(index) {
            task.kind = Some(kind);
            task.since = self.now;
        }
        match kind {
            OutcomeKind::TimedOut => self.note_task_error(ErrorKind::TimedOut, index, Message::default()),
            OutcomeKind::Expired => self.note_task_error(ErrorKind::Expired, index, Message::default()),
            OutcomeKind::Completed => self.streak = 0,
            _ => {}
        }
        self.post(index);
        if let Some(task) = self.tasks.id_at(index) {
            self.publish(Event::Settled { task, meta, kind });
        }
    }

    /// Notes which effects the task in slot `index`, just settled, owes the host.
    fn post(&mut self, index: u32) {
        let aborting = self.ending.is_aborting();
        let Some(task) = self.tasks.at_mut(index) else { return };
        let mut pending = Pending::NONE;
        if task.state == State::Stopping {
            pending = pending.with(Pending::STOP);
        }
        let mut retained = false;
        match &task.claimant {
            Claimant::Nobody | Claimant::Callback(_) => pending = pending.with(Pending::SETTLE),
            Claimant::Handle(waiter) => {
                self.unclaimed = self.unclaimed.saturating_add(1);
                if waiter.is_some() {
                    pending = pending.with(Pending::WAKE);
                }
            }
            Claimant::Retention => retained = !aborting,
        }
        if aborting && !pending.has(Pending::SETTLE) {
            pending = pending.with(Pending::DISCARD);
        }
        self.owe(index, pending);
        if retained {
            self.retain(index);
        }
    }

    /// Adds effects to those that the task in slot `index` owes the host.
    pub(super) fn owe(&mut self, index: u32, effects: Pending) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        let first = task.pending.is_empty();
        task.pending = task.pending.with(effects);
        if first && !task.pending.is_empty() {
            self.outbox.push_back(&mut self.tasks, index);
        }
    }

    /// Takes effects back from those that the task in slot `index` owes the host.
    pub(super) fn withdraw(&mut self, index: u32, effects: Pending) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        let owed = !task.pending.is_empty();
        task.pending = task.pending.without(effects);
        if owed && task.pending.is_empty() {
            self.outbox.remove(&mut self.tasks, index);
        }
    }

    /// Takes the outcome of the settled task in slot `index`, with all that leaves with it, out of the
    /// machine, and frees the slot if no attempt runs on.
    pub(super) fn release_outcome(&mut self, index: u32) -> Option<Settlement<P>> {
        let id = self.tasks.id_at(index)?;
        let for_handle = self.tasks.at(index)?.is_for_handle();
        self.withdraw(index, Pending::SETTLE.with(Pending::WAKE).with(Pending::DISCARD));
        let task = self.tasks.at_mut(index)?;
        let settlement = take_settlement(id, task);
        if settlement.job.is_some() {
            self.ledger.jobs.leave();
        }
        if settlement.callback.is_some() {
            self.ledger.callbacks.leave();
        }
        if for_handle {
            self.handles = self.handles.saturating_sub(1);
            self.unclaimed = self.unclaimed.saturating_sub(1);
        }
        let next = self.step(index, Input::Release);
        debug_assert!(next.is_some(), "only what is settled is released");
        match next {
            Some(Next::Free) => self.free(index),
            _ => self.abandon_if_ending(index),
        }
        Some(settlement)
    }

    /// Ends an orphan that has nothing left to tell the host, if the machine does not wait for it.
    pub(super) fn abandon_if_ending(&mut self, index: u32) {
        let Some(task) = self.tasks.at(index) else { return };
        if self.ending.is_aborting() && task.state == State::Orphan && task.pending.is_empty() {
            self.remains.abandoned = self.remains.abandoned.saturating_add(1);
            if self.step(index, Input::Abandon).is_some() {
                self.free(index);
            }
        }
    }

    /// Empties the slot of a task that is over.
    pub(super) fn free(&mut self, index: u32) {
        debug_assert!(
            self.tasks.at(index).is_some_and(|task| task.timer.is_none() && task.pending.is_empty()),
            "what is freed has nothing armed and owes nothing"
        );
        if self.tasks.remove_at(index).is_some() {
            self.ledger.tasks.leave();
        }
    }

    /// Keeps the outcome of the task in slot `index`; the oldest makes room.
    fn retain(&mut self, index: u32) {
        if self.results.len() >= self.limits.results.entries {
            if let Some(oldest) = self.results.front() {
                self.unretain(oldest);
                self.owe(oldest, Pending::DISCARD);
            }
        }
        self.results.push_back(&mut self.tasks, index);
        self.ledger.results.enter();
    }

    /// Takes the task in slot `index` out of the retained results.
    pub(super) fn unretain(&mut self, index: u32) {
        self.results.remove(&mut self.tasks, index);
        self.ledger.results.leave();
    }

    /// Writes down what went wrong with the task in slot `index`.
    pub(super) fn note_task_error(&mut self, kind: ErrorKind, index: u32, message: Message) {
        let Some(task) = self.tasks.at(index) else { return };
        let (attempt, meta) = (task.attempts, task.meta);
        self.note_error(LastError {
            kind,
            task: self.tasks.id_at(index),
            source: None,
            attempt,
            meta: Some(meta),
            message,
            pending: 0,
            running: 0,
            at: self.now,
            streak: 0,
        });
    }

    /// Writes down what went wrong; the counts are filled in here.
    pub(super) fn note_error(&mut self, error: LastError<P::Meta>) {
        self.streak = self.streak.saturating_add(1);
        self.last_error = Some(LastError {
            pending: self.delayed().saturating_add(self.count(State::Queued)),
            running: self.count(State::Running),
            streak: self.streak,
            ..error
        });
    }
}

/// Which outcome an input fixes, if it does.
fn kind_of(input: Input) -> Option<OutcomeKind> {
    match input {
        Input::Complete => Some(OutcomeKind::Completed),
        Input::Fail => Some(OutcomeKind::Failed),
        Input::Panic => Some(OutcomeKind::Panicked),
        Input::TimeOut => Some(OutcomeKind::TimedOut),
        Input::Cancel => Some(OutcomeKind::Cancelled),
        Input::Expire => Some(OutcomeKind::Expired),
        _ => None,
    }
}

fn take_settlement<P: Plan>(id: TaskId, task: &mut Task<P>) -> Settlement<P> {
    let (callback, waiter) = match core::mem::replace(&mut task.claimant, Claimant::Nobody) {
        Claimant::Callback(callback) => (Some(callback), None),
        Claimant::Handle(waiter) => (None, waiter),
        Claimant::Nobody | Claimant::Retention => (None, None),
    };
    let (job, outcome) = match core::mem::replace(&mut task.payload, Payload::Away) {
        Payload::Output(output) => (None, Outcome::Completed(output)),
        Payload::Error(error) => (None, Outcome::Failed(error)),
        Payload::Job(job) => (Some(job), outcome_without_value(task.kind)),
        Payload::Away => (None, outcome_without_value(task.kind)),
    };
    Settlement { task: id, meta: task.meta, attempts: task.attempts, outcome, job, callback, waiter }
}

fn outcome_without_value<O, E>(kind: Option<OutcomeKind>) -> Outcome<O, E> {
    match kind {
        Some(OutcomeKind::TimedOut) => Outcome::TimedOut,
        Some(OutcomeKind::Expired) => Outcome::Expired,
        Some(OutcomeKind::Panicked) => Outcome::Panicked,
        Some(OutcomeKind::Cancelled) => Outcome::Cancelled,
        Some(OutcomeKind::Completed | OutcomeKind::Failed) | None => {
            debug_assert!(false, "an outcome with a value has it in the slot");
            Outcome::Cancelled
        }
    }
}
