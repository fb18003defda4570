//! What the host reports about attempts.

use core::fmt;

use super::Processor;
use crate::last_error::ErrorKind;
use crate::lifecycle::{Input, Next, State};
use crate::list::NIL;
use crate::task::{NEVER, Payload, Pending};
use crate::{AttemptId, Event, Instant, Late, Message, Plan};
use core::time::Duration;

/// An error and the job that came with it, handed back.
type Failed<P> = (<P as Plan>::Error, Option<<P as Plan>::Job>);

/// What became of an attempt that failed.
#[must_use = "it hands a value back"]
#[non_exhaustive]
pub enum Failure<P: Plan> {
    /// The machine has the job again, and will queue it after the delay. The error is handed back.
    Retrying {
        /// The error of this attempt.
        error: P::Error,
        /// The backoff.
        delay: Duration,
    },
    /// The task is settled as failed, with the error. The job, if it was given, is handed back.
    Settled {
        /// The job, which is not needed any more.
        job: Option<P::Job>,
    },
}

impl<P: Plan> fmt::Debug for Failure<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrying { delay, .. } => f.debug_struct("Retrying").field("delay", delay).finish(),
            Self::Settled { job } => f.debug_struct("Settled").field("job", &job.is_some()).finish(),
        }
    }
}

impl<P: Plan> Processor<P> {
    /// The attempt has completed, with this output. At or before its deadline this settles the task as
    /// completed.
    ///
    /// May change: effects (its settlement), [`startable`](Self::startable), room.
    ///
    /// # Errors
    /// The attempt is over: the output is handed back.
    #[inline(always)]
    pub fn completed(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        output: P::Output,
    ) -> Result<(), Late<P::Output>> {
        let index = match self.running(now, attempt) {
            Ok(index) => index,
            Err(late) => return Err(self.late(late, output)),
        };
        self.settle(index, Input::Complete, Some(Payload::Output(output)), false);
        Ok(())
    }

    /// The attempt has failed, with this error. If the job comes with it and the task's
    /// [`Retry`](crate::Retry) allows a further try (one whose backoff ends by the schedule-to-close
    /// deadline), the task backs off; else it is settled as failed.
    ///
    /// May change: as [`completed`](Self::completed), and timers, the last error.
    ///
    /// # Errors
    /// The attempt is over: error and job are handed back.
    pub fn failed(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        error: P::Error,
        job: Option<P::Job>,
        message: &Message,
    ) -> Result<Failure<P>, Late<Failed<P>>> {
        let index = match self.running(now, attempt) {
            Ok(index) => index,
            Err(late) => return Err(self.late(late, (error, job))),
        };
        let failure = match self.retry(index, job, false) {
            Ok(delay) => Failure::Retrying { error, delay },
            Err(job) => {
                self.end(index, Input::Fail, Some(Payload::Error(error)), false);
                Failure::Settled { job }
            }
        };
        self.note_task_error(ErrorKind::Failed, index, message);
        Ok(failure)
    }

    /// The attempt has panicked. Like [`failed`](Self::failed), but tried again only if the task's
    /// [`Retry`](crate::Retry) says so. The answer is the job, when it is not needed any more.
    ///
    /// # Errors
    /// The attempt is over: the job is handed back.
    pub fn panicked(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        job: Option<P::Job>,
        message: &Message,
    ) -> Result<Option<P::Job>, Late<Option<P::Job>>> {
        let index = match self.running(now, attempt) {
            Ok(index) => index,
            Err(late) => return Err(self.late(late, job)),
        };
        let job = match self.retry(index, job, true) {
            Ok(_) => None,
            Err(job) => {
                self.end(index, Input::Panic, None, false);
                job
            }
        };
        self.note_task_error(ErrorKind::Panicked, index, message);
        Ok(job)
    }

    /// The attempt has stopped without an outcome: it gives its concurrency place back. That is the answer
    /// to [`Effect::Stop`](crate::Effect::Stop). A task whose attempt was not asked to stop is settled by it, as
    /// cancelled, or as timed out after its deadline.
    ///
    /// # Errors
    /// No such attempt runs.
    pub fn stopped(&mut self, now: Instant, attempt: AttemptId) -> Result<(), Late<()>> {
        let now = self.tell(now);
        let index = self.index_of(attempt).ok_or(Late { settled: None, value: () })?;
        let running = self.tasks.at(index).filter(|task| task.state == State::Running);
        let in_time = running.map(|task| now <= task.deadline());
        if let Some(in_time) = in_time {
            self.end(index, if in_time { Input::Cancel } else { Input::TimeOut }, None, true);
        }
        let settled = self.tasks.at(index).and_then(|task| task.kind);
        let stopped = in_time.is_some() || self.stop(index);
        if stopped { Ok(()) } else { Err(Late { settled, value: () }) }
    }

