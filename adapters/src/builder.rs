//! What a processor is to be like.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::{InvalidLimits, Limits, Priority, Retry, Timeouts};

use crate::cache::{Cache, CachePart, NoCache};
use crate::engine::base::{MOST_IN_HAND, Shape};
use crate::engine::machine::MOST_WORKERS;
use crate::meter::Metering;
use crate::options::Defaults;
use crate::processor::Processor;
use crate::runtime::Threads;

mod limits;
#[cfg(feature = "metrics")]
mod metering;

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
    pub(crate) name: Cow<'static, str>,
    pub(crate) metering: Metering,
    prefetch: Option<u32>,
    mode: PhantomData<fn() -> R>,
}

/// A further builder with the same settings, the cache included. That goes to the processor that is built first; building
/// another one is then an error, [`BuildError::Cache`](crate::BuildError::Cache).
impl<R> Clone for Builder<R> {
    fn clone(&self) -> Self {
        let &Self { limits, defaults, cancel_grace, metering, prefetch, mode, .. } = self;
        let (cache, name) = (self.cache.clone(), self.name.clone());
        Self { limits, cache, defaults, cancel_grace, name, metering, prefetch, mode }
    }
}

impl<R> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
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
            name: Cow::Borrowed("plimsoll"),
            metering: Metering::OFF,
            prefetch: None,
            mode: PhantomData,
        }
    }
}

