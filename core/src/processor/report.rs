//! Reports: the calls by which the host says how an attempt went.

use core::fmt;

use super::Processor;
use super::deadlines::Owner;
use crate::last_error::ErrorKind;
use crate::lifecycle::{Input, Next, State};
use crate::list::NIL;
use crate::task::{Payload, Pending};
use crate::{AttemptId, Event, Instant, Late, Message, Plan};
use core::time::Duration;

/// The answer to the report of a failure or a panic. If the attempt was over already, value and job come back.
type Verdict<V, P> = Result<Failure<V, <P as Plan>::Job>, Late<(V, Option<<P as Plan>::Job>)>>;

/// The answer to the report that an attempt has stopped.
type StopVerdict<P> = Result<Failure<(), <P as Plan>::Job>, Late<Option<<P as Plan>::Job>>>;

/// What follows an attempt that failed or panicked with a value of type `V`, or that stopped or was snoozed without
/// one.
#[derive(PartialEq, Eq)]
#[must_use = "it hands a value back"]
#[non_exhaustive]
pub enum Failure<V, J> {
    /// The machine has the job again, and queues the task after the delay. The error or the panic is handed back.
    Retrying {
        /// The error or the panic of this attempt.
        value: V,
        /// The backoff.
        delay: Duration,
    },
    /// The task is settled, with the error or the panic if there is one. The job, if the report had it, is handed back.
    Settled {
        /// The job, which is not needed any more.
        job: Option<J>,
    },
}

impl<V, J> fmt::Debug for Failure<V, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrying { delay, .. } => f.debug_struct("Retrying").field("delay", delay).finish(),
            Self::Settled { job } => f.debug_struct("Settled").field("job", &job.is_some()).finish(),
        }
    }
}

