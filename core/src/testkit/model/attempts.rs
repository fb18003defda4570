//! The answers to reports.

use core::time::Duration;

use super::task::earlier;
use super::{Model, Stage, after, one};
use crate::testkit::calls::attempts::{Answer, Call, Failure, Stopped};
use crate::testkit::flaws::Flaw;
use crate::{AttemptId, CancelReason, ErrorKind, Event, Instant, Message, OutcomeKind};

/// How the machine takes a report.
enum Verdict {
    /// The report counts.
    Counts(u32),
    /// The attempt is over. Has the outcome of the task, if it is still known.
    Late(Option<OutcomeKind>),
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        match *self {
            Self::Began { attempt, at, .. } => Answer::Runs(model.began(attempt, at)),
            Self::Completed { attempt, output, .. } => model.completed(attempt, output),
            Self::Failed { attempt, error, job, delay, text, .. } => {
                model.failed(attempt, error, job, delay, text)
            }
            Self::Panicked { attempt, panic, job, text, .. } => model.panicked(attempt, panic, job, text),
            Self::Stopped { attempt, job, .. } => model.stopped(attempt, job),
            Self::Snoozed { attempt, job, delay, .. } => model.snoozed(attempt, job, delay),
            Self::LatePanic => {
                one(&mut model.totals.late_panics);
                Answer::Nothing
            }
        }
    }
}

impl Model {
    fn judge(&mut self, attempt: AttemptId) -> Verdict {
        let Some(task) = self.tasks.iter_mut().find(|task| task.attempt == Some(attempt)) else {
            return Verdict::Late(None);
        };
        let (meta, kind) = (task.meta, task.kind);
        if task.is_halting() {
            self.has_stopped(meta);
            return Verdict::Counts(meta);
        }
        let Stage::Running { deadline, .. } = task.stage else {
            if task.is_orphan() {
                self.orphan_stopped(meta);
            }
            return Verdict::Late(kind);
        };
        task.placed = false;
        if self.has(Flaw::JudgesReports) && deadline.is_some_and(|deadline| self.now > deadline) {
            self.settle(meta, OutcomeKind::TimedOut, None);
            return Verdict::Late(Some(OutcomeKind::TimedOut));
        }
        Verdict::Counts(meta)
    }

    /// The attempt has stopped: the request to stop is withdrawn.
    fn has_stopped(&mut self, meta: u32) {
        let Some(task) = self.at(meta) else { return };
        task.placed = false;
        task.stop = false;
        self.unpost(meta);
    }

    fn orphan_stopped(&mut self, meta: u32) {
        self.has_stopped(meta);
        self.leave_lane(meta);
        self.leave_key(meta);
        self.publish(|model| Event::OrphanStopped { task: model.id_of(meta) });
        self.forget_if_over(meta);
    }

    fn began(&mut self, attempt: AttemptId, at: Instant) -> bool {
        let (now, ignores) = (self.now, self.has(Flaw::IgnoresBegan));
        let Some(task) = self.tasks.iter_mut().find(|task| task.attempt == Some(attempt)) else {
            return false;
        };
        let Stage::Running { since, deadline: before } = task.stage else { return false };
        let since = if ignores { since } else { since.max(at.min(now)) };
        let (meta, deadline) = (task.meta, task.closes(since));
        task.stage = Stage::Running { since, deadline };
        if deadline != before {
            self.rearm(meta);
        }
        true
    }

    fn completed(&mut self, attempt: AttemptId, output: u32) -> Answer {
        Answer::Completed(match self.judge(attempt) {
            Verdict::Counts(meta) => {
                self.settle(meta, OutcomeKind::Completed, Some(output));
                Ok(())
            }
            Verdict::Late(kind) => {
                one(&mut self.totals.late);
                Err((kind, output))
            }
        })
    }