impl<R> Builder<R> {
    /// Sets the name of the processor (default: `plimsoll`), which its metrics and its spans have, and
    /// [`Access::name`](crate::Access::name) returns. Give each processor of a program a name of its own. Metrics are
    /// described at `Builder::metrics`, of the feature `metrics`.
    ///
    /// # Spans
    ///
    /// With the feature `tracing` each attempt at a task has a span of the [`tracing`](https://docs.rs/tracing) facade,
    /// called `process`, of the target `plimsoll` and the level `INFO`. The handler is called in it, and its future
    /// polled and dropped. (The future of a [batch function](crate::batched) is polled in the span of one of its
    /// attempts.) Its fields:
    ///
    /// | field | what it is |
    /// |---|---|
    /// | `otel.name` | `process` and the name of the processor |
    /// | `otel.kind` | `consumer` if the task came from a [durable source](crate::source), else `internal` |
    /// | `otel.status_code` | `ERROR` if the attempt failed, panicked or was timed out |
    /// | `task.id`, `task.attempt` | [`TaskId::to_bits`](crate::TaskId::to_bits), and which attempt at the task, from 1 |
    /// | `task.queue_time` | seconds from the submission to this attempt, delay and earlier attempts included; not there if no subscriber was interested when it was submitted |
    /// | `task.outcome` | how the attempt ended: `completed`, `failed`, `snoozed`, `panicked`, or `timed_out` or `cancelled` if it was asked to stop |
    ///
    /// The span has no parent. It *follows from* the span in which the task was submitted, or, where the submission
    /// waits for room, in which its future was polled when there was some: the attempt is neither a part of what the
    /// submitter does meanwhile, nor of what its worker does otherwise. The submitter's span is kept open for that,
    /// until the task is settled at the latest or, with retries, until its attempt has stopped.
    ///
    /// A filter of spans goes by their target, `plimsoll`, and knows no names of processors. Where no subscriber is
    /// interested in that target, a submission and an attempt each cost one check of it. Otherwise nothing is allocated
    /// but by the subscriber; and once a submitter's span was captured, each settled task is handed out before anybody
    /// has its result, which costs as much as [`on_settled`](crate::Processor::on_settled). The feature makes the slot
    /// of a task 56 bytes larger. A subscriber that panics harms no attempt, but spans may then be missing or stay open.
    ///
    /// ```
    /// use plimsoll::{Processor, Thread, infallible};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor =
    ///     Processor::builder().name("doubles").spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// assert_eq!(processor.name(), "doubles");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// The time-outs of tasks whose [`Options`](crate::Options) name none: for one stay in the queue, an attempt, the whole task,
    /// and silence. Default: none. A task that waits too long settles as [`TaskError::Expired`](crate::TaskError::Expired), and one
    /// that takes too long as [`TaskError::TimedOut`](crate::TaskError::TimedOut). Zero is refused when building.
    ///
    /// ```
    /// # use plimsoll::{Processor, TaskError, Thread, Timeouts, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // What has not been started within 5 ms is too old.
    /// let limits = Timeouts { schedule_to_start: Some(Duration::from_millis(5)), ..Timeouts::NONE };
    /// let processor = Processor::builder().timeouts(limits).spawn_on(Thread::start()?, infallible(|_: u8| async {}))?;
    /// processor.pause();
    /// assert_eq!(processor.submit(1)?.wait(), Err(TaskError::Expired));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.defaults.timeouts = timeouts;
        self
    }

    /// How long each attempt may run ([`Timeouts::start_to_close`] alone), from the call of its handler. Default: for ever. An
    /// attempt that takes longer is asked to stop, and its task settles as [`TaskError::TimedOut`](crate::TaskError::TimedOut) or, with
    /// [`Retry::on_timeout`], is tried again. Zero is refused when building.
    ///
    /// ```
    /// # use plimsoll::{Processor, TaskError, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .timeout(Duration::from_millis(5))
    ///     .spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// assert_eq!(processor.submit(1)?.wait(), Err(TaskError::TimedOut));
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.defaults.timeouts.start_to_close = Some(limit);
        self
    }

    /// For how long an attempt may be silent ([`Timeouts::heartbeat`] alone). A handler tells that it is alive by
    /// [`Context::heartbeat`](crate::Context::heartbeat). Default: for ever. One that is silent for longer has timed out, as by
    /// [`timeout`](Self::timeout). Zero is refused when building. Attempts are [monitored](Self::monitor) then.
    pub fn heartbeat(mut self, limit: Duration) -> Self {
        self.defaults.timeouts.heartbeat = Some(limit);
        self
    }

    /// The soft limit of tasks whose [`Options`](crate::Options) name none: an attempt that runs for longer is reported once,
    /// by [`Event::Slow`](crate::Event::Slow) and in [`Totals::slow`](crate::Totals::slow), and goes on. Default: none.
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

    /// The class of the queue for tasks whose [`Options`](crate::Options) name none. Default: [`Priority::NORMAL`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.defaults.priority = priority;
        self
    }

    /// How long an attempt that was asked to stop may go on before its future is dropped, counted from the request. It gives its
    /// place back when it is over. Default: zero, its future is dropped without a further poll. The end of the processor does not
    /// wait for it.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, TaskError, Thread};
    /// # use std::sync::mpsc;
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (notes, read) = mpsc::channel();
    /// let processor = Processor::builder()
    ///     .timeout(Duration::from_millis(5))
    ///     .cancel_grace(Duration::from_secs(10))
    ///     .spawn_on(Thread::start()?, move |_: u8, cx: Context| {
    ///         let notes = notes.clone();
    ///         async move {
    ///             cx.cancelled().await;
    ///             notes.send("the temporary file is gone")
    ///         }
    ///     })?;
    /// assert!(matches!(processor.submit(1)?.wait(), Err(TaskError::TimedOut)));
    /// assert_eq!(read.recv()?, "the temporary file is gone");
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// How many attempts a worker takes at a time, 1 to 64. Default: 1 on a runtime with several threads, and 64 on
    /// one thread.
    ///
    /// With several threads each handler then runs as if it had been spawned on its own: one that blocks its thread delays
    /// no other. If your handlers never do, taking some three at a time is cheaper. On one thread a handler that computes
    /// for long delays all others in any case; a worker that notices that takes one attempt at a time by itself.
    pub fn prefetch(mut self, attempts: u32) -> Self {
        self.prefetch = Some(attempts);
        self
    }

    /// How tasks are tried again whose [`Options`](crate::Options) do not say so. Default: not at all. From now on the job has to be
    /// `Clone`: a worker clones it, without a lock, before each attempt, the last one too, for any may be
    /// [snoozed](crate::Context::snooze). Behind an `Arc` that costs little. Without this a processor allows one attempt at
    /// each task, and refuses tasks that ask for more. More attempts than [`attempts`](Self::attempts) are an error when building.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Retry, Thread};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Twice more, after up to 1 and up to 2 ms, also after a time-out.
    /// let retry = Retry::times(2).base(Duration::from_millis(1)).on_timeout(true);
    /// let processor = Processor::builder().retry(retry).spawn_on(Thread::start()?, |_: u8, cx: Context| async move {
    ///     if cx.attempt() < 3 { Err(std::io::Error::other("busy")) } else { Ok(cx.attempt()) }
    /// })?;
    /// assert_eq!(processor.submit(1)?.wait()?, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn retry(mut self, retry: Retry) -> Builder<Cloning> {
        self.defaults.retry = retry;
        let Self { limits, cache, defaults, cancel_grace, name, metering, prefetch, .. } = self;
        Builder { limits, cache, defaults, cancel_grace, name, metering, prefetch, mode: PhantomData }
    }

    /// Makes a cache a part of the processor: it is swept with the results, counted in census and ledger, and emptied for good
    /// at the end. A cache belongs to one processor; one that is another's already is refused when building. Default: none. See
    /// [`Cache`] for an example.
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
