//! Further attempts: after one that failed or panicked, after one that ran for too long and was stopped, and after one
//! that was snoozed. The policy is in [`crate::retry`].

use core::time::Duration;

use super::deadlines::Owner;
use super::{Failure, Processor};
use crate::last_error::ErrorKind;
use crate::lifecycle::{Input, State};
use crate::list::NIL;
use crate::task::{Payload, Pending};
use crate::time::NEVER;
use crate::{CancelReason, Event, Message, Plan, Retry};

impl<P: Plan> Processor<P> {
    /// Lets the task in slot `index`, whose attempt `ended` in this way, back off, and returns for how long. Hands the
    /// job back if no further attempt is allowed.
    pub(super) fn retry(
        &mut self,
        index: u32,
        job: Option<P::Job>,
        ended: ErrorKind,
        delay: Option<Duration>,
    ) -> Result<Duration, Option<P::Job>> {
        let Some((id, task)) = self.tasks.entry(index) else { return Err(job) };
        let (tries, attempts, meta, backoff) = (task.tries, task.attempts, task.meta, task.backoff_or_reason);
        let is_covered = match ended {
            ErrorKind::Panicked => tries.on_panic(),
            ErrorKind::TimedOut => tries.on_timeout(),
            _ => true,
        };
        let Some(job) = job else { return Err(None) };
        if !is_covered || !tries.allow(attempts) {
            return Err(Some(job));
        }
        let can_wait = self.can_start_again(index);
        if !can_wait && !self.is_delivered(index) {
            return Err(Some(job));
        }
        let delay = match (delay, backoff.backoff()) {
            (Some(delay), _) => delay,
            (None, Some(backoff)) => backoff.delay(attempts, tries.jitter(), &mut self.rng),
            (None, None) => return Err(Some(job)),
        };
        let left = if self.leave_to_engine(index, delay, true, !can_wait) {
            Err(Some(job))
        } else {
            self.back_off(index, job, delay)
        };
        if left.is_ok() || self.leave_to_engine(index, delay, true, true) {
            self.totals.retried = self.totals.retried.wrapping_add(1);
            self.publish(|| Event::Retrying { task: id, meta, attempts, delay });
        }
        left.map(|()| delay)
    }

    /// Lets the task in slot `index`, whose attempt was snoozed, back off as if that attempt had not been; or settles
    /// the task.
    pub(super) fn snooze(&mut self, index: u32, job: P::Job, delay: Duration) -> Failure<(), P::Job> {
        let can_wait = self.can_start_again(index);
        if self.leave_to_engine(index, delay, false, !can_wait) {
            self.count_snooze(index, delay);
            self.end_cancelled(index, Some(CancelReason::HANDED_BACK), true);
            return Failure::Settled { job: Some(job) };
        }
        if !can_wait {
            let later = self.has_later(index).then_some(CancelReason::SUPERSEDED);
            let reason = if self.ending.is_ending() { Some(CancelReason::ENDED) } else { later };
            self.end_cancelled(index, reason, true);
            return Failure::Settled { job: Some(job) };
        }
        if let Err(job) = self.back_off(index, job, delay) {
            self.leave_to_engine(index, delay, false, true);
            self.settle_out_of_line(index, Input::TimeOut, None, true);
            return Failure::Settled { job };
        }
        self.count_snooze(index, delay);
        Failure::Retrying { value: (), delay }
    }

    fn count_snooze(&mut self, index: u32, delay: Duration) {
        self.totals.snoozed = self.totals.snoozed.wrapping_add(1);
        if let Some((task, snoozed)) = self.tasks.entry(index) {
            snoozed.attempts = snoozed.attempts.saturating_sub(1);
            let (meta, attempts) = (snoozed.meta, snoozed.attempts);
            self.publish(|| Event::Snoozed { task, meta, attempts, delay });
        }
    }

