//! Outcomes are fixed and released here, and nowhere else.

use super::Processor;
use super::deadlines::Owner;
use crate::last_error::{ErrorKind, LastError, Whose};
use crate::lifecycle::{Input, Next, State};
use crate::list::NIL;
use crate::task::{Claimant, Payload, Pending, Record, Task};
use crate::{CancelReason, Event, Message, Outcome, OutcomeKind, Plan, Settlement};

impl<P: Plan> Processor<P> {
    /// Fixes the outcome of the unsettled task in slot `index`, with its `value` if it has one, and notes the effects
    /// that the task owes the host. An attempt that `input` leaves running becomes an orphan, unless `stopped` says
    /// that it has stopped.
    ///
    /// Always inlined, because where an attempt completes the compiler then omits the code that other outcomes need: 5
    /// % of a task's instructions. All other callers use [`settle_out_of_line`](Self::settle_out_of_line).
    #[inline(always)]
    pub(super) fn settle(&mut self, index: u32, input: Input, value: Option<Payload<P>>, stopped: bool) {
        let asks_to_stop = !input.can_end_a_wait() || self.leave_list(index);
        let (Some(kind), Some((id, task))) = (kind_of(input), self.tasks.entry(index)) else { return };
        let (from, meta) = (task.state, task.meta);
        let Some(next) = self.tally.step(task, input) else {
            debug_assert!(false, "{from:?} does not take {input:?}");
            return;
        };
        let mut runs_on = next == Next::To(State::Stopping);
        if runs_on && stopped {
            self.tally.step(task, Input::Stopped);
            runs_on = false;
        }
        let sleeps = if from.runs() { task.first_sleep } else { NIL };
        task.settle(kind, from.runs(), self.now);
        if let Some(value) = value {
            task.payload = value;
        }
        let mut pending = if runs_on && asks_to_stop { Pending::STOP } else { Pending::NONE };
        let mut has_more_to_do = false;
        match &task.claimant {
            Claimant::Nobody | Claimant::Callback(_) => pending = pending.with(Pending::SETTLE),
            Claimant::Delivery(_) => {
                pending = pending.with(Pending::SETTLE);
                has_more_to_do = true;
            }
            Claimant::Handle(waiter) => {
                self.tally.unclaimed = self.tally.unclaimed.wrapping_add(1);
                if waiter.is_some() {
                    pending = pending.with(Pending::WAKE);
                }
                if self.ending.discards() {
                    pending = pending.with(Pending::DISCARD);
                }
                if self.observes {
                    pending = pending.held();
                }
            }
            Claimant::Retention => has_more_to_do = true,
        }
        task.pending = pending;
        if !pending.is_empty() {
            self.outbox.push_back(index);
        }
        self.deadlines.clear(Owner::Task(index));
        if sleeps != NIL {
            self.end_sleeps(sleeps);
        }
        if self.gate.is_followed() {
            if runs_on { self.follow_request_to_stop(index) } else { self.follow_end(index) }
        }
        if has_more_to_do {
            self.keep_or_judge(index, kind);
        }
        self.totals.settled.add(kind);
        self.settled_since_health.add(kind);
        self.totals.orphaned = self.totals.orphaned.wrapping_add(u64::from(runs_on));
        match kind {
            // The time-out was noted when the attempt was asked to stop.
            OutcomeKind::TimedOut if stopped && from == State::Halting => {}
            OutcomeKind::TimedOut => self.note_task_error(ErrorKind::TimedOut, index, &Message::EMPTY),
            OutcomeKind::Expired => self.note_task_error(ErrorKind::Expired, index, &Message::EMPTY),
            OutcomeKind::Completed => self.streak = 0,
            _ => {}
        }
        self.publish(|| Event::Settled { task: id, meta, kind });
    }

    /// [`settle`](Self::settle), not inlined.
    #[inline(never)]
    pub(super) fn settle_out_of_line(
        &mut self,
        index: u32,
        input: Input,
        value: Option<Payload<P>>,
        stopped: bool,
    ) {
        self.settle(index, input, value, stopped);
    }

    /// Settles the unsettled task in slot `index` as cancelled.
    pub(super) fn end_cancelled(&mut self, index: u32, reason: Option<CancelReason>, stopped: bool) {
        self.settle_out_of_line(index, Input::Cancel, None, stopped);
        if let Some((task, reason)) = self.tasks.at_mut(index).zip(reason) {
            task.set_reason(reason);
        }
    }

    /// Removes the unsettled task in slot `index` from the queue or the outbox, if it is there. Returns whether its
    /// running attempt, if it has one, has yet to be asked to stop: it is asked only once.
    fn leave_list(&mut self, index: u32) -> bool {
        let Some(task) = self.tasks.at(index) else { return true };
        let (state, pending) = (task.state, task.pending);
        match state {
            State::Queued => self.dequeue(index, task.priority),
            State::Halting => self.withdraw(index, Pending::STOP),
            _ => {}
        }
        state != State::Halting || pending.has(Pending::STOP)
    }

