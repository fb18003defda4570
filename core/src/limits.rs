//! Limits: the most that a machine can ever hold, and how many bytes that takes.

use core::time::Duration;

use crate::processor::Deadlines;
use crate::{CacheLimits, InvalidLimits, LaneLimits, Overflow, Plan, Rate, SourceLimits};

mod footprint;

pub use footprint::Footprint;

/// The limits for which a machine is built. They fix the most that it can ever hold.
///
/// ```
/// use plimsoll_core::Limits;
/// let mut limits = Limits::default();
/// limits.queue = 10_000;
/// limits.concurrency = 32;
/// assert!(limits.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Limits {
    /// How many tasks may be admitted to wait for a concurrency place now, beyond those that could start at once;
    /// places of permits count as tasks. One more is refused with [`Refusal::Full`](crate::Refusal::Full), unless
    /// [`overflow`](Self::overflow) says which task gives way. 0 is legal: then a task is admitted only if it can start.
    /// Delayed tasks do not count; when they fall due, or are tried again, they enter the queue whatever its length. Default
    /// 1,024.
    pub queue: u32,
    /// How many tasks may be delayed or back off at the same time. A delayed task beyond that is refused with
    /// [`Refusal::Delayed`](crate::Refusal::Delayed), so work for later never shuts out work for now. 0 is legal: then delayed tasks are refused. A failed attempt is tried again
    /// in any case: if more tasks back off than this, the surplus takes room of the queue. Tasks that fell due while
    /// the queue was full take room of delayed tasks until they have started. Default 256.
    pub delayed: u32,
    /// How many attempts may run at the same time, orphans included; at the limit
    /// [`start_next`](crate::Processor::start_next) starts none. At least 1. Default 64.
    pub concurrency: u32,
    /// With this many orphans, no attempt is started until one of them has stopped. At least 1. Default: unlimited, so
    /// that only the concurrency limit bounds them.
    pub orphans: u32,
    /// How many tasks may be routed to handles at the same time, settled or not, until their outcomes are taken or
    /// their handles dropped. One more is refused with [`Refusal::Unclaimed`](crate::Refusal::Unclaimed). Each place of
    /// a permit counts as one, because it may be used for such a task. Default
    /// `None`: as many as `queue`, `concurrency` and `delayed` admit together, so that a caller that takes outcomes as
    /// they come is never refused for it. A caller that collects handles first and takes outcomes afterwards needs room
    /// for all of them.
    pub unclaimed: Option<u32>,
    /// How many results are retained, and for how long. One more discards the oldest. Default: none; then a task whose
    /// result is to be retained is refused with [`Refusal::NotRetained`](crate::Refusal::NotRetained).
    pub results: ResultLimits,
    /// How many sleeps a running attempt may have at the same time. One more is refused with
    /// [`SleepRefusal::Full`](crate::SleepRefusal::Full). 0 is legal. Default 4.
    pub sleeps: u32,
    /// How many waiters for room and permits there may be at the same time. One more is refused with
    /// [`WaitRefusal::Waiters`](crate::WaitRefusal::Waiters) or
    /// [`ReserveRefusal::Waiters`](crate::ReserveRefusal::Waiters). Default 256.
    pub waiters: u32,
    /// How many emitters may be attached at the same time. One more is refused with
    /// [`AttachRefusal`](crate::AttachRefusal), and its registrations are handed back. Default 8.
    pub emitters: u32,
    /// How many subscribers there may be at the same time. One more is refused with
    /// [`SubscribeRefusal`](crate::SubscribeRefusal). Default 8.
    pub subscribers: u32,
    /// How many events are kept for subscribers that have not read them yet. One more overwrites the oldest: a subscriber
    /// that has not read it learns how many it has lost ([`Next::Lagged`](crate::Next::Lagged)). Default 128.
    pub events: u32,
    /// How many schedules there may be at the same time. One more is refused with
    /// [`ScheduleRefusal::Full`](crate::ScheduleRefusal::Full). Default 8.
    pub schedules: u32,
    /// How many sources there may be, and how many of their deliveries at the same time. One more is refused with
    /// [`OpenRefusal`](crate::OpenRefusal), and a [pull](crate::Processor::begin_pull) asks for no more than there is room
    /// for. Default: none.
    pub sources: SourceLimits,
    /// Which task gives way when the queue is full. Default: none, the new one is refused.
    pub overflow: Overflow,
    /// How many attempts may be started in a time; what comes faster waits in the queue.
    /// [`set_rate`](crate::Processor::set_rate) changes it. Default: any number.
    pub rate: Option<Rate>,
    /// How many lanes there may be, and how many tasks of one may wait. A task of one lane too many is refused with
    /// [`Refusal::Lanes`](crate::Refusal::Lanes), one more of a full lane with
    /// [`Refusal::LaneFull`](crate::Refusal::LaneFull). Default: none.
    pub lanes: LaneLimits,
    /// Whether running attempts are monitored: heartbeat time-outs, [`Terms::slow_after`](crate::Terms::slow_after) and
    /// [progress](crate::Processor::progress) need it. Without it, terms that need it are refused with
    /// [`Refusal::NotMonitored`](crate::Refusal::NotMonitored). Takes 56 bytes a task slot. Default: no.
    pub monitor: bool,
    /// Whether tasks may have keys that no two have at the same time ([`Unique`](crate::Unique)), and how many of these
    /// keys are remembered at most after their tasks have completed; one more forgets the oldest. 0 is legal. Default
    /// `None`: there are no such keys, they take no memory, and a task with one is refused with
    /// [`Refusal::NotDeduplicated`](crate::Refusal::NotDeduplicated).
    pub dedup: Option<u32>,
    /// The cache. Default: none.
    pub cache: CacheLimits,
    /// The highest number of attempts that the terms of a task may ask for. A task that asks for more is refused with
    /// [`Refusal::Attempts`](crate::Refusal::Attempts). With
    /// [`Retry::UNLIMITED`](crate::Retry::UNLIMITED) or more, such as `u32::MAX`, they may ask for any number, and for
    /// no bound. Takes no memory: it guards the machine against terms that others choose. Default 16.
    pub attempts: u32,
    /// How often a health check renews [`last_health`](crate::Processor::last_health) and publishes an event. Default:
    /// never.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub health_every: Option<Duration>,
    /// How often the host is asked to sweep. Default: never.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub sweep_every: Option<Duration>,
    /// The seed of the backoff's jitter: equal seeds and inputs give equal outputs. Default 0.
    pub seed: u64,
    /// Where the generations of all ids begin, so that the ids of one processor mean nothing to a processor with
    /// another origin. Give each processor a number of its own, or one drawn at random. Default 0: generations begin at
    /// 1.
    ///
    /// Origins are spread over the first sixteenth of the generations. So generations last at most a sixteenth less
    /// long, and an id of another processor is taken for one of this processor with a chance of at most one in that
    /// sixteenth a try: 2⁻⁴⁸ with the default limits (12 bits for the slot, 52 for the generation), 2⁻⁴⁰ with a million
    /// task slots.
    pub origin: u64,
}

