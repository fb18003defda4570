//! Tasks at given times, again and again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::{Instant, Schedule, ScheduleId, ScheduleRefusal};

use crate::access::Access;
use crate::engine::machine::Shared;
use crate::engine::schedules::MakerOf;
use crate::options::Options;
use crate::sharing::Erase;
use crate::when::{Due, ScheduleStats, When};
use crate::work::AnyWork;

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
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: ()| async {}))?;
    /// let hourly = processor.every(Duration::from_secs(3_600), |_| ())?;
    /// assert!(hourly.next().is_some());
    /// assert!(hourly.end());
    /// assert_eq!(processor.census().schedules, 0);
    /// # Ok(())
    /// # }
    /// ```
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