    /// Adds an effect that the task in slot `index` owes the host.
    pub(super) fn owe(&mut self, index: u32, effect: Pending) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        let is_first = task.pending.is_empty();
        task.pending = task.pending.with(effect);
        if is_first {
            self.outbox.push_back(index);
        }
    }

    /// Removes effects that the task in slot `index` owes the host.
    #[cold]
    pub(super) fn withdraw(&mut self, index: u32, effects: Pending) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        if !task.pending.is_empty() {
            task.pending = task.pending.without(effects);
            if task.pending.is_empty() {
                self.outbox.remove(index);
            }
        }
    }

    /// Releases the outcome of the settled task in slot `index`, with the values that leave with it, and frees the slot
    /// if no attempt is running on.
    #[inline(always)]
    pub(super) fn release_outcome(&mut self, index: u32) -> Option<Settlement<P>> {
        if self.tasks.at(index)?.pending.has(Pending::OF_OUTCOME) {
            self.withdraw(index, Pending::OF_OUTCOME);
        }
        let task = self.tasks.at(index)?;
        if task.state == State::Settled && task.pending == Pending::NONE {
            self.release_whole(index)
        } else {
            self.release_in_place(index)
        }
    }

    /// [`release_outcome`](Self::release_outcome) of a task that owes nothing and whose attempt is over. The slot is
    /// freed.
    #[inline(always)]
    pub(super) fn release_whole(&mut self, index: u32) -> Option<Settlement<P>> {
        let (id, task) = self.tasks.entry(index)?;
        self.tally.step(task, Input::Release);
        let (record, starts) = (task.record(id), task.starts);
        let Task { claimant, payload, .. } = self.take_out(index, starts)?;
        Some(self.hand_out(record, claimant, payload, None))
    }

    /// [`release_outcome`](Self::release_outcome) of a task whose attempt has not stopped yet, or that was cancelled
    /// for a reason. No other task has a reason, so only this function looks for one.
    #[cold]
    fn release_in_place(&mut self, index: u32) -> Option<Settlement<P>> {
        let (id, task) = self.tasks.entry(index)?;
        let (record, starts, reason) = (task.record(id), task.starts, task.reason());
        let mut claimant = core::mem::replace(&mut task.claimant, Claimant::Nobody);
        let payload = core::mem::replace(&mut task.payload, Payload::Away);
        task.pending = task.pending.without(Pending::REASON);
        let next = self.tally.step(task, Input::Release);
        debug_assert!(next.is_some(), "only a settled task is released");
        if next == Some(Next::Free) {
            self.free(index, starts);
        } else if let (Claimant::Delivery(_), Some(task)) = (&claimant, self.tasks.at_mut(index)) {
            // It keeps the place of its delivery until its attempt has stopped.
            core::mem::swap(&mut task.claimant, &mut claimant);
        }
        Some(self.hand_out(record, claimant, payload, reason))
    }

    /// Makes the settlement of a task whose outcome leaves.
    #[inline(always)]
    pub(super) fn hand_out(
        &mut self,
        record: Record<P::Meta>,
        claimant: Claimant<P>,
        payload: Payload<P>,
        reason: Option<CancelReason>,
    ) -> Settlement<P> {
        let Record { task, meta, attempts, kind, times } = record;
        let (mut callback, mut waiter, mut job) = (None, None, None);
        match claimant {
            Claimant::Callback(held) => {
                self.ledger.callbacks.leave();
                callback = Some(held);
            }
            Claimant::Handle(held) => {
                self.admission.leave_handle();
                self.tally.unclaimed = self.tally.unclaimed.wrapping_sub(1);
                waiter = held;
            }
            Claimant::Delivery(delivery) => self.leave_slot_of(delivery),
            Claimant::Nobody | Claimant::Retention => {}
        }
        let outcome = match payload {
            Payload::Output(output) => Outcome::Completed(output),
            Payload::Error(error) => Outcome::Failed(error),
            Payload::Panic(panic) => Outcome::Panicked(panic),
            Payload::Away => outcome_without_value(kind, reason),
            Payload::Job(held) => {
                self.ledger.jobs.leave();
                job = Some(held);
                outcome_without_value(kind, reason)
            }
        };
        Settlement { task, meta, attempts, times, outcome, job, callback, waiter }
    }

    /// Frees the slot of a task whose outcome has left and whose attempt is over. `starts` is the number of its starts.
    pub(super) fn free(&mut self, index: u32, starts: u32) {
        if let Some(Task { claimant: Claimant::Delivery(delivery), .. }) = self.take_out(index, starts) {
            self.leave_slot_of(delivery);
        }
    }

    /// As [`free`](Self::free), and returns the task.
    #[inline(always)]
    fn take_out(&mut self, index: u32, starts: u32) -> Option<Task<P>> {
        debug_assert!(
            !self.deadlines.is_armed(Owner::Task(index))
                && self.tasks.at(index).is_some_and(|task| task.pending.is_empty()),
            "a freed task has no timer armed and owes nothing"
        );
        // The first attempt has the generation of the task itself.
        self.tasks.take(index, starts.saturating_sub(1))
    }

    /// The task in slot `index`, whose outcome is to be retained or is awaited by an engine, has settled in this way.
    #[cold]
    fn keep_or_judge(&mut self, index: u32, kind: OutcomeKind) {
        match self.tasks.at(index).map(|task| &task.claimant) {
            Some(Claimant::Delivery(delivery)) => self.owe_verdict(index, *delivery, kind),
            _ => self.keep_result(index),
        }
    }

    /// Retains the outcome of the task in slot `index`, unless the host observes it first, or the machine is ending.
    fn keep_result(&mut self, index: u32) {
        let is_ending = self.ending.is_ending();
        let effects = if is_ending { Pending::DISCARD } else { Pending::NONE };
        if self.observes {
            self.tally.unretained = self.tally.unretained.wrapping_add(1);
            self.owe(index, effects.held());
        } else if is_ending {
            self.owe(index, effects);
        } else {
            self.retain(index);
        }
    }

    /// Retains the outcome of the task in slot `index`. If there are as many results as allowed, the oldest is
    /// discarded.
    #[cold]
    pub(super) fn retain(&mut self, index: u32) {
        if self.results.len() >= self.limits.results.entries {
            if let Some(oldest) = self.results.front() {
                self.unretain(oldest);
                self.owe(oldest, Pending::DISCARD);
            }
        }
        if let Some(task) = self.tasks.at_mut(index) {
            task.retain(self.now);
        }
        self.results.push_back(index);
        self.ledger.results.enter();
    }

    /// Removes the task in slot `index` from the retained results.
    pub(super) fn unretain(&mut self, index: u32) {
        self.results.remove(index);
        self.ledger.results.leave();
    }

    /// Notes an error of the task in slot `index`.
    #[inline(never)]
    pub(super) fn note_task_error(&mut self, kind: ErrorKind, index: u32, message: &Message) {
        let Some((id, task)) = self.tasks.entry(index) else { return };
        let (attempt, meta) = (task.attempts, task.meta);
        if let Claimant::Delivery(delivery) = task.claimant {
            self.sources.explain(delivery, message);
        }
        self.note_error(kind, Whose::Task { task: id, attempt, meta }, message);
    }

    /// Notes an error. It is large, so it is written in place.
    #[inline]
    pub(super) fn note_error(&mut self, kind: ErrorKind, whose: Whose<P::Meta>, message: &Message) {
        self.streak = self.streak.saturating_add(1);
        let (mut task, mut attempt, mut meta, mut emitter, mut source) = (None, 0, None, None, None);
        match whose {
            Whose::Task { task: id, attempt: number, meta: of } => {
                (task, attempt, meta) = (Some(id), number, Some(of));
            }
            Whose::Emitter(id) => emitter = Some(id),
            Whose::Source(id) => source = Some(id),
        }
        self.last_error = Some(LastError {
            kind,
            task,
            emitter,
            source,
            attempt,
            meta,
            message: *message,
            pending: self.tally.waiting(),
            running: self.tally.running(),
            at: self.now,
            streak: self.streak,
        });
    }
}