/// Bounds of result retention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct ResultLimits {
    /// How many results are retained at most. One more discards the oldest. 0 turns retention off.
    pub entries: u32,
    /// For how long a result is retained, from its settlement or, if the host observes outcomes, from the moment it was
    /// given back. An older result is never returned, and is freed by `sweep`. Default: without end.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub ttl: Option<Duration>,
}

impl ResultLimits {
    /// At most `entries` results, each for at most `ttl`.
    #[must_use]
    pub const fn new(entries: u32, ttl: Option<Duration>) -> Self {
        Self { entries, ttl }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 1_024,
            delayed: 256,
            concurrency: 64,
            orphans: u32::MAX,
            unclaimed: None,
            results: ResultLimits::default(),
            sleeps: 4,
            waiters: 256,
            emitters: 8,
            subscribers: 8,
            events: 128,
            schedules: 8,
            sources: SourceLimits::default(),
            overflow: Overflow::Refuse,
            rate: None,
            lanes: LaneLimits::default(),
            dedup: None,
            monitor: false,
            cache: CacheLimits::default(),
            attempts: 16,
            health_every: None,
            sweep_every: None,
            seed: 0,
            origin: 0,
        }
    }
}

impl Limits {
    /// The highest legal sum `queue + concurrency + delayed + sources.credit + unclaimed + results.entries`, and the highest
    /// legal value of each of `waiters`, `emitters`, `subscribers`, `events`, `schedules`, `lanes.lanes`, `dedup` and `cache.entries`.
    pub const MOST: u32 = 1 << 28;
    /// The highest legal product `concurrency * sleeps`: the default `sleeps` at the highest possible concurrency.
    pub const MOST_SLEEPS: u32 = 1 << 30;
    /// The shortest legal interval: one tick of the timers.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

