//! Probes: whether a processor makes progress, and whether it is to be sent work.

use std::fmt;
use std::time::Duration;

use plimsoll_core::{Hold, Instant, Limits, Phase, Plan, Processor};

/// How many health periods a processor may show no sign of life.
const PERIODS: u32 = 3;

/// Stands for the health period where none is set.
const DEFAULT_PERIOD: Duration = Duration::from_secs(10);

/// How often metrics are published, and how long a probe takes for a sign of life: the health interval, if one is set.
pub(crate) fn health_period(limits: &Limits) -> Duration {
    limits.health_every.unwrap_or(DEFAULT_PERIOD)
}

/// A processor that was full is ready again once this part of its queue is free.
const FREE_PART: u32 = 10;

/// Why a processor is not live. See [`Access::is_live`](crate::Access::is_live).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NotLive {
    /// It has ended, or its runtime has dropped it: it will never do anything again.
    Ended,
    /// Time stands still for it: what was due so long ago has not happened. Its runtime has stopped, or all of its
    /// threads are blocked, by a handler that never yields for instance.
    Late {
        /// How long ago a probe first saw that something was due, with nothing done about it since.
        #[cfg_attr(feature = "serde", serde(with = "plimsoll_core::serialized::duration"))]
        time: Duration,
    },
    /// Every place of the concurrency limit is held by an attempt that has hung, and none has been started for so long.
    Stuck {
        /// How many attempts have hung: those that were asked to stop and still run, and those that were reported as
        /// slow.
        attempts: u32,
        /// How long ago a probe first saw that, with no attempt started since.
        #[cfg_attr(feature = "serde", serde(with = "plimsoll_core::serialized::duration"))]
        time: Duration,
    },
}

impl fmt::Display for NotLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the processor has ended"),
            Self::Late { time } => {
                write!(f, "a timer has been due for {time:?}: the runtime has stopped, or is blocked")
            }
            Self::Stuck { attempts, time } => {
                write!(
                    f,
                    "all places are held by {attempts} attempts that have hung, and none was started for {time:?}"
                )
            }
        }
    }
}

impl std::error::Error for NotLive {}

/// Why a processor is not ready. See [`Access::is_ready`](crate::Access::is_ready).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NotReady {
    /// It is draining, or has ended.
    Ending,
    /// It is [paused](crate::Access::pause), or its [concurrency](crate::Access::set_concurrency) is set to 0.
    Paused,
    /// There is no room, or there was none and a tenth of the queue is not free again yet.
    Full {
        /// How many tasks it would take in now.
        free_room: u32,
        /// How many that have to be for it to be ready.
        needed: u32,
    },
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ending => f.write_str("the processor is draining or has ended"),
            Self::Paused => f.write_str("the processor is paused"),
            Self::Full { free_room, needed } => {
                write!(f, "the queue is full: {free_room} places are free, {needed} are needed")
            }
        }
    }
}

impl std::error::Error for NotReady {}

/// What one probe leaves for the next one. Under the machine's lock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Probes {
    /// Since when something has been due, and how often the timekeeper had looked at the timers by then.
    late: Option<Standstill>,
    /// Since when hung attempts have held every place, and how many attempts had been started by then.
    stuck: Option<Standstill>,
    /// Whether the last probe of readiness found it full.
    was_full: bool,
}

/// Since when probes have seen the same thing, and a count that stays the same as long as nothing moves.
#[derive(Clone, Copy, Debug)]
struct Standstill {
    since: Instant,
    count: u64,
}

impl Standstill {
    /// For how long it has lasted if `is_so` now, in a place where the last probe has left it. Not at all, if the count
    /// has changed since then.
    fn lasts(place: &mut Option<Self>, is_so: bool, count: u64, now: Instant) -> Duration {
        let last = place.filter(|last| last.count == count).unwrap_or(Self { since: now, count });
        *place = is_so.then_some(last);
        if is_so { now.saturating_since(last.since) } else { Duration::ZERO }
    }
}

impl Probes {
    /// See [`Access::is_live`](crate::Access::is_live). The timekeeper has looked at the timers so many `rounds`, and has to at the `deadline`.
    pub(crate) fn check_live<P: Plan>(
        &mut self,
        machine: &Processor<P>,
        (rounds, deadline): (u64, Instant),
        now: Instant,
    ) -> Result<(), NotLive> {
        if machine.phase() == Phase::Drained {
            return Err(NotLive::Ended);
        }
        let patience = health_period(machine.limits()).saturating_mul(PERIODS);
        let time = Standstill::lasts(&mut self.late, deadline <= now, rounds, now);
        if time > patience {
            return Err(NotLive::Late { time });
        }
        let (hung, started) = (hung_attempts(machine), machine.totals().started);
        let time = Standstill::lasts(&mut self.stuck, hung.is_some(), started, now);
        match hung {
            Some(attempts) if time > patience => Err(NotLive::Stuck { attempts, time }),
            _ => Ok(()),
        }
    }

    /// See [`Access::is_ready`](crate::Access::is_ready).
    pub(crate) fn check_ready<P: Plan>(
        &mut self,
        machine: &Processor<P>,
        now: Instant,
    ) -> Result<(), NotReady> {
        let health = machine.health(now);
        if health.phase != Phase::Open {
            return Err(NotReady::Ending);
        }
        if matches!(health.hold, Hold::Paused) || machine.concurrency() == 0 {
            return Err(NotReady::Paused);
        }
        let part = if self.was_full { machine.limits().queue / FREE_PART } else { 0 };
        let (free_room, needed) = (health.free_room, part.max(1));
        self.was_full = free_room < needed;
        if self.was_full { Err(NotReady::Full { free_room, needed }) } else { Ok(()) }
    }
}

/// How many attempts have hung, if for their sake no other can be started.
fn hung_attempts<P: Plan>(machine: &Processor<P>) -> Option<u32> {
    let (census, concurrency, hung) = (machine.census(), machine.concurrency(), machine.hung());
    let most_orphans = machine.limits().orphans.min(concurrency);
    let placed = census.running.saturating_add(census.orphans);
    let is_stuck = census.orphans >= most_orphans || (placed >= concurrency && hung >= placed);
    (is_stuck && concurrency > 0).then_some(hung)
}