/// The kind of the outcome that an input fixes; `None` if it fixes none.
#[inline]
const fn kind_of(input: Input) -> Option<OutcomeKind> {
    match input {
        Input::Complete => Some(OutcomeKind::Completed),
        Input::Fail => Some(OutcomeKind::Failed),
        Input::Panic => Some(OutcomeKind::Panicked),
        Input::TimeOut => Some(OutcomeKind::TimedOut),
        Input::Cancel => Some(OutcomeKind::Cancelled),
        Input::Expire => Some(OutcomeKind::Expired),
        Input::Shed => Some(OutcomeKind::Shed),
        _ => None,
    }
}

fn outcome_without_value<O, E, P>(
    kind: Option<OutcomeKind>,
    reason: Option<CancelReason>,
) -> Outcome<O, E, P> {
    match kind {
        Some(OutcomeKind::TimedOut) => Outcome::TimedOut,
        Some(OutcomeKind::Expired) => Outcome::Expired,
        Some(OutcomeKind::Shed) => Outcome::Shed,
        Some(OutcomeKind::Cancelled) => Outcome::Cancelled(reason),
        Some(OutcomeKind::Completed | OutcomeKind::Failed | OutcomeKind::Panicked) | None => {
            debug_assert!(false, "the value of an outcome is in the slot");
            Outcome::Cancelled(None)
        }
    }
}
