//! What a machine may ever hold, and how many bytes that is.

use core::time::Duration;

use crate::processor::Deadlines;
use crate::{CacheLimits, InvalidLimits, Plan};

mod footprint;

pub use footprint::Footprint;

/// Everything a machine is built for. What it will ever hold is fixed here.
///
/// ```
/// use plimsoll_core::Limits;
/// let mut limits = Limits::default();
/// limits.queue = 10_000;
/// limits.concurrency = 32;
/// assert!(limits.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How many tasks may be admitted to wait for a place now (queued, and permits for room), beyond those that could
    /// start at once. 0 is legal: then a task is admitted only if it can start. Tasks for later do not count; when
    /// they fall due or are tried again they enter the queue whatever its length. Default 1,024.
    pub queue: u32,
    /// How many tasks may be delayed or back off at the same time, for one more delayed task to be admitted. So work
    /// for later never shuts out work for now. 0 is legal: then delayed tasks are refused. A failed attempt is tried
    /// again in any case: if more tasks back off than this, the rest takes room of the queue. Tasks that fell due
    /// while the queue was full take room of delayed ones until they have started. Default 256.
    pub delayed: u32,
    /// The highest number of attempts at the same time, orphans included. Default 64.
    pub concurrency: u32,
    /// With this many orphans nothing more is started until one has stopped. Default: unlimited, which the
    /// concurrency limit bounds.
    pub orphans: u32,
    /// How many tasks may be routed to a handle and not yet be taken or dropped, settled or not. Each place of a permit counts
    /// as one of them, for it may be used for such a task. Default `None`: as many
    /// as `queue`, `concurrency` and `delayed` admit together, so that nobody is refused for it who takes outcomes as
    /// they come. Whoever collects handles first and takes outcomes afterwards needs room for all of them.
    pub unclaimed: Option<u32>,
    /// How many results are retained, and for how long. Default: none.
    pub results: ResultLimits,
    /// How many sleeps a running attempt may have at a time. 0 is legal. Default 4.
    pub sleeps: u32,
    /// How many may wait for room or hold a permit for some at a time. Default 256.
    pub waiters: u32,
    /// How many sources may be attached at a time. Default 8.
    pub sources: u32,
    /// How many subscribers there may be at a time. Default 8.
    pub subscribers: u32,
    /// How many events are kept for subscribers that are behind. Default 128.
    pub events: u32,
    /// The cache. Default: none.
    pub cache: CacheLimits,
    /// The highest number of attempts that a task may ask for. From [`Retry::UNLIMITED`](crate::Retry::UNLIMITED) on,
    /// `u32::MAX` for instance, it may ask for any number, and for no bound. Nothing is built for it: it guards the machine
    /// against terms that others choose. Default 16.
    pub attempts: u32,
    /// How often [`last_health`](crate::Processor::last_health) is set anew, with an event. Default: never.
    pub health_every: Option<Duration>,
    /// How often the host is asked to sweep. Default: never.
    pub sweep_every: Option<Duration>,
    /// Seed of the backoff's jitter: equal seeds and inputs give equal outputs.
    pub seed: u64,
    /// Where the generations of all ids begin, so that the ids of one processor mean nothing to another one with
    /// another origin. Give each processor a number of its own, or one drawn at random. Default 0, with which they
    /// begin at 1.
    ///
    /// Origins are spread over the first sixteenth of the generations. So an id lasts a sixteenth less long at most, and
    /// an id of another processor is taken for one of this one's with a chance of at most one in that sixteenth for each
    /// try: 2⁻⁴⁸ with the default limits (12 bits are the slot, 52 the generation), 2⁻⁴⁰ with a million task slots.
    pub origin: u64,
}

/// Bounds of result retention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResultLimits {
    /// How many results are retained at most; one more discards the oldest. 0 turns retention off.
    pub entries: u32,
    /// For how long a result is retained: from its settlement, or since the host has observed it. An older one is never
    /// returned, and freed by `sweep`.
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
            sources: 8,
            subscribers: 8,
            events: 128,
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
    /// The most that `queue + concurrency + delayed + unclaimed + results.entries` may be, and each other limit alone but
    /// `orphans`, for which nothing is built.
    pub const MOST: u32 = 1 << 28;
    /// The most that `concurrency * sleeps` may be: what the default allows at the highest concurrency there is.
    pub const MOST_SLEEPS: u32 = 1 << 30;
    /// The shortest interval. Timers have a resolution of one millisecond.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

    /// Whether a machine can be built for these limits.
    ///
    /// # Errors
    /// The first field that is out of its bound.
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
            + u64::from(self.unclaimed_slots())
            + u64::from(self.results.entries);
        if tasks > u64::from(Self::MOST) {
            let field = "queue + concurrency + delayed + unclaimed + results.entries";
            return refuse(field, "at most 2^28", tasks);
        }
        let sleeps = u64::from(self.concurrency) * u64::from(self.sleeps);
        if sleeps > u64::from(Self::MOST_SLEEPS) {
            return refuse("concurrency * sleeps", "at most 2^30", sleeps);
        }
        for (field, value) in [
            ("waiters", self.waiters),
            ("sources", self.sources),
            ("subscribers", self.subscribers),
            ("events", self.events),
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

    /// How many tasks can have a slot at the same time: waiting, running, orphaned, settled and not yet
    /// handed out, or kept.
    #[must_use]
    pub const fn task_slots(&self) -> u32 {
        self.unsettled().saturating_add(self.unclaimed_slots()).saturating_add(self.results.entries)
    }

    /// How many tasks can be unsettled at the same time.
    pub(crate) const fn unsettled(&self) -> u32 {
        self.queue.saturating_add(self.concurrency).saturating_add(self.delayed)
    }

    /// How many tasks there can be at the same time whose outcomes are for a handle: [`unclaimed`](Self::unclaimed), or what
    /// follows from the others.
    #[must_use]
    #[inline]
    pub const fn unclaimed_slots(&self) -> u32 {
        match self.unclaimed {
            Some(unclaimed) => unclaimed,
            None => self.unsettled(),
        }
    }

    /// How many places one permit can have, however empty the machine is.
    pub(crate) const fn reservable(&self) -> u32 {
        let (room, unclaimed) = (self.queue.saturating_add(self.concurrency), self.unclaimed_slots());
        if room < unclaimed { room } else { unclaimed }
    }

    /// How many sleeps there can be at the same time.
    #[must_use]
    pub const fn sleep_slots(&self) -> u32 {
        self.concurrency.saturating_mul(self.sleeps)
    }

    /// How many timers there are, armed or not: one for each task slot, the two intervals, the deadline of a
    /// drain, and one for each sleep.
    #[must_use]
    pub const fn timer_slots(&self) -> u32 {
        Deadlines::timers(self.task_slots(), self.sleep_slots())
    }

    /// How many bytes a machine with these limits asks of the allocator, by part. It asks for them in
    /// [`Processor::new`](crate::Processor::new) and never again.
    #[must_use]
    pub fn footprint<P: Plan>(&self) -> Footprint {
        Footprint::of::<P>(self)
    }
}