    fn failed(
        &mut self,
        attempt: AttemptId,
        error: u32,
        job: Option<u32>,
        delay: Option<Duration>,
        text: u32,
    ) -> Answer {
        let meta = match self.judge(attempt) {
            Verdict::Counts(meta) => meta,
            Verdict::Late(kind) => {
                one(&mut self.totals.late);
                return Answer::Failed(Err((kind, error, job)));
            }
        };
        Answer::Failed(Ok(match self.backoff(meta, job, true, delay) {
            Some(delay) => {
                self.task_error(ErrorKind::Failed, meta, Message::of(&text));
                Failure::Retrying { value: error, delay }
            }
            None => {
                self.settle(meta, OutcomeKind::Failed, Some(error));
                self.task_error(ErrorKind::Failed, meta, Message::of(&text));
                Failure::Settled { job }
            }
        }))
    }

    fn panicked(&mut self, attempt: AttemptId, panic: u32, job: Option<u32>, text: u32) -> Answer {
        let meta = match self.judge(attempt) {
            Verdict::Counts(meta) => meta,
            Verdict::Late(kind) => {
                one(&mut self.totals.late);
                return Answer::Panicked(Err((kind, panic, job)));
            }
        };
        let on_panic = self.task(meta).is_some_and(|task| task.order.retry().retries_panics());
        let failure = match self.backoff(meta, job, on_panic, None) {
            Some(delay) => Failure::Retrying { value: panic, delay },
            None => {
                self.settle(meta, OutcomeKind::Panicked, Some(panic));
                Failure::Settled { job }
            }
        };
        self.task_error(ErrorKind::Panicked, meta, Message::of(&text));
        Answer::Panicked(Ok(failure))
    }

    fn stopped(&mut self, attempt: AttemptId, job: Option<u32>) -> Answer {
        let Some(task) = self.tasks.iter_mut().find(|task| task.attempt == Some(attempt)) else {
            return Answer::Stopped(Err((None, job)));
        };
        let (meta, kind) = (task.meta, task.kind);
        if !task.placed {
            return Answer::Stopped(Err((kind, job)));
        }
        if task.is_halting() {
            self.has_stopped(meta);
            if let Some(delay) = self.backoff(meta, job, true, None) {
                return Answer::Stopped(Ok(Stopped::Retrying { delay }));
            }
            self.settle(meta, OutcomeKind::TimedOut, None);
        } else if task.is_running() {
            task.placed = false;
            self.settle(meta, OutcomeKind::Cancelled, None);
        } else {
            self.orphan_stopped(meta);
        }
        Answer::Stopped(Ok(Stopped::Settled { job }))
    }

    /// Whether another attempt, ready in time, may follow a running attempt that is overdue.
    pub(super) fn has_time_for_another(&self, meta: u32) -> bool {
        let Some(task) = self.task(meta) else { return false };
        let (retry, failed) = (task.order.retry(), task.attempts);
        let may = retry.retries_timeouts() && retry.allows(failed) && self.can_start_again(meta);
        let ready_at = after(self.now, task.order.shortest_backoff(failed));
        let in_time = |ready_at| {
            let late = self.has(Flaw::HaltsTooLate);
            task.close_by.is_none_or(|close_by| self.now < close_by && (late || ready_at <= close_by))
        };
        may && ready_at.is_some_and(in_time) && !self.has(Flaw::NeverHalts)
    }

    /// Asks an overdue attempt to stop, before a further one.
    pub(super) fn halt(&mut self, meta: u32, since: Instant) {
        self.end_sleeps(meta);
        let Some(task) = self.at(meta) else { return };
        let missed = task.order.timeouts().start_to_close.and_then(|d| after(since, d));
        let missed = earlier(missed, task.silent_at(since));
        task.stage = Stage::Halting { since, missed: missed.unwrap_or(Instant::MAX) };
        task.stop = true;
        self.rearm(meta);
        self.post(meta);
        self.task_error(ErrorKind::TimedOut, meta, Message::default());
    }

