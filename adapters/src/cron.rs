//! Cron expressions with time zones.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};
use plimsoll_core::{Instant, Overlap, Schedule, ScheduleRefusal};

use crate::access::Access;
use crate::engine::schedules::MakerOf;
use crate::options::Options;
use crate::schedules::ScheduleHandle;
use crate::sharing::Erase;
use crate::when::{Calendar, Due, Occurrence, When};
use crate::work::AnyWork;

/// The times of a cron expression, in a time zone. Given to [`Access::cron`] or [`Access::schedule`].
///
/// An expression has five fields (minute, hour, day of month, month, day of week), six with seconds in front, or is a
/// name such as `@daily`. If day of month and day of week are both restricted, either is enough, as in Vixie cron. The
/// crate `croner` reads them, and its documentation has the rest: `L`, `#`, `W`, `+`.
///
/// # Summer time
///
/// - An expression with fixed times, such as `30 2 * * *` or `0,30 8-18 * * *`, has each of them once a day. One that the clock
///   skips comes at the first moment after the gap, and several come there as one. One that the clock repeats comes the first time
///   only.
/// - An expression with a `*` in its seconds, minutes or hours, such as `*/15 * * * *`, goes by real time: it has nothing in the
///   gap, and comes in both hours when one is repeated.
///
/// # The clock
///
/// The wall clock may be set, and a computer may sleep. While a schedule waits, the wall clock is read once a minute,
/// so that it is late by a minute at most after that. A time does not come twice because the clock was set back by less
/// than an hour. Times that were slept through come once, with a count of what was missed.
///
/// Time zones are looked up in the system's database. Where there is none, as in a minimal container, add the crate `jiff` with
/// its feature `tzdb-bundle-always`. `UTC` needs no database.
///
/// ```
/// use plimsoll::{Cron, CronError};
/// use std::time::{Duration, SystemTime};
///
/// let nightly = Cron::new("0 3 * * *", "UTC")?;
/// let time = nightly.next_after(SystemTime::UNIX_EPOCH);
/// assert_eq!(time, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(3 * 3_600)));
///
/// let error = Cron::new("0 25 * * *", "UTC").unwrap_err();
/// assert!(matches!(&error, CronError::Expression(_)), "{error}");
/// # Ok::<(), CronError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Cron {
    expression: croner::Cron,
    zone: TimeZone,
    overlap: Overlap,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// Why there is no such [`Cron`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CronError {
    /// The expression can't be read: why.
    Expression(Box<str>),
    /// There is no time zone with this name, or no database of time zones.
    TimeZone(Box<str>),
    /// The expression has no time at all after 1970, such as one for 30 February.
    Never,
}

impl fmt::Display for CronError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expression(why) => write!(f, "the cron expression can't be read: {why}"),
            Self::TimeZone(name) => write!(f, "no time zone is known as {name:?}"),
            Self::Never => f.write_str("the cron expression has no time at all"),
        }
    }
}

impl Error for CronError {}

impl Cron {
    /// The times of this expression in the time zone with this IANA name, such as `Europe/Berlin`, or `UTC`.
    ///
    /// # Errors
    /// [`CronError`].
    pub fn new(expression: &str, time_zone: &str) -> Result<Self, CronError> {
        let parsed: Result<croner::Cron, _> = expression.parse();
        let expression = parsed.map_err(|error| CronError::Expression(error.to_string().into()))?;
        let zone = TimeZone::get(time_zone).map_err(|_| CronError::TimeZone(time_zone.into()))?;
        let cron = Self { expression, zone, overlap: Overlap::Skip, clock: Arc::new(SystemTime::now) };
        match cron.next_after(SystemTime::UNIX_EPOCH) {
            Some(_) => Ok(cron),
            None => Err(CronError::Never),
        }
    }

    /// Sets what happens to a time that comes before the task of the one before is settled. Default: [`Overlap::Skip`].
    pub fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    /// Sets the wall clock. Default: [`SystemTime::now`]. For virtual time:
    ///
    /// ```
    /// # use plimsoll::runtime::sim::Sim;
    /// # use plimsoll::{Cron, Processor, infallible};
    /// # use std::time::{Duration, SystemTime};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sim = Sim::new(1);
    /// let time = sim.time();
    /// let clock = move || SystemTime::UNIX_EPOCH + Duration::from_nanos(time.now().as_nanos());
    ///
    /// let processor = Processor::builder().spawn_on(sim.clone(), infallible(|_: ()| async {}))?;
    /// let nightly = processor.cron(Cron::new("0 3 * * *", "UTC")?.wall_clock(clock), |_| ())?;
    /// sim.advance(Duration::from_secs(365 * 24 * 3_600))?;
    /// assert_eq!(nightly.stats().map(|stats| stats.submitted), Some(365));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wall_clock(self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// The first time after this one. `None` if there is none, or the search for it ends in the far future.
    #[must_use]
    pub fn next_after(&self, time: SystemTime) -> Option<SystemTime> {
        let zoned = Timestamp::try_from(time).ok()?.to_zoned(self.zone.clone());
        let next = if self.goes_by_real_time() {
            self.expression.find_next_occurrence(&zoned, false).ok()?.timestamp()
        } else {
            self.next_fixed(&zoned)?
        };
        // One that does not lie ahead would come again and again.
        Some(SystemTime::from(next)).filter(|next| *next > time)
    }