    /// Whether a machine can be built for these limits.
    ///
    /// # Errors
    /// [`InvalidLimits`], for the first field that is out of its bound.
    pub fn check(&self) -> Result<(), InvalidLimits> {
        let refuse = |field, bound, value| Err(InvalidLimits::new(field, bound, value));
        if self.concurrency == 0 {
            return refuse("concurrency", "at least 1", 0);
        }
        if self.orphans == 0 {
            return refuse("orphans", "at least 1", 0);
        }
        if self.attempts == 0 {
            return refuse("attempts", "at least 1", 0);
        }
        if self.subscribers > 0 && self.events == 0 {
            return refuse("events", "at least 1 when there may be subscribers", 0);
        }
        let tasks = u64::from(self.queue)
            + u64::from(self.concurrency)
            + u64::from(self.delayed)
            + u64::from(self.credit())
            + u64::from(self.unclaimed_slots())
            + u64::from(self.results.entries);
        if tasks > u64::from(Self::MOST) {
            let field = "queue + concurrency + delayed + sources.credit + unclaimed + results.entries";
            return refuse(field, "at most 2^28", tasks);
        }
        if self.sources.sources > SourceLimits::MOST {
            return refuse("sources.sources", "at most 64", u64::from(self.sources.sources));
        }
        let sleeps = u64::from(self.concurrency) * u64::from(self.sleeps);
        if sleeps > u64::from(Self::MOST_SLEEPS) {
            return refuse("concurrency * sleeps", "at most 2^30", sleeps);
        }
        for (field, value) in [
            ("waiters", self.waiters),
            ("emitters", self.emitters),
            ("subscribers", self.subscribers),
            ("events", self.events),
            ("schedules", self.schedules),
            ("lanes.lanes", self.lanes.lanes),
            ("dedup", self.dedup.unwrap_or(0)),
            ("cache.entries", self.cache.entries),
        ] {
            if value > Self::MOST {
                return refuse(field, "at most 2^28", u64::from(value));
            }
        }
        for (field, every) in [("health_every", self.health_every), ("sweep_every", self.sweep_every)] {
            if let Some(every) = every.filter(|every| *every < Self::SHORTEST_INTERVAL) {
                let nanos = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
                return refuse(field, "at least 1 ms", nanos);
            }
        }
        Ok(())
    }

    /// How many tasks can have a slot at the same time: waiting, running, orphaned, or settled and still in the
    /// machine.
    #[must_use]
    pub const fn task_slots(&self) -> u32 {
        self.unsettled().saturating_add(self.unclaimed_slots()).saturating_add(self.results.entries)
    }

    /// How many tasks can be unsettled at the same time.
    pub(crate) const fn unsettled(&self) -> u32 {
        self.submitted().saturating_add(self.credit())
    }

    /// How many of the unsettled tasks can be tasks that no source has delivered.
    pub(crate) const fn submitted(&self) -> u32 {
        self.queue.saturating_add(self.concurrency).saturating_add(self.delayed)
    }

    /// How many deliveries there can be at the same time: [`SourceLimits::credit`] if it is set, otherwise the concurrency
    /// for each source.
    #[must_use]
    pub const fn credit(&self) -> u32 {
        match self.sources.credit {
            _ if self.sources.sources == 0 => 0,
            Some(credit) => credit,
            None => self.sources.sources.saturating_mul(self.concurrency),
        }
    }

    /// How many tasks can be routed to handles at the same time: [`unclaimed`](Self::unclaimed) if it is set, otherwise
    /// as many as can be submitted and unsettled.
    #[must_use]
    #[inline]
    pub const fn unclaimed_slots(&self) -> u32 {
        match self.unclaimed {
            Some(unclaimed) => unclaimed,
            None => self.submitted(),
        }
    }

    /// How many places a permit can have, in an empty machine.
    pub(crate) const fn reservable(&self) -> u32 {
        let (room, unclaimed) = (self.queue.saturating_add(self.concurrency), self.unclaimed_slots());
        if room < unclaimed { room } else { unclaimed }
    }

    /// How many sleeps there can be at the same time.
    #[must_use]
    pub const fn sleep_slots(&self) -> u32 {
        self.concurrency.saturating_mul(self.sleeps)
    }

    /// How many tasks of one lane may wait: [`LaneLimits::queue`] if it is set, otherwise half of the queue.
    pub(crate) const fn lane_queue(&self) -> u32 {
        match self.lanes.queue {
            Some(queue) => queue,
            None => self.queue.div_ceil(2),
        }
    }

    /// The numbers of lanes are below this. One lane always exists if there may be others, and has no timer.
    pub(crate) const fn lane_slots(&self) -> u32 {
        if self.lanes.lanes == 0 { 0 } else { self.lanes.lanes.saturating_add(1) }
    }

    /// How many timers there are, armed or not: one for each task slot, one for each sleep, one for each lane, one for
    /// each schedule, one for each source, two for the intervals, one for the rate or a hold, and one for the deadline of a drain.
    #[must_use]
    pub const fn timer_slots(&self) -> u32 {
        Deadlines::timers(self)
    }

    /// How many bytes a machine with these limits allocates, by part. It allocates them in
    /// [`Processor::new`](crate::Processor::new) and nothing later.
    #[must_use]
    pub fn footprint<P: Plan>(&self) -> Footprint {
        Footprint::of::<P>(self)
    }
}
