//! The limits of a builder: what the machine is built for.

use std::time::Duration;

use plimsoll_core::{LaneLimits, Limits, Overflow, Rate, ResultLimits, SourceLimits};

use super::Builder;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.limits.$name = $name;
            self
        }
    )*};
}

impl<R> Builder<R> {
    limits! {
        /// How many tasks may wait for a free place (default 1,024). One more is refused with
        /// [`Refusal::Full`](crate::Refusal::Full), unless [`overflow`](Self::overflow) says which one gives way. 0 is legal:
        /// then a task is taken in only if it can start.
        ///
        /// ```
        /// # use plimsoll::{Processor, Refusal, Thread, infallible};
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let builder = Processor::builder().queue(1).concurrency(1);
        /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
        /// let (running, queued) = (processor.submit(1)?, processor.submit(2)?);
        /// let refused = processor.submit(3).unwrap_err();
        /// assert_eq!(refused.reason, Refusal::Full);
        /// assert_eq!(refused.into_value(), 3); // it is yours again
        /// # drop((running, queued));
        /// # Ok(())
        /// # }
        /// ```
        queue: u32
        /// How many attempts may run at the same time (default 64), those included that were asked to stop and go on. At the limit
        /// tasks wait in the [queue](Self::queue). [`set_concurrency`](crate::Access::set_concurrency) lowers it later, and raises
        /// it again up to this. 0 is an error when building.
        concurrency: u32
        /// How many tasks may be delayed or back off at the same time (default 256). One more with a delay is refused with
        /// [`Refusal::Delayed`](crate::Refusal::Delayed), so that work for later never shuts out work for now. What has failed is
        /// tried again in any case, and takes room of the queue if there is none here.
        ///
        /// ```
        /// # use plimsoll::{Processor, Refusal, Thread, infallible};
        /// # use std::time::Duration;
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let processor = Processor::builder().delayed(1).spawn_on(Thread::start()?, infallible(|_: u8| async {}))?;
        /// let hour = Duration::from_secs(3_600);
        /// processor.task(1).delay(hour).post()?;
        /// assert_eq!(processor.task(2).delay(hour).post().unwrap_err().reason, Refusal::Delayed);
        /// assert!(processor.submit(3)?.wait().is_ok());
        /// # Ok(())
        /// # }
        /// ```
        delayed: u32
        /// With this many orphans (attempts that go on although their task has settled), nothing is started until one of them stops.
        /// Default: no limit but the [concurrency](Self::concurrency), of which each keeps a place. 0 is an error when building.
        orphans: u32
        /// How many may wait for room or hold a permit at the same time (default 256). One more is refused with
        /// [`ReserveRefusal::Waiters`](crate::ReserveRefusal::Waiters), and a job that would wait with
        /// [`Refusal::Full`](crate::Refusal::Full).
        waiters: u32
        /// How many sleeps ([`Context::sleep`](crate::Context::sleep)) an attempt may have at the same time (default 4). One more
        /// ends at once with [`SleepRefusal::Full`](crate::SleepRefusal::Full).
        sleeps: u32
        /// How many emitters may be attached at the same time (default 8). One more is an
        /// [`AttachRefusal`](crate::AttachRefusal), and nothing is registered with it.
        emitters: u32
        /// How many subscriptions there may be at the same time (default 8). One more is a
        /// [`SubscribeRefusal`](crate::SubscribeRefusal).
        subscribers: u32
        /// How many events are kept for subscribers that have not read them yet (default 128). One more overwrites the oldest, and a
        /// subscriber that has not read it gets [`Notice::Lagged`](crate::Notice::Lagged). 0 is an error when building, where
        /// there may be subscribers.
        events: u32
        /// How many schedules there may be at the same time (default 8). One more is refused with
        /// [`ScheduleRefusal::Full`](crate::ScheduleRefusal::Full).
        schedules: u32
        /// The highest number of attempts that a task may ask for (default 16). One that asks for more is refused with
        /// [`Refusal::Attempts`](crate::Refusal::Attempts), and a default [`retry`](Self::retry) that does is an error when building. It
        /// takes no memory. 0 is an error when building.
        attempts: u32
        /// How many lanes there may be, and how many tasks of one may wait. Default: none. A task of one lane too many is refused with
        /// [`Refusal::Lanes`](crate::Refusal::Lanes), and one more of a full lane with
        /// [`Refusal::LaneFull`](crate::Refusal::LaneFull).
        ///
        /// ```
        /// # use plimsoll::{Lane, LaneLimits, Processor, Refusal, Thread, infallible, lane_key};
        /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let builder = Processor::builder().lanes(LaneLimits::new(1_000).queue(1));
        /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
        /// let slow = Lane::new(lane_key("slow.example")).concurrency(1);
        /// processor.task(1).lane(slow).post()?; // runs
        /// processor.task(2).lane(slow).post()?; // waits
        /// assert_eq!(processor.task(3).lane(slow).post().unwrap_err().reason, Refusal::LaneFull);
        /// processor.task(4).lane(Lane::new(lane_key("other.example"))).post()?; // nobody else is hurt
        /// # Ok(())
        /// # }
        /// ```
        lanes: LaneLimits
        /// How many sources there may be, and how many of their deliveries at the same time. Default: none. One more is
        /// refused when it is [opened](crate::Access::source).
        sources: SourceLimits
        /// Whether running attempts are watched: heartbeats, soft limits and progress need it. Default: no. Without it a task that asks
        /// for a heartbeat or a soft limit is refused with [`Refusal::NotMonitored`](crate::Refusal::NotMonitored), and
        /// [`Context::progress`](crate::Context::progress) keeps nothing. [`heartbeat`](Self::heartbeat) and
        /// [`slow_after`](Self::slow_after) turn it on. Takes 56 bytes a task.
        monitor: bool
        /// The seed of the backoff's jitter. Default 0: one that the runtime draws. Equal seeds and equal inputs give equal delays.
        seed: u64
    }