    /// Counts a panic that came after an outcome was fixed, in a callback or in the drop of a value. It
    /// changes no outcome.
    pub fn late_panic(&mut self) {
        self.totals.late_panics = self.totals.late_panics.wrapping_add(1);
    }

    /// The slot of a running attempt that a report is in time for, or of one that is over.
    #[inline]
    fn running(&mut self, now: Instant, attempt: AttemptId) -> Result<u32, Option<u32>> {
        let now = self.tell(now);
        let index = self.index_of(attempt).ok_or(None)?;
        match self.tasks.at(index) {
            Some(task) if task.state == State::Running && now <= task.deadline_in(State::Running) => {
                Ok(index)
            }
            _ => Err(Some(index)),
        }
    }

    /// A report about an attempt that is over shows at least that it has stopped. One whose deadline has passed
    /// unnoticed is over by it.
    #[cold]
    fn late<T>(&mut self, index: Option<u32>, value: T) -> Late<T> {
        self.totals.late = self.totals.late.wrapping_add(1);
        let Some(index) = index else { return Late { settled: None, value } };
        if self.tasks.at(index).is_some_and(|task| task.state == State::Running) {
            self.end(index, Input::TimeOut, None, true);
        }
        let settled = self.tasks.at(index).and_then(|task| task.kind);
        self.stop(index);
        Late { settled, value }
    }

    /// Ends the orphan in slot `index`: gives its concurrency place back, and withdraws the request to stop.
    fn stop(&mut self, index: u32) -> bool {
        let Some((id, task)) = self.tasks.entry(index) else { return false };
        let attempts = task.attempts;
        let Some(next) = self.tally.step(task, Input::Stopped) else { return false };
        self.withdraw(index, Pending::STOP);
        self.publish(|| Event::OrphanStopped { task: id });
        if next == Next::Free {
            self.free(index, attempts);
        }
        true
    }

    /// The slot of the task whose latest attempt this is.
    #[inline]
    pub(super) fn index_of(&mut self, attempt: AttemptId) -> Option<u32> {
        let index = self.tasks.index_of(attempt);
        let (id, task) = self.tasks.entry(index)?;
        let nth = task.attempts.checked_sub(1)?;
        self.tasks.is_further(id, nth, attempt).then_some(index)
    }

    /// Lets the running task in slot `index` back off, and tells for how long; hands the job back when no
    /// further try is allowed.
    fn retry(&mut self, index: u32, job: Option<P::Job>, panicked: bool) -> Result<Duration, Option<P::Job>> {
        let Some((id, task)) = self.tasks.entry(index) else { return Err(job) };
        let (tries, attempts, meta, deadline) = (task.tries, task.attempts, task.meta, task.deadline());
        let allowed = tries.allow(attempts) && (!panicked || tries.on_panic());
        let Some(job) = job else { return Err(None) };
        if !allowed || self.ending.is_aborting() {
            return Err(Some(job));
        }
        let delay = task.backoff.delay(attempts, &mut self.rng);
        let ready_at = self.now.saturating_add(delay);
        if ready_at > task.close_by || ready_at == NEVER {
            return Err(Some(job));
        }
        if self.tally.step(task, Input::Retry).is_none() {
            return Err(Some(job));
        }
        task.payload = Payload::Job(job);
        task.since = ready_at;
        let ready_by = task.deadline();
        let sleeps = core::mem::replace(&mut task.sleeps, NIL);
        if sleeps != NIL {
            self.end_sleeps(sleeps);
        }
        self.deadlines.disarm(index, deadline);
        self.deadlines.arm(index, ready_by);
        self.ledger.jobs.enter();
        self.totals.retried = self.totals.retried.wrapping_add(1);
        self.publish(|| Event::Retrying { task: id, meta, attempts, delay });
        Ok(delay)
    }
}
