//! Tasks at given times, again and again.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll_core::{Instant, Refusal, Schedule, ScheduleId, ScheduleRefusal};

use crate::access::Access;
use crate::engine::machine::Shared;
use crate::engine::schedules::{Calendar, MakerOf};
use crate::options::Options;
use crate::sharing::Erase;
use crate::work::AnyWork;

/// When tasks are to be submitted again and again: a [`Schedule`], or with the feature `cron` a `Cron`.
pub struct When {
    pub(crate) schedule: Schedule,
    pub(crate) calendar: Option<Box<dyn Calendar>>,
}

impl From<Schedule> for When {
    fn from(schedule: Schedule) -> Self {
        Self { schedule, calendar: None }
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_calendar = self.calendar.is_some();
        f.debug_struct("When").field("schedule", &self.schedule).field("has_calendar", &has_calendar).finish()
    }
}

/// For what time a schedule asks for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Due {
    /// Which schedule.
    pub schedule: ScheduleId,
    /// The instant that has come, without the jitter. If several have come, the last one.
    pub at: Instant,
    /// For a calendar, the time of the wall clock that has come.
    pub time: Option<SystemTime>,
    /// How many such instants have passed without a job since the last one: because this processor was late, or because the
    /// task before was not settled. A calendar counts up to 1,000.
    pub missed: u64,
}

impl Due {
    pub(crate) const fn of(due: plimsoll_core::Due) -> Self {
        Self { schedule: due.schedule, at: due.at, time: None, missed: due.missed }
    }
}

/// What has become of a schedule's times, from [`ScheduleHandle::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleStats {
    /// Tasks that were admitted.
    pub submitted: u64,
    /// Jobs that were refused, and dropped.
    pub refused: u64,
    /// Why the last of those was refused.
    pub last_refusal: Option<Refusal>,
    /// Times at which the function has panicked.
    pub panicked: u64,
    /// Times that have passed without a job: see [`Due::missed`].
    pub missed: u64,
}

impl ScheduleStats {
    pub(crate) const NONE: Self =
        Self { submitted: 0, refused: 0, last_refusal: None, panicked: 0, missed: 0 };

    pub(crate) const fn note_missed(&mut self, missed: u64) {
        self.missed = self.missed.saturating_add(missed);
    }
}

/// A schedule that submits tasks to a processor. It goes on until [`end`](Self::end) is called or the processor drains;
/// dropping the handle lets it go on, and the handle keeps nothing alive.
pub struct ScheduleHandle<W: AnyWork> {
    shared: Arc<Shared<W>>,
    id: ScheduleId,
}

impl<W: AnyWork> ScheduleHandle<W> {
    /// Which schedule.
    #[must_use]
    pub const fn id(&self) -> ScheduleId {
        self.id
    }

    /// Ends it, and drops its function, which a worker that is calling it does afterwards. Tasks that it has submitted go on.
    /// Whether it had not ended before.
    pub fn end(self) -> bool {
        self.shared.unschedule(self.id)
    }

    /// When it is due next, without the jitter. `None` while it waits for a task to be settled, if no time will come, or when
    /// it has ended. Of a calendar, the next time at which the wall clock is read, within a minute.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.shared.read(|machine| machine.next_of_schedule(self.id))
    }

    /// What has become of its times so far; `None` when it has ended.
    #[must_use]
    pub fn stats(&self) -> Option<ScheduleStats> {
        self.shared.schedule_stats(self.id)
    }
}

impl<W: AnyWork> fmt::Debug for ScheduleHandle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScheduleHandle").field("id", &self.id).field("stats", &self.stats()).finish()
    }
}

impl<W: AnyWork> Access<W> {
    /// Submits a task every so often: at whole multiples of a period from now on, the first one after one period, on
    /// the default terms. A time that comes before the task of the one before is settled is skipped. Short for
    /// [`schedule`](Self::schedule) with [`Schedule::fixed_rate`].
    ///
    /// ```
    /// # use plimsoll::runtime::sim::Sim;
    /// # use plimsoll::{Processor, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sim = Sim::new(1);
    /// let processor = Processor::builder().spawn_on(sim.clone(), infallible(|report: String| async move { drop(report) }))?;
    /// let mut number = 0;
    /// let reports = processor.every(Duration::from_secs(3_600), move |_| {
    ///     number += 1;
    ///     format!("report {number}")
    /// })?;
    /// sim.advance(Duration::from_secs(7 * 24 * 3_600))?;
    /// assert_eq!(reports.stats().map(|stats| (stats.submitted, stats.missed)), Some((7 * 24, 0)));
    /// assert!(reports.end());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`schedule`](Self::schedule) has.
    pub fn every<F>(&self, period: Duration, maker: F) -> Result<ScheduleHandle<W>, ScheduleRefusal>
    where
        F: FnMut(Due) -> W::Job + Erase<MakerOf<W>>,
        W::Meta: Default,
    {
        self.schedule(Schedule::fixed_rate(period), Options::default(), maker)
    }

    /// Submits a task whenever this is due, on these terms. `maker` makes the job: a worker calls it, without a lock and
    /// never twice at a time. A panic in it is caught and counted, in [`Totals::late_panics`](crate::Totals::late_panics) too,
    /// and the schedule goes on.
    ///
    /// The results are of no interest to it: [`on_settled`](crate::Processor::on_settled) sees them. A job that is
    /// refused, by a full queue for instance, is dropped and counted in [`ScheduleStats`]. With
    /// [`Overlap::Skip`](crate::Overlap::Skip), the default, the next time is awaited when the task is settled, retries
    /// included.
    ///
    /// Allocates a box for the function and room for the schedule, and nothing when it is due.
    ///
    /// ```
    /// # use plimsoll::{Options, Processor, Schedule, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|missed: u64| async move { missed }))?;
    /// // A minute after the task before is over, with some seconds of jitter; the first one now.
    /// let when = Schedule::fixed_delay(Duration::from_secs(60))
    ///     .jitter(Duration::from_secs(5))
    ///     .first_after(Duration::ZERO);
    /// let handle = processor.schedule(when, Options::default().timeout(Duration::from_secs(30)), |due| due.missed)?;
    /// # assert!(handle.end());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Too many schedules ([`Limits::schedules`](crate::Limits::schedules)), or the processor is draining. `maker` is dropped.
    pub fn schedule<F>(
        &self,
        when: impl Into<When>,
        options: Options<W::Meta>,
        maker: F,
    ) -> Result<ScheduleHandle<W>, ScheduleRefusal>
    where
        F: FnMut(Due) -> W::Job + Erase<MakerOf<W>>,
    {
        let id = self.shared.schedule(when.into(), &options, maker.erase())?;
        Ok(ScheduleHandle { shared: self.shared.clone(), id })
    }

    /// Ends the schedule with this id: see [`ScheduleHandle::end`].
    pub fn unschedule(&self, id: ScheduleId) -> bool {
        self.shared.unschedule(id)
    }
}