    /// How many handles there may be whose outcomes were not taken, settled or not. Default: as many as queue, concurrency and delayed
    /// tasks together, so that a caller that takes outcomes as they come never meets it. One more is refused with
    /// [`Refusal::Unclaimed`](crate::Refusal::Unclaimed). A caller that collects handles first and awaits them afterwards needs
    /// room for all of them.
    ///
    /// ```
    /// # use plimsoll::{Processor, Refusal, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().unclaimed(2).spawn_on(Thread::start()?, infallible(|n: u8| async move { n }))?;
    /// let (one, two) = (processor.submit(1)?, processor.submit(2)?);
    /// assert_eq!(processor.submit(3).unwrap_err().reason, Refusal::Unclaimed);
    /// assert_eq!(one.wait()?, 1);
    /// let three = processor.submit(3)?;
    /// # drop((two, three));
    /// # Ok(())
    /// # }
    /// ```
    pub fn unclaimed(mut self, unclaimed: u32) -> Self {
        self.limits.unclaimed = Some(unclaimed);
        self
    }

    /// Lets tasks have keys that no two have at the same time ([`Options::unique`](crate::Options::unique)), and sets how many of these
    /// keys are remembered at most after their tasks have completed; one more forgets the oldest. Default: there are no such keys, and a
    /// task that has one is refused with [`Refusal::NotDeduplicated`](crate::Refusal::NotDeduplicated).
    pub fn dedup(mut self, remembered: u32) -> Self {
        self.limits.dedup = Some(remembered);
        self
    }

    /// How many attempts may be started in a time. Default: any number. What comes faster waits in the queue.
    /// [`Access::set_rate`](crate::Access::set_rate) changes it, and [`Lane::rate`](crate::Lane::rate) is one for a key.
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

    /// Which task gives way when a task is submitted and the queue, or the task's lane, is full. It settles as
    /// [`TaskError::Shed`](crate::TaskError::Shed). Default: none, the new task is refused.
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

    /// All limits at once, but not those of a [cache](Self::cache): for limits that come from a configuration. Call it first: it
    /// replaces all limits, also those that were set before by other methods and are not in the configuration.
    ///
    /// ```
    /// # use plimsoll::{Limits, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut limits = Limits::default();
    /// (limits.queue, limits.concurrency) = (10_000, 32);
    /// let processor = Processor::builder().limits(limits).spawn_on(Thread::start()?, infallible(|n: u8| async move { n }))?;
    /// assert_eq!(processor.limits().queue, 10_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many results are retained for [`Access::result`](crate::Access::result), each for how long. Default: none, and a task that
    /// asks for it is refused with [`Refusal::NotRetained`](crate::Refusal::NotRetained). One more discards the oldest. See
    /// [`TaskBuilder::retain`](crate::TaskBuilder::retain).
    pub fn results(mut self, entries: u32, ttl: Option<Duration>) -> Self {
        self.limits.results = ResultLimits::new(entries, ttl);
        self
    }

    /// How often subscribers are shown the processor's health, by [`Notice::Health`](crate::Notice::Health). Default: never. Less than a
    /// millisecond is an error when building.
    pub fn health_every(mut self, every: Duration) -> Self {
        self.limits.health_every = Some(every);
        self
    }

    /// How often results and cache entries past their time to live are dropped. Default: never; they are not handed out, but
    /// keep their memory until it is needed. Less than a millisecond is an error when building.
    pub fn sweep_every(mut self, every: Duration) -> Self {
        self.limits.sweep_every = Some(every);
        self
    }
}
