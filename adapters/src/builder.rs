//! What a processor is to be like.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::{
    InvalidLimits, LaneLimits, Limits, Overflow, Priority, Rate, ResultLimits, Retry, SourceLimits, Timeouts,
};

use crate::cache::{Cache, CachePart, NoCache};
use crate::engine::base::{MOST_IN_HAND, Shape};
use crate::engine::machine::MOST_WORKERS;
use crate::options::Defaults;
use crate::processor::Processor;
use crate::runtime::Threads;

/// Jobs run once and are never cloned: how every builder begins.
#[derive(Debug)]
pub struct Once(());

/// Jobs may be tried again, and are cloned for that: what [`Builder::retry`] leads to.
#[derive(Debug)]
pub struct Cloning(());

/// Whether jobs are cloned: [`Once`] or [`Cloning`].
pub trait Mode<J>: sealed::Sealed {
    #[doc(hidden)]
    const CLONE: Option<fn(&J) -> J>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Once {}
    impl Sealed for super::Cloning {}
}

impl<J> Mode<J> for Once {
    const CLONE: Option<fn(&J) -> J> = None;
}

impl<J: Clone> Mode<J> for Cloning {
    const CLONE: Option<fn(&J) -> J> = Some(J::clone);
}

/// Builds a [`Processor`]. Every limit has a default: see [`Limits`].
///
/// ```
/// use plimsoll::{Context, Processor, Retry, Thread};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = Processor::builder()
///     .queue(1_000)
///     .concurrency(32)
///     .timeout(Duration::from_secs(30))
///     .retry(Retry::times(2))
///     .spawn_on(Thread::start()?, |job: String, cx: Context<u32>| async move {
///         if cx.attempt() < 2 { Err("not yet") } else { Ok(job) }
///     })?;
/// # drop(processor);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `spawn_on`"]
pub struct Builder<R = Once> {
    pub(crate) limits: Limits,
    pub(crate) cache: Arc<dyn CachePart>,
    pub(crate) defaults: Defaults,
    pub(crate) cancel_grace: Duration,
    prefetch: Option<u32>,
    mode: PhantomData<fn() -> R>,
}

/// A further builder with the same settings. A cache goes to the processor that is built first.
impl<R> Clone for Builder<R> {
    fn clone(&self) -> Self {
        let &Self { limits, defaults, cancel_grace, prefetch, mode, .. } = self;
        Self { limits, cache: self.cache.clone(), defaults, cancel_grace, prefetch, mode }
    }
}

impl<R> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("cache", &self.cache.limits())
            .field("defaults", &self.defaults)
            .field("cancel_grace", &self.cancel_grace)
            .field("prefetch", &self.prefetch)
            .finish()
    }
}

impl Processor<fn(()) -> Result<(), ()>> {
    /// Begins to build a processor. The types of job, output and error are those of the handler.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        Self {
            limits: Limits::default(),
            cache: Arc::new(NoCache),
            defaults: Defaults::default(),
            cancel_grace: Duration::ZERO,
            prefetch: None,
            mode: PhantomData,
        }
    }
}

macro_rules! limit {
    ($($name:ident: $type:ty)*) => {$(
        #[doc = concat!("Sets [`Limits::", stringify!($name), "`].")]
        pub fn $name(mut self, $name: $type) -> Self {
            self.limits.$name = $name;
            self
        }
    )*};
}

impl<R> Builder<R> {
    limit! {
        queue: u32
        concurrency: u32
        delayed: u32
        orphans: u32
        waiters: u32
        sleeps: u32
        emitters: u32
        subscribers: u32
        events: u32
        schedules: u32
        attempts: u32
        lanes: LaneLimits
        sources: SourceLimits
        monitor: bool
        seed: u64
    }

    /// Sets [`Limits::unclaimed`], which otherwise follows from the others.
    pub fn unclaimed(mut self, unclaimed: u32) -> Self {
        self.limits.unclaimed = Some(unclaimed);
        self
    }