impl<P: Plan> Processor<P> {
    /// The handler of the attempt was called at `at`, later than the [`start_next`](Self::start_next) that handed the
    /// attempt out. The start-to-close and the heartbeat time-out and [`Terms::slow_after`](crate::Terms::slow_after)
    /// count from `at`, or from `now` if that is earlier, but never from before the attempt was handed out. The
    /// schedule-to-close time-out stays as it is. A host reports this if its
    /// attempts wait for a thread, so that they are not charged for that wait.
    ///
    /// Returns whether the attempt is running. If it is over, or was timed out or cancelled, nothing changes; an orphan
    /// stays one. [`Start::deadline`](crate::Start::deadline) has the deadline without this report.
    ///
    /// May change: [`next_wake`](Self::next_wake).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Reason, Simple, Terms, Timeouts, Wake};
    /// # use core::time::Duration;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let limit = Some(Duration::from_millis(10));
    /// let terms = Terms::new().timeouts(Timeouts { start_to_close: limit, ..Timeouts::NONE });
    /// processor.submit(Instant::ZERO, Offer::new("job", ()), &terms)?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// let called_at = Instant::from_millis(7);
    /// assert!(processor.began(called_at, start.attempt, called_at));
    /// assert_eq!(processor.next_wake(), Wake::At(Instant::from_millis(17), Reason::Timer));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn began(&mut self, now: Instant, attempt: AttemptId, at: Instant) -> bool {
        let now = self.observe_time(now);
        let Some(index) = self.index_of(attempt) else { return false };
        let running = self.tasks.at_mut(index).filter(|task| task.state == State::Running);
        let Some(task) = running else { return false };
        let before = task.deadline_in(State::Running);
        task.since = task.since.max(at.min(now));
        let after = task.deadline_in(State::Running);
        if after != before {
            let first = self.first_of_attempt(index, after);
            self.deadlines.set(Owner::Task(index), first);
        }
        true
    }

    /// The attempt has completed with this output, which settles the task as completed. It may come after the deadline,
    /// as long as no [`advance`](Self::advance) has timed the task out.
    ///
    /// May change: effects (its settlement), [`startable`](Self::startable), room.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// let start = processor.start_next(now).ok_or("nothing to start")?;
    /// processor.completed(now, start.attempt, start.job.len())?;
    /// let late = processor.completed(now, start.attempt, 0).unwrap_err(); // it is over
    /// assert_eq!(late.value, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        let index = match self.slot_of_report(now, attempt) {
            Ok(index) => index,
            Err(late) => return Err(self.late(late, output)),
        };
        self.settle(index, Input::Complete, Some(Payload::Output(output)), false);
        Ok(())
    }

    /// The attempt has failed with this error. The task backs off if the job comes with the report and the task's
    /// [`Retry`](crate::Retry) allows a further attempt, with a backoff that ends by the schedule-to-close deadline.
    /// Otherwise it is settled as failed. `delay` replaces the policy's backoff if the host knows better, such as from
    /// a `Retry-After`. A host that knows that no further attempt will help keeps the job.
    ///
    /// May change: as [`completed`](Self::completed), and timers, the last error.
    ///
    /// ```
    /// # use plimsoll_core::{Failure, Instant, Limits, Offer, Processor, Retry, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("job", ()), &Terms::new().retry(Retry::times(1)))?;
    /// let start = processor.start_next(now).ok_or("nothing to start")?;
    /// let verdict = processor.failed(now, start.attempt, "busy", Some(start.job), None, &"busy".into())?;
    /// assert!(matches!(verdict, Failure::Retrying { value: "busy", .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The attempt is over: error and job are handed back.
    pub fn failed(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        error: P::Error,
        job: Option<P::Job>,
        delay: Option<Duration>,
        message: &Message,
    ) -> Verdict<P::Error, P> {
        let index = match self.slot_of_report(now, attempt) {
            Ok(index) => index,
            Err(late) => return Err(self.late(late, (error, job))),
        };
        let failure = match self.retry(index, job, ErrorKind::Failed, delay) {
            Ok(delay) => Failure::Retrying { value: error, delay },
            Err(job) => {
                self.settle_out_of_line(index, Input::Fail, Some(Payload::Error(error)), false);
                Failure::Settled { job }
            }
        };
        self.note_task_error(ErrorKind::Failed, index, message);
        Ok(failure)
    }

    /// The attempt has panicked with this value. Like [`failed`](Self::failed), but the task is tried again only with
    /// [`Retry::on_panic`](crate::Retry::on_panic), and always after the policy's backoff.
    ///
    /// May change: as [`failed`](Self::failed).
    ///
    /// # Errors
    /// The attempt is over: panic and job are handed back.
    pub fn panicked(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        panic: P::Panic,
        job: Option<P::Job>,
        message: &Message,
    ) -> Verdict<P::Panic, P> {
        let index = match self.slot_of_report(now, attempt) {
            Ok(index) => index,
            Err(late) => return Err(self.late(late, (panic, job))),
        };
        let failure = match self.retry(index, job, ErrorKind::Panicked, None) {
            Ok(delay) => Failure::Retrying { value: panic, delay },
            Err(job) => {
                self.settle_out_of_line(index, Input::Panic, Some(Payload::Panic(panic)), false);
                Failure::Settled { job }
            }
        };
        self.note_task_error(ErrorKind::Panicked, index, message);
        Ok(failure)
    }

    /// The attempt has stopped without a result, as the answer to [`Effect::Stop`](crate::Effect::Stop), and gives its
    /// concurrency place back. If its task is to be tried again and the job comes with the report, the task backs off,
    /// as after a failure. Without the job, or without time left for a further attempt, the task is settled as timed
    /// out. If the attempt was not asked to stop, its task is settled as cancelled.
    ///
    /// May change: as [`failed`](Self::failed).
    ///
    /// ```
    /// # use plimsoll_core::{Effect, Failure, Instant, Limits, Offer, Processor, Retry, Simple, Terms, Timeouts};
    /// # use core::time::Duration;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let retry = Retry::times(1).fixed(Duration::from_millis(5)).on_timeout(true);
    /// let limit = Some(Duration::from_millis(10));
    /// let timeouts = Timeouts { start_to_close: limit, ..Timeouts::NONE };
    /// processor.submit(Instant::ZERO, Offer::new("job", ()), &Terms::new().timeouts(timeouts).retry(retry))?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// let now = Instant::from_millis(10);
    /// let _ = processor.advance(now, 64);
    /// assert!(matches!(processor.poll_effect(), Some(Effect::Stop(stop)) if stop.attempt == start.attempt));
    /// assert_eq!(processor.census().running, 1, "it keeps its place until it has stopped");
    /// let answer = processor.stopped(now, start.attempt, Some("job"))?;
    /// assert_eq!(answer, Failure::Retrying { value: (), delay: Duration::from_millis(5) });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No such attempt runs: the job is handed back.
    pub fn stopped(&mut self, now: Instant, attempt: AttemptId, job: Option<P::Job>) -> StopVerdict<P> {
        self.observe_time(now);
        let index = self.index_of(attempt).unwrap_or(NIL);
        let Some(task) = self.tasks.at(index) else { return Err(Late { settled: None, value: job }) };
        let (state, settled) = (task.state, task.kind);
        match state {
            State::Running => self.end_cancelled(index, None, true),
            State::Halting => return Ok(self.back_off_after_halt(index, job)),
            _ if self.end_orphan(index) => {}
            _ => return Err(Late { settled, value: job }),
        }
        Ok(Failure::Settled { job })
    }

    /// The attempt has ended without a result and does not count: something that it needs is not there yet, or the
    /// other end asks for a pause. The task backs off for `delay` and is tried again. The count of attempts and the
    /// policy's backoff are as if this attempt had never been, so a task can be snoozed any number of times.
    ///
    /// If the task would not be ready by its schedule-to-close deadline, or if the delay reaches past the end of
    /// [`Instant`]'s range, it is settled as timed out, with this attempt as its last one. While the machine is ending,
    /// or in the rare case that the slot has no id for a further attempt, it is settled as cancelled. In both cases the
    /// job is handed back.
    ///
    /// May change: effects (its settlement), timers, [`startable`](Self::startable), room, the last error.
    ///
    /// ```
    /// # use plimsoll_core::{Failure, Instant, Limits, Offer, Processor, Simple, Terms};
    /// # use core::time::Duration;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// processor.submit(Instant::ZERO, Offer::new("job", ()), &Terms::new())?; // one attempt
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// let delay = Duration::from_secs(3);
    /// let answer = processor.snoozed(Instant::ZERO, start.attempt, start.job, delay)?;
    /// assert_eq!(answer, Failure::Retrying { value: (), delay });
    /// let now = Instant::from_millis(3_000);
    /// let _ = processor.advance(now, 64);
    /// let again = processor.start_next(now).ok_or("nothing to start")?;
    /// assert!(again.number == 1 && again.attempt != start.attempt);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The attempt is over: the job is handed back.
    pub fn snoozed(
        &mut self,
        now: Instant,
        attempt: AttemptId,
        job: P::Job,
        delay: Duration,
    ) -> Result<Failure<(), P::Job>, Late<P::Job>> {
        match self.slot_of_report(now, attempt) {
            Ok(index) => Ok(self.snooze(index, job, delay)),
            Err(late) => Err(self.late(late, job)),
        }
    }

    /// Counts a panic after the outcome was fixed, such as in a callback or in the `Drop` of a value. It changes no
    /// outcome.
    ///
    /// May change: totals.
    pub fn late_panic(&mut self) {
        self.totals.late_panics = self.totals.late_panics.wrapping_add(1);
    }

    /// The slot of an attempt whose report counts. Otherwise an error, with the slot of the attempt's task if it has
    /// one.
    #[inline]
    fn slot_of_report(&mut self, now: Instant, attempt: AttemptId) -> Result<u32, Option<u32>> {
        self.observe_time(now);
        let index = self.index_of(attempt).ok_or(None)?;
        let runs = self.tasks.at(index).is_some_and(|task| task.state == State::Running);
        if runs || self.end_halt(index) { Ok(index) } else { Err(Some(index)) }
    }

    /// Counts a late report. If the attempt is an orphan, the report shows that it has stopped.
    #[cold]
    fn late<T>(&mut self, index: Option<u32>, value: T) -> Late<T> {
        self.totals.late = self.totals.late.wrapping_add(1);
        let Some(index) = index else { return Late { settled: None, value } };
        let settled = self.tasks.at(index).and_then(|task| task.kind);
        self.end_orphan(index);
        Late { settled, value }
    }

    /// Ends the orphan in slot `index`, if there is one: gives its concurrency place back, and withdraws the request to
    /// stop.
    fn end_orphan(&mut self, index: u32) -> bool {
        let Some((id, task)) = self.tasks.entry(index) else { return false };
        let starts = task.starts;
        let Some(next) = self.tally.step(task, Input::Stopped) else { return false };
        self.withdraw(index, Pending::STOP);
        if self.gate.is_followed() {
            self.follow_end(index);
        }
        self.publish(|| Event::OrphanStopped { task: id });
        if next == Next::Free {
            self.free(index, starts);
        }
        true
    }

    /// The slot of the task with this attempt as its latest one.
    #[inline]
    pub(super) fn index_of(&mut self, attempt: AttemptId) -> Option<u32> {
        let index = self.tasks.index_of(attempt);
        let (id, task) = self.tasks.entry(index)?;
        let nth = task.starts.checked_sub(1)?;
        self.tasks.is_further(id, nth, attempt).then_some(index)
    }
}
