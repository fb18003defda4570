//! What the host reports about attempts.

use core::fmt;

use super::Processor;
use crate::last_error::ErrorKind;
use crate::lifecycle::{Input, Next, State};
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
        if let Some(task) = self.tasks.at_mut(index) {
            task.payload = Payload::Output(output);
        }
        self.settle(index, Input::Complete);
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
                if let Some(task) = self.tasks.at_mut(index) {
                    task.payload = Payload::Error(error);
                }
                self.settle(index, Input::Fail);
                Failure::Settled { job }
            }
        };
        self.note_task_error(ErrorKind::Failed, index, *message);
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
                self.settle(index, Input::Panic);
                job
            }
        };
        self.note_task_error(ErrorKind::Panicked, index, *message);
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
            self.settle_stopped(index, if in_time { Input::Cancel } else { Input::TimeOut });
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
    fn running(&mut self, now: Instant, attempt: AttemptId) -> Result<u32, Option<u32>> {
        let now = self.tell(now);
        let index = self.index_of(attempt).ok_or(None)?;
        let task = self.tasks.at(index).ok_or(None)?;
        if task.state != State::Running {
            return Err(Some(index));
        }
        if now > task.deadline() {
            self.settle_stopped(index, Input::TimeOut);
            return Err(Some(index));
        }
        Ok(index)
    }

    /// A report about an attempt that is over shows at least that it has stopped.
    fn late<T>(&mut self, index: Option<u32>, value: T) -> Late<T> {
        self.totals.late = self.totals.late.wrapping_add(1);
        let settled = index.and_then(|index| self.tasks.at(index)).and_then(|task| task.kind);
        if let Some(index) = index {
            self.stop(index);
        }
        Late { settled, value }
    }

    /// Ends the orphan in slot `index`: gives its concurrency place back, and withdraws the request to stop.
    fn stop(&mut self, index: u32) -> bool {
        let Some(next) = self.step(index, Input::Stopped) else { return false };
        self.withdraw(index, Pending::STOP);
        if let Some(task) = self.tasks.id_at(index) {
            self.publish(Event::OrphanStopped { task });
        }
        if next == Next::Free {
            self.free(index);
        }
        true
    }

    /// The slot of the task whose latest attempt this is.
    fn index_of(&self, attempt: AttemptId) -> Option<u32> {
        let index = self.tasks.index_of(attempt);
        self.tasks.at(index).filter(|task| task.attempt == Some(attempt)).map(|_| index)
    }

    /// Lets the running task in slot `index` back off, and tells for how long; hands the job back when no
    /// further try is allowed.
    fn retry(&mut self, index: u32, job: Option<P::Job>, panicked: bool) -> Result<Duration, Option<P::Job>> {
        let Some(task) = self.tasks.at(index) else { return Err(job) };
        let (retry, attempts, close_by, meta) = (task.retry, task.attempts, task.close_by, task.meta);
        let allowed = retry.allows(attempts) && (!panicked || retry.retries_panics());
        let Some(job) = job else { return Err(None) };
        if !allowed || self.ending.is_aborting() {
            return Err(Some(job));
        }
        let delay = retry.delay(attempts, &mut self.rng);
        let ready_at = self.now.saturating_add(delay);
        if ready_at > close_by || ready_at == NEVER {
            return Err(Some(job));
        }
        self.disarm(index);
        if self.step(index, Input::Retry).is_none() {
            return Err(Some(job));
        }
        if let Some(task) = self.tasks.at_mut(index) {
            task.payload = Payload::Job(job);
            task.since = ready_at;
        }
        self.ledger.jobs.enter();
        self.arm(index);
        self.totals.retried = self.totals.retried.wrapping_add(1);
        if let Some(task) = self.tasks.id_at(index) {
            self.publish(Event::Retrying { task, meta, attempts, delay });
        }
        Ok(delay)
    }
}