    /// Lets tasks have keys that no two have at the same time ([`Options::unique`](crate::Options::unique)), and sets how many
    /// of these keys are remembered at most after their tasks have completed: [`Limits::dedup`].
    pub fn dedup(mut self, remembered: u32) -> Self {
        self.limits.dedup = Some(remembered);
        self
    }

    /// Sets [`Limits::rate`]: how many attempts may be started in a time. [`Access::set_rate`](crate::Access::set_rate)
    /// changes it, and [`Lane::rate`](crate::Lane::rate) is one for a key. Default: any number.
    ///
    /// ```
    /// # use plimsoll::{Processor, Rate, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // A thousand a second, evenly spread; after a time without starts up to ten at once.
    /// let rate = Rate::new(1_000, Duration::from_secs(1)).burst(10);
    /// let processor = Processor::builder().rate(rate).spawn_on(Thread::start()?, infallible(|n: u32| async move { n }))?;
    /// for n in 0..20 {
    ///     processor.task(n).post()?;
    /// }
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.totals().settled.completed, 20);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rate(mut self, rate: Rate) -> Self {
        self.limits.rate = Some(rate);
        self
    }

    /// Sets [`Limits::overflow`]: which task gives way when a task is submitted and the queue, or the task's lane, is full.
    /// Default: none, the new task is refused.
    ///
    /// ```
    /// # use plimsoll::{Overflow, Processor, TaskError, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .queue(1)
    ///     .overflow(Overflow::DropOldest)
    ///     .spawn_on(Thread::start()?, infallible(|price: u32| async move { price }))?;
    /// processor.pause();
    /// let (old, new) = (processor.submit(100)?, processor.submit(101)?);
    /// assert_eq!(old.wait(), Err(TaskError::Shed));
    /// processor.resume();
    /// assert_eq!(new.wait(), Ok(101));
    /// # Ok(())
    /// # }
    /// ```
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.limits.overflow = overflow;
        self
    }

    /// Sets all limits at once, but not those of a [cache](Self::cache).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many results are retained, each for how long. See [`TaskBuilder::retain`](crate::TaskBuilder::retain).
    pub fn results(mut self, entries: u32, ttl: Option<Duration>) -> Self {
        self.limits.results = ResultLimits::new(entries, ttl);
        self
    }

    /// Sets how often subscribers are shown the processor's health, by [`Notice::Health`](crate::Notice::Health).
    pub fn health_every(mut self, every: Duration) -> Self {
        self.limits.health_every = Some(every);
        self
    }

    /// Sets how often expired results and cache entries are dropped.
    pub fn sweep_every(mut self, every: Duration) -> Self {
        self.limits.sweep_every = Some(every);
        self
    }

    /// Sets the time-outs of tasks whose [`Options`](crate::Options) name none. Default: none.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.defaults.timeouts = timeouts;
        self
    }

    /// Sets how long each attempt may run: [`Timeouts::start_to_close`] alone. Default: for ever. Zero is refused when
    /// building.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.defaults.timeouts.start_to_close = Some(limit);
        self
    }

    /// Sets for how long an attempt may be silent: [`Timeouts::heartbeat`] alone. A handler tells that it is alive by
    /// [`Context::heartbeat`](crate::Context::heartbeat). Default: for ever. Zero is refused when building. Attempts are
    /// [monitored](Self::monitor) then.
    pub fn heartbeat(mut self, limit: Duration) -> Self {
        self.defaults.timeouts.heartbeat = Some(limit);
        self
    }

    /// Sets the soft limit of tasks whose [`Options`](crate::Options) name none: an attempt that runs for longer is reported
    /// once, by [`Event::Slow`](crate::Event::Slow) and in [`Totals::slow`](crate::Totals::slow), and goes on. Default: none.
    /// Attempts are [monitored](Self::monitor) then.
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use plimsoll::{Context, Event, Notice, Processor, Thread};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().slow_after(Duration::from_millis(5)).subscribers(1).spawn_on(
    ///     Thread::start()?,
    ///     |time: Duration, cx: Context<&'static str>| async move { cx.sleep(time).await },
    /// )?;
    /// let slow = processor.subscribe()?.filter_map(async |notice| match notice {
    ///     Notice::Event(Event::Slow { meta, .. }) => Some(meta),
    ///     _ => None,
    /// });
    /// processor.task(Duration::ZERO).meta("a short one").post()?;
    /// processor.task(Duration::from_secs(60)).meta("a long one").post()?;
    /// let mut slow = std::pin::pin!(slow);
    /// assert_eq!(futures::executor::block_on(slow.next()), Some("a long one"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn slow_after(mut self, limit: Duration) -> Self {
        self.defaults.slow_after = Some(limit);
        self
    }

    /// Sets the class of the queue for tasks whose [`Options`](crate::Options) name none.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.defaults.priority = priority;
        self
    }

    /// Sets how long an attempt that was asked to stop may go on before its future is dropped, counted from the request.
    /// It gives its place back when it is over. Default: zero, its future is dropped without a further poll. The end of the
    /// processor does not wait for it.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// Sets how many attempts a worker takes at a time, 1 to 64. Default: 1 on a runtime with several threads, and 64 on
    /// one thread.
    ///
    /// With several threads each handler then runs as if it had been spawned on its own: one that blocks its thread delays
    /// no other. If your handlers never do, taking some three at a time is cheaper. On one thread a handler that computes
    /// for long delays all others in any case; a worker that notices that takes one attempt at a time by itself.
    pub fn prefetch(mut self, attempts: u32) -> Self {
        self.prefetch = Some(attempts);
        self
    }

    /// Sets how tasks are tried again whose [`Options`](crate::Options) do not say so. From now on the job has to be
    /// `Clone`: a worker clones it, without a lock, before each attempt, the last one too, for any may be
    /// [snoozed](crate::Context::snooze). Behind an `Arc` that costs little. Without this a processor allows one attempt at
    /// each task, and refuses tasks that ask for more.
    pub fn retry(mut self, retry: Retry) -> Builder<Cloning> {
        self.defaults.retry = retry;
        let Self { limits, cache, defaults, cancel_grace, prefetch, .. } = self;
        Builder { limits, cache, defaults, cancel_grace, prefetch, mode: PhantomData }
    }

    /// Makes a cache a part of the processor: it is swept with the results, counted in census and ledger, and emptied for good
    /// at the end. A cache belongs to one processor; one that is another's already is refused when building. Default: none.
    pub fn cache<K, V>(mut self, cache: &Cache<K, V>) -> Self
    where
        K: Send + 'static,
        V: Send + Sync + 'static,
    {
        self.cache = cache.part();
        self
    }

    /// The limits, with the monitor that the default terms need.
    pub(crate) fn limits_with_monitor(&self) -> Limits {
        let mut limits = self.limits;
        limits.monitor |= self.defaults.terms().need_monitor();
        limits
    }

    pub(crate) fn shape(&self, threads: Threads) -> Shape {
        let (workers, in_hand) = match threads {
            Threads::One => (1, MOST_IN_HAND),
            // One more than there are attempts, so that effects are performed although all of those block.
            Threads::Several => (self.limits.concurrency.min(MOST_WORKERS).saturating_add(1), 1),
        };
        let in_hand = self.prefetch.unwrap_or(in_hand).clamp(1, MOST_IN_HAND);
        Shape {
            workers,
            in_hand,
            has_several_threads: threads != Threads::One,
            has_grace: !self.cancel_grace.is_zero(),
        }
    }

    /// Whether the limits are those of a machine without a cache, and a task on the default terms could be taken in at all.
    pub(crate) fn check_defaults(&self) -> Result<(), InvalidLimits> {
        let entries = self.limits.cache.entries;
        if entries > 0 {
            let bound = "zero: a cache is made by `Cache::new`, and handed over by `Builder::cache`";
            return Err(InvalidLimits::new("cache.entries", bound, entries.into()));
        }
        let attempts = self.limits.attempts;
        if self.defaults.retry.total() > attempts {
            let bound = "at least as many as `retry` asks for";
            return Err(InvalidLimits::new("attempts", bound, attempts.into()));
        }
        if self.defaults.timeouts.have_zero() {
            return Err(InvalidLimits::new("timeouts", "longer than zero, each of them", 0));
        }
        Ok(())
    }
}
