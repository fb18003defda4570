//! On what terms one task is submitted.

use std::time::Duration;

use plimsoll_core::{Refusal, Terms};

use crate::{Lane, Priority, Retry, Timeouts, Unique};

/// The terms of one task. What is `None` is as the [`Builder`](crate::Builder) was told.
///
/// ```
/// use plimsoll::{Options, Priority};
/// use std::time::Duration;
///
/// let options = Options::new("meta").priority(Priority::HIGHEST).delay(Duration::from_millis(5));
/// assert_eq!(options.meta, "meta");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[must_use]
pub struct Options<M = ()> {
    /// Small data about the task, copied into events and the last error, and given to the handler.
    pub meta: M,
    /// In which class of the queue it waits.
    pub priority: Option<Priority>,
    /// How long it is kept back before it is queued.
    #[cfg_attr(feature = "serde", serde(with = "plimsoll_core::serialized::duration"))]
    pub delay: Duration,
    /// Its time-outs.
    pub timeouts: Option<Timeouts>,
    /// How long each attempt may run, in the place of [`Timeouts::start_to_close`].
    #[cfg_attr(feature = "serde", serde(with = "plimsoll_core::serialized::optional_duration"))]
    pub timeout: Option<Duration>,
    /// After how long an attempt at it is reported as slow.
    #[cfg_attr(feature = "serde", serde(with = "plimsoll_core::serialized::optional_duration"))]
    pub slow_after: Option<Duration>,
    /// How often it is tried. More than one try needs a builder that was given
    /// [`retry`](crate::Builder::retry), because only then is the job cloned; without it the task is
    /// [refused](crate::Refusal::Attempts).
    pub retry: Option<Retry>,
    /// The lane to which it belongs. Needs a builder that was given [`lanes`](crate::Builder::lanes); without it the task is
    /// [refused](crate::Refusal::Lanes).
    pub lane: Option<Lane>,
    /// Its key that no two tasks have at the same time. Needs a builder that was given [`dedup`](crate::Builder::dedup);
    /// without it the task is [refused](crate::Refusal::NotDeduplicated).
    pub unique: Option<Unique>,
}

impl<M> Options<M> {
    /// These metadata, and the builder's defaults for everything else.
    pub const fn new(meta: M) -> Self {
        Self {
            meta,
            priority: None,
            delay: Duration::ZERO,
            timeouts: None,
            timeout: None,
            slow_after: None,
            retry: None,
            lane: None,
            unique: None,
        }
    }

    /// Sets the class of the queue.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets how long it is kept back before it is queued.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets the time-outs, all of them. One of zero is [refused](crate::Refusal::ZeroTimeout).
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Sets how long each attempt may run, and leaves the other time-outs as they are. Zero is
    /// [refused](crate::Refusal::ZeroTimeout).
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets its key that no two tasks have at the same time, and what happens to the second. Default: none. Where
    /// concurrent callers all need the result, [`Cache::get_or_insert_with`](crate::Cache::get_or_insert_with) has one of them
    /// submit.
    ///
    /// ```
    /// # use plimsoll::{Options, Processor, Refusal, Thread, Unique, infallible, lane_key};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .dedup(1_000)
    ///     .spawn_on(Thread::start()?, infallible(|path: &'static str| async move { path.len() }))?;
    /// // An order is placed once, and not again within ten minutes of its completion.
    /// let once = Options::default().unique(Unique::new(lane_key("order 7")).window(Duration::from_secs(600)));
    /// assert_eq!(processor.task("order 7").options(once).submit()?.wait()?, 7);
    /// let refused = processor.task("order 7").options(once).submit().unwrap_err();
    /// assert_eq!(refused.reason, Refusal::Duplicate);
    /// // A file is indexed when it has not changed for 5 ms, and after 50 ms at the latest.
    /// let latest = Unique::new(lane_key("a.txt")).replace().longest(Duration::from_millis(50));
    /// let debounced = Options::default().unique(latest).delay(Duration::from_millis(5));
    /// for _ in 0..10 {
    ///     processor.task("a.txt").options(debounced).post()?;
    /// }
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.totals().settled.cancelled + processor.totals().settled.completed, 11);
    /// # Ok(())
    /// # }
    /// ```
    pub fn unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// Sets the lane to which it belongs. Default: the lane of all tasks without a key.
    ///
    /// ```
    /// # use plimsoll::{Lane, LaneLimits, Options, Processor, Rate, Thread, infallible, lane_key};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .lanes(LaneLimits::new(10_000))
    ///     .spawn_on(Thread::start()?, infallible(|url: &'static str| async move { url.len() }))?;
    /// // At most two requests at a time and 50 a second to each host; a customer who pays has four times the share of another.
    /// let host = Lane::new(lane_key("example.com")).concurrency(2).rate(Rate::new(50, Duration::from_secs(1)));
    /// let customer = |name: &str, pays: bool| Lane::new(lane_key(name)).weight(if pays { 4 } else { 1 });
    /// processor.task("https://example.com/").options(Options::default().lane(host)).post()?;
    /// processor.task("a report").lane(customer("ACME", true)).post()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    /// Sets the soft limit: an attempt that runs for longer is reported once, by [`Event::Slow`](crate::Event::Slow), and
    /// goes on. Needs a [monitor](crate::Builder::monitor).
    pub fn slow_after(mut self, limit: Duration) -> Self {
        self.slow_after = Some(limit);
        self
    }

    /// Its time-outs, where these are the defaults.
    #[inline]
    fn timeouts_or(&self, defaults: Timeouts) -> Result<Timeouts, Refusal> {
        let mut timeouts = self.timeouts.unwrap_or(defaults);
        timeouts.start_to_close = self.timeout.or(timeouts.start_to_close);
        if timeouts.have_zero() { Err(Refusal::ZeroTimeout) } else { Ok(timeouts) }
    }

    /// Sets how often it is tried.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }
}

/// What a task gets where its [`Options`] say nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) timeouts: Timeouts,
    pub(crate) slow_after: Option<Duration>,
    pub(crate) priority: Priority,
    pub(crate) retry: Retry,
}

impl Defaults {
    /// The terms that these options come to, unless they are to be refused.
    #[inline]
    pub(crate) fn with<M>(&self, options: &Options<M>) -> Result<Terms, Refusal> {
        let timeouts = options.timeouts_or(self.timeouts)?;
        let priority = options.priority.unwrap_or(self.priority);
        let retry = options.retry.unwrap_or(self.retry);
        let terms = Terms::new().priority(priority).delay(options.delay).timeouts(timeouts).retry(retry);
        let terms = with_soft_limit(terms, options.slow_after.or(self.slow_after));
        let terms = options.lane.map_or(terms, |lane| terms.lane(lane));
        Ok(options.unique.map_or(terms, |unique| terms.unique(unique)))
    }

    /// The terms that they come to themselves.
    pub(crate) const fn terms(&self) -> Terms {
        let terms = Terms::new().priority(self.priority).timeouts(self.timeouts).retry(self.retry);
        with_soft_limit(terms, self.slow_after)
    }
}

const fn with_soft_limit(terms: Terms, limit: Option<Duration>) -> Terms {
    match limit {
        Some(limit) => terms.slow_after(limit),
        None => terms,
    }
}