    fn snoozed(&mut self, attempt: AttemptId, job: u32, delay: Duration) -> Answer {
        let meta = match self.judge(attempt) {
            Verdict::Counts(meta) => meta,
            Verdict::Late(kind) => {
                one(&mut self.totals.late);
                return Answer::Snoozed(Err((kind, job)));
            }
        };
        let settled = Answer::Snoozed(Ok(Stopped::Settled { job: Some(job) }));
        let can_wait = self.can_start_again(meta);
        if self.leave_to_engine(meta, delay, false, !can_wait) {
            self.count_snooze(meta, delay);
            self.settle_cancelled(meta, Some(CancelReason::HANDED_BACK));
            return settled;
        }
        if !can_wait {
            let later = self.has_later(meta).then_some(CancelReason::SUPERSEDED);
            let reason = if self.ending { Some(CancelReason::ENDED) } else { later };
            self.settle_cancelled(meta, reason);
            return settled;
        }
        if self.set_back(meta, job, delay).is_none() {
            self.leave_to_engine(meta, delay, false, true);
            self.settle(meta, OutcomeKind::TimedOut, None);
            return settled;
        }
        self.count_snooze(meta, delay);
        Answer::Snoozed(Ok(Stopped::Retrying { delay }))
    }

    fn count_snooze(&mut self, meta: u32, delay: Duration) {
        one(&mut self.totals.snoozed);
        let counts = self.has(Flaw::CountsSnoozes);
        let Some(task) = self.at(meta) else { return };
        task.attempts -= u32::from(!counts);
        let attempts = task.attempts;
        self.publish(|model| Event::Snoozed { task: model.id_of(meta), meta, attempts, delay });
    }

    /// Whether there is an id for a further attempt, and the machine is not ending.
    fn can_start_again(&self, meta: u32) -> bool {
        let left = self.task(meta).map(|task| self.generations_left(task.slot).saturating_sub(task.starts));
        left.is_some_and(|left| left > 0) && !self.ending && !self.has_later(meta)
    }

    /// Lets the task back off, if it may be tried again. Returns the delay.
    fn backoff(
        &mut self,
        meta: u32,
        job: Option<u32>,
        kind_is_retried: bool,
        delay: Option<Duration>,
    ) -> Option<Duration> {
        let job = job?;
        let task = self.task(meta)?;
        let (attempts, order) = (task.attempts, task.order);
        let retry = order.retry();
        let can_wait = self.can_start_again(meta);
        if !retry.allows(attempts) || !kind_is_retried || !(can_wait || self.is_delivered(meta)) {
            return None;
        }
        let delay = delay.unwrap_or_else(|| {
            let drawn = retry.delay(attempts, &mut self.rng);
            let (shortest, longest) = (order.shortest_backoff(attempts), order.longest_backoff(attempts));
            if drawn > longest || drawn < shortest {
                self.complain("a backoff is not within its bounds");
            }
            drawn
        });
        let is_left = self.leave_to_engine(meta, delay, true, !can_wait);
        let backs_off = !is_left && self.set_back(meta, job, delay).is_some();
        if backs_off || self.leave_to_engine(meta, delay, true, true) {
            one(&mut self.totals.retried);
            self.publish(|model| Event::Retrying { task: model.id_of(meta), meta, attempts, delay });
        }
        backs_off.then_some(delay)
    }

    /// Lets the task back off for this long, if it is ready by its deadline then.
    fn set_back(&mut self, meta: u32, job: u32, delay: Duration) -> Option<()> {
        let until = after(self.now, delay)?;
        let close_by = self.task(meta)?.close_by;
        if close_by.is_some_and(|close_by| until > close_by) {
            return None;
        }
        self.end_sleeps(meta);
        let task = self.at(meta)?;
        task.stage = Stage::Backoff { until: Some(until) };
        task.job = Some(job);
        self.rearm(meta);
        Some(())
    }
}
