//! Probes: whether a processor makes progress, and whether it is to be sent work.

use std::fmt;
use std::time::Duration;

use plimsoll_core::{Hold, Instant, Limits, Phase};

use crate::access::Access;
use crate::engine::state::State;
use crate::work::AnyWork;

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

/// Why a processor is not live. See [`Access::is_live`].
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

/// Why a processor is not ready. See [`Access::is_ready`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NotReady {
    /// It is draining, or has ended.
    Ending,
    /// It is [paused](Access::pause), or its [concurrency](Access::set_concurrency) is set to 0.
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

impl<W: AnyWork> Access<W> {
    /// Whether the processor makes progress: a liveness probe, by which a supervisor knows when to start the process
    /// again.
    ///
    /// It is live as long as
    /// - it has not ended. A processor that drains is live;
    /// - what is due is done: the timekeeper looks at the timers when one is due. The [health
    ///   check](crate::Builder::health_every) is such a timer, and so with one a runtime that has stopped, or whose
    ///   threads are all blocked, is always noticed. Without one that is noticed only while some other timer is armed,
    ///   a task's time-out for instance;
    /// - not every place is held by attempts that have hung. Those are attempts that were asked to stop and still run,
    ///   whether their task is settled or is [to be tried again](crate::Retry::on_timeout), and attempts that were
    ///   reported as [slow](crate::Builder::slow_after). As many [orphans](crate::Health::orphans) as
    ///   [`Limits::orphans`](crate::Limits::orphans) allows count as every place, for they keep others from starting.
    ///
    /// It takes two probes to see either of the last two, the second more than three health periods (without one,
    /// thirty seconds) after the first, with no timer looked at, or no attempt started, in between. So a process that
    /// was suspended is not taken for dead. Ask it regularly, at least once in that time.
    ///
    /// So a handler that hangs is noticed where its tasks have a time-out or a soft limit. The soft limit should then
    /// be longer than any attempt that is well: where all places are held by attempts beyond it for that long, this
    /// says so.
    ///
    /// O(1), one short hold of the machine's lock, no allocation. For two probes of a processor behind a web server:
    ///
    /// ```
    /// use plimsoll::{Drain, Processor, Submitter, Thread, infallible};
    /// use std::time::Duration;
    ///
    /// type Jobs = fn(u32) -> Result<u32, std::convert::Infallible>;
    ///
    /// /// Status and body of the answers to `GET /livez` and `GET /readyz`.
    /// fn livez(jobs: &Submitter<Jobs>) -> (u16, String) {
    ///     jobs.is_live().map_or_else(|why| (503, why.to_string()), |()| (200, "live".into()))
    /// }
    ///
    /// fn readyz(jobs: &Submitter<Jobs>) -> (u16, String) {
    ///     jobs.is_ready().map_or_else(|why| (503, why.to_string()), |()| (200, "ready".into()))
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .health_every(Duration::from_secs(5))
    ///     .spawn_on(Thread::start()?, infallible(|n: u32| async move { n }))?;
    /// let jobs = processor.submitter();
    /// assert_eq!((livez(&jobs).0, readyz(&jobs).0), (200, 200));
    /// processor.pause();
    /// assert_eq!((livez(&jobs).0, readyz(&jobs)), (200, (503, "the processor is paused".into())));
    /// futures::executor::block_on(processor.shutdown(Drain::Cancel));
    /// assert_eq!(livez(&jobs), (503, "the processor has ended".into()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`NotLive`]: why not.
    pub fn is_live(&self) -> Result<(), NotLive> {
        let now = self.shared.now();
        self.shared.lock().check_live(now)
    }

    /// Whether the processor is to be sent work: a readiness probe. It is ready while it is open, not paused, and has
    /// room for a task. Once a probe has found it full, it is ready again when a tenth of its queue is free, so that a
    /// queue that is full now and then doesn't make it come and go. A [hold](Self::hold), a rate and paused classes
    /// leave it ready.
    ///
    /// O(1), one short hold of the machine's lock, no allocation. [`is_live`](Self::is_live) has an example.
    ///
    /// # Errors
    /// [`NotReady`]: why not.
    pub fn is_ready(&self) -> Result<(), NotReady> {
        let now = self.shared.now();
        self.shared.lock().check_ready(now)
    }
}

impl<W: AnyWork> State<W> {
    fn check_live(&mut self, now: Instant) -> Result<(), NotLive> {
        if self.machine.phase() == Phase::Drained {
            return Err(NotLive::Ended);
        }
        let patience = health_period(self.machine.limits()).saturating_mul(PERIODS);
        let is_due = self.next_deadline() <= now;
        let time = Standstill::lasts(&mut self.probes.late, is_due, self.rounds, now);
        if time > patience {
            return Err(NotLive::Late { time });
        }
        let (hung, started) = (self.hung_attempts(), self.machine.totals().started);
        let time = Standstill::lasts(&mut self.probes.stuck, hung.is_some(), started, now);
        match hung {
            Some(attempts) if time > patience => Err(NotLive::Stuck { attempts, time }),
            _ => Ok(()),
        }
    }

    /// How many attempts have hung, if for their sake no other can be started.
    fn hung_attempts(&self) -> Option<u32> {
        let (census, concurrency, hung) =
            (self.machine.census(), self.machine.concurrency(), self.machine.hung());
        let most_orphans = self.machine.limits().orphans.min(concurrency);
        let placed = census.running.saturating_add(census.orphans);
        let is_stuck = census.orphans >= most_orphans || (placed >= concurrency && hung >= placed);
        (is_stuck && concurrency > 0).then_some(hung)
    }

    fn check_ready(&mut self, now: Instant) -> Result<(), NotReady> {
        let health = self.machine.health(now);
        if health.phase != Phase::Open {
            return Err(NotReady::Ending);
        }
        if matches!(health.hold, Hold::Paused) || self.machine.concurrency() == 0 {
            return Err(NotReady::Paused);
        }
        let part = if self.probes.was_full { self.machine.limits().queue / FREE_PART } else { 0 };
        let (free_room, needed) = (health.free_room, part.max(1));
        self.probes.was_full = free_room < needed;
        if self.probes.was_full { Err(NotReady::Full { free_room, needed }) } else { Ok(()) }
    }
}