    fn goes_by_real_time(&self) -> bool {
        let pattern = &self.expression.pattern;
        [&pattern.seconds, &pattern.minutes, &pattern.hours].iter().any(|field| field.from_wildcard)
    }

    /// The first fixed time after this one. It is looked for on the wall clock, which has each of them once a day. (The search
    /// of `croner` in a time zone does so for a single time only, and gives up in a gap of more than two hours.) While an hour
    /// is repeated it looks at each of the hour's times, at most 3,600.
    fn next_fixed(&self, now: &Zoned) -> Option<Timestamp> {
        let mut wall = now.datetime();
        loop {
            wall = self.expression.find_next_occurrence(&wall, false).ok()?;
            let time = self.first_at(wall)?;
            if time > now.timestamp() {
                return Some(time);
            }
        }
    }

    /// When the wall clock shows this time for the first time, or goes past it if that is skipped.
    fn first_at(&self, wall: DateTime) -> Option<Timestamp> {
        let times = self.zone.to_ambiguous_timestamp(wall);
        let is_skipped = matches!(times.offset(), AmbiguousOffset::Gap { .. });
        let first = times.earlier().ok()?;
        if !is_skipped {
            return Some(first);
        }
        // Read with the offset after the gap, a skipped time lies before the change.
        let mut changes = self.zone.following(first).map(|change| change.timestamp());
        changes.find(|change| self.zone.to_datetime(*change) > wall)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cron")
            .field("expression", &self.expression.as_str())
            .field("zone", &self.zone.iana_name())
            .field("overlap", &self.overlap)
            .finish_non_exhaustive()
    }
}

impl From<Cron> for When {
    fn from(cron: Cron) -> Self {
        let schedule = Schedule::on_request().overlap(cron.overlap);
        let next = cron.next_after((cron.clock)());
        Self { schedule, calendar: Some(Box::new(Times { cron, next, last: None, missed: 0 })) }
    }
}

impl<W: AnyWork> Access<W> {
    /// Submits a task at the times of a cron expression, on the default terms. Short for [`schedule`](Self::schedule).
    ///
    /// ```
    /// # use plimsoll::{Cron, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|table: &'static str| async move { table }))?;
    /// processor.cron(Cron::new("0 3 * * MON-FRI", "Europe/Berlin")?, |_| "orders")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`schedule`](Self::schedule) has.
    pub fn cron<F>(&self, cron: Cron, maker: F) -> Result<ScheduleHandle<W>, ScheduleRefusal>
    where
        F: FnMut(Due) -> W::Job + Erase<MakerOf<W>>,
        W::Meta: Default,
    {
        self.schedule(cron, Options::default(), maker)
    }
}

/// How long the wall clock is left alone: it may be set.
const UNREAD: Duration = Duration::from_secs(60);

/// A clock that was set back by less than this repeats nothing.
const SET_BACK: Duration = Duration::from_secs(3_600);

/// The most times that are counted as missed at once.
const MOST_MISSED: u64 = 1_000;

/// The times of an expression, and how far they have come.
struct Times {
    cron: Cron,
    next: Option<SystemTime>,
    /// The last one that has come.
    last: Option<SystemTime>,
    /// How many have come since the last job.
    missed: u64,
}

impl Times {
    /// Passes what has come by this time: the last of it, and how many.
    fn pass(&mut self, time: SystemTime) -> Option<(SystemTime, u64)> {
        let mut last = self.next.filter(|next| *next <= time)?;
        let mut count = 1;
        loop {
            self.next = self.cron.next_after(if count < MOST_MISSED { last } else { time });
            match self.next {
                Some(next) if next <= time => (last, count) = (next, count.saturating_add(1)),
                _ => break,
            }
        }
        self.last = Some(last);
        Some((last, count))
    }

    /// Nothing has come by this time: the clock may have been set back.
    fn look_again(&mut self, time: SystemTime) {
        let since_last = self.last.and_then(|last| last.duration_since(time).ok());
        let from = match (self.last, since_last) {
            (Some(last), Some(behind)) if behind < SET_BACK => last,
            _ => time,
        };
        self.next = self.cron.next_after(from);
    }
}

impl Calendar for Times {
    fn next(&mut self, now: Instant, skips: bool) -> Option<Instant> {
        let time = (self.cron.clock)();
        if skips {
            let passed = self.pass(time).map_or(0, |(_, count)| count);
            self.missed = self.missed.saturating_add(passed);
        }
        let ahead = self.next?.duration_since(time).unwrap_or_default();
        Some(now.saturating_add(ahead.min(UNREAD)))
    }

    fn fall_due(&mut self) -> Option<Occurrence> {
        let time = (self.cron.clock)();
        let Some((last, count)) = self.pass(time) else {
            self.look_again(time);
            return None;
        };
        let missed = std::mem::take(&mut self.missed).saturating_add(count.saturating_sub(1));
        Some(Occurrence { time: last, missed })
    }
}
