//! What a host says of schedules, and hears of them.

use core::time::Duration;

use crate::{Instant, Limits, ScheduleId};

/// When something is to be done again and again. Given to [`Processor::schedule`](crate::Processor::schedule).
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::{Overlap, Schedule};
/// let second = Duration::from_secs(1);
/// let exact = Schedule::fixed_rate(second).first_after(Duration::ZERO).overlap(Overlap::Allow);
/// let gentle = Schedule::fixed_delay(second).jitter(second / 10);
/// assert_ne!(exact, gentle);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::ScheduleForm", into = "crate::serialized::ScheduleForm")
)]
#[must_use]
pub struct Schedule {
    /// Zero: only as the host says.
    pub(crate) every: Duration,
    pub(crate) first_after: Option<Duration>,
    pub(crate) jitter: Duration,
    pub(crate) missed: Missed,
    pub(crate) overlap: Overlap,
}

/// What follows an instant that is missed, because the host is late or the work of the one before is not over. Burst, the
/// third of tokio's three, is not here: [`Due::missed`] tells in one effect what a burst would tell in many, and the host
/// makes up for as much of it as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Missed {
    /// The instants stay at whole multiples of the period. Those that are missed are skipped and counted.
    #[default]
    Skip,
    /// The next instant is one period from the moment when this one is used: when its effect is taken or, with
    /// [`Overlap::Skip`], when its work is over. So none is missed, and all later ones move.
    Delay,
}

/// What happens to an instant that comes before the work of the one before it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Overlap {
    /// It is skipped: nothing is due until [`schedule_done`](crate::Processor::schedule_done) says that the work is over.
    #[default]
    Skip,
    /// It is due all the same, whatever became of the one before.
    Allow,
}

impl Schedule {
    /// At whole multiples of a period: with [`Missed::Skip`] and [`Overlap::Skip`]. A period of less than a tick of the
    /// timers ([`Limits::SHORTEST_INTERVAL`]) counts as one.
    pub const fn fixed_rate(every: Duration) -> Self {
        let shortest = Limits::SHORTEST_INTERVAL;
        let every = if every.as_nanos() < shortest.as_nanos() { shortest } else { every };
        Self { every, ..Self::on_request() }
    }

    /// So long after the work of the one before is over: with [`Missed::Delay`] and [`Overlap::Skip`]. A delay of less
    /// than a tick of the timers counts as one.
    pub const fn fixed_delay(delay: Duration) -> Self {
        Self { missed: Missed::Delay, ..Self::fixed_rate(delay) }
    }

    /// Only when the host says so, by [`first_after`](Self::first_after) and
    /// [`reschedule`](crate::Processor::reschedule): for a calendar.
    pub const fn on_request() -> Self {
        Self {
            every: Duration::ZERO,
            first_after: None,
            jitter: Duration::ZERO,
            missed: Missed::Skip,
            overlap: Overlap::Skip,
        }
    }

    /// Sets when the first instant is, from the call of [`schedule`](crate::Processor::schedule) on. Zero: at once.
    /// Default: after one period.
    pub const fn first_after(self, delay: Duration) -> Self {
        Self { first_after: Some(delay), ..self }
    }

    /// Sets by how much each effect may come after its instant: by less than this, drawn anew each time. The instants do
    /// not move, so the delays do not add up. Default: zero. A jitter longer than the period counts as the period; one
    /// that comes near it lets instants be missed.
    pub const fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// Sets what follows an instant that is missed.
    pub const fn missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }

    /// Sets what happens to an instant that comes before the work of the one before it is over.
    pub const fn overlap(self, overlap: Overlap) -> Self {
        Self { overlap, ..self }
    }

    /// Whether work may overlap: [`Overlap::Allow`].
    #[must_use]
    pub const fn overlaps(&self) -> bool {
        matches!(self.overlap, Overlap::Allow)
    }

    /// The bound of the jitter, in nanoseconds.
    pub(crate) fn jitter_nanos(&self) -> u64 {
        let most = if self.every.is_zero() { self.jitter } else { self.jitter.min(self.every) };
        u64::try_from(most.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What is due of a schedule, from [`Effect::Due`](crate::Effect::Due).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Due {
    /// Which schedule.
    pub schedule: ScheduleId,
    /// For which instant: the last one that has come, without the jitter.
    pub at: Instant,
    /// How many instants before it have passed without an effect, since the last effect of this schedule.
    pub missed: u64,
}