    /// Whether the task in slot `index` can have a further attempt, if its terms allow one: there is an id for it, the
    /// machine is not ending, and no later task with its key waits.
    fn can_start_again(&self, index: u32) -> bool {
        let starts = self.tasks.at(index).map_or(u32::MAX, |task| task.starts);
        !self.ending.is_ending() && self.tasks.has_further(index, starts) && !self.has_later(index)
    }

    /// Lets the task in slot `index` back off. Hands the job back if the task would not be ready by its deadline.
    #[inline]
    fn back_off(&mut self, index: u32, job: P::Job, delay: Duration) -> Result<(), Option<P::Job>> {
        let Some(task) = self.tasks.at_mut(index) else { return Err(Some(job)) };
        let ready_at = self.now.saturating_add(delay);
        if ready_at > task.close_by() || ready_at == NEVER {
            return Err(Some(job));
        }
        let sleeps = task.first_sleep;
        if self.tally.step(task, Input::Retry).is_none() {
            return Err(Some(job));
        }
        task.payload = Payload::Job(job);
        task.since = ready_at;
        // Kept below the number that means no bound, so that one comparison serves all policies.
        task.attempts = task.attempts.min(Retry::UNLIMITED - 2);
        let ready_by = task.deadline();
        if sleeps != NIL {
            self.end_sleeps(sleeps);
        }
        if self.gate.is_followed() {
            self.follow_stop(index);
        }
        self.deadlines.set(Owner::Task(index), ready_by);
        self.ledger.jobs.enter();
        Ok(())
    }

    /// Whether another attempt may follow the running attempt in slot `index`, which is overdue: the policy allows it,
    /// and there is time for the shortest backoff.
    #[inline]
    pub(super) fn has_time_for_another(&self, index: u32) -> bool {
        let Some(task) = self.tasks.at(index) else { return false };
        let (tries, failed, close_by) = (task.tries, task.attempts, task.close_by());
        if !tries.on_timeout() || !tries.allow(failed) || !self.can_start_again(index) {
            return false;
        }
        let shortest =
            task.backoff_or_reason.backoff().map_or(0, |backoff| backoff.shortest(failed, tries.jitter()));
        let ready_at = self.now.saturating_add(Duration::from_nanos(shortest));
        self.now < close_by && ready_at <= close_by && ready_at != NEVER
    }

    /// Asks the running attempt in slot `index`, which is overdue, to stop before a further attempt.
    pub(super) fn halt(&mut self, index: u32) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        if self.tally.step(task, Input::Halt).is_none() {
            return;
        }
        let close_by = task.close_by();
        let sleeps = core::mem::replace(&mut task.first_sleep, NIL);
        if sleeps != NIL {
            self.end_sleeps(sleeps);
        }
        if self.gate.is_followed() {
            self.follow_request_to_stop(index);
        }
        self.deadlines.add(Owner::Task(index), close_by);
        self.owe(index, Pending::STOP);
        self.note_task_error(ErrorKind::TimedOut, index, &Message::EMPTY);
    }

    /// Withdraws the request to stop from the attempt in slot `index`, which has ended. Whether it was halting.
    #[cold]
    pub(super) fn end_halt(&mut self, index: u32) -> bool {
        let is_halting = self.tasks.at(index).is_some_and(|task| task.state == State::Halting);
        if is_halting {
            self.withdraw(index, Pending::STOP);
        }
        is_halting
    }

    /// The halting attempt in slot `index` has stopped: the task backs off, or settles as timed out.
    pub(super) fn back_off_after_halt(&mut self, index: u32, job: Option<P::Job>) -> Failure<(), P::Job> {
        self.withdraw(index, Pending::STOP);
        match self.retry(index, job, ErrorKind::TimedOut, None) {
            Ok(delay) => Failure::Retrying { value: (), delay },
            Err(job) => {
                self.settle_out_of_line(index, Input::TimeOut, None, true);
                Failure::Settled { job }
            }
        }
    }
}
