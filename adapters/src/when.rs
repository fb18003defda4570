//! The types of a schedule: when it is due, what it tells its function, and its statistics.

use std::fmt;
use std::time::SystemTime;

use plimsoll_core::{Instant, Refusal, Schedule, ScheduleId};

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

/// The instants of a calendar, which follow no period. Asked without the lock.
pub(crate) trait Calendar: Send {
    /// The instant at which it is to be asked what has come; `None` if nothing more is in it. What has come by now is missed
    /// if it `skips`.
    fn next(&mut self, now: Instant, skips: bool) -> Option<Instant>;

    /// What has come; `None` if nothing has, by its own clock.
    fn fall_due(&mut self) -> Option<Occurrence>;
}

/// What has come of a calendar.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence {
    /// For which time of the wall clock.
    pub(crate) time: SystemTime,
    pub(crate) missed: u64,
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

/// What has become of a schedule's times, from [`ScheduleHandle::stats`](crate::ScheduleHandle::stats).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
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
