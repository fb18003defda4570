//! On what terms a source is pulled from.

use std::time::Duration;

use plimsoll_core::{Limits, Retry, SourceTerms};

use super::Abilities;
use crate::options::Options;

/// On what terms a source is pulled from: see [`Access::source`](crate::Access::source).
///
/// ```
/// use plimsoll::source::Pull;
/// use plimsoll::{Options, Priority};
/// use std::time::Duration;
///
/// let pull = Pull::<()>::new()
///     .credit(200)
///     .deliveries(5)
///     .window(Duration::from_secs(600))
///     .options(Options::default().priority(Priority::LOWEST));
/// # let _ = pull;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(
        from = "crate::serialized::PullForm<M>",
        into = "crate::serialized::PullForm<M>",
        bound(
            serialize = "M: Clone + serde::Serialize",
            deserialize = "M: Default + serde::Deserialize<'de>"
        )
    )
)]
#[must_use]
pub struct Pull<M = ()> {
    pub(crate) credit: Option<u32>,
    pub(crate) deliveries: u32,
    pub(crate) wait: Duration,
    pub(crate) backoff: Option<Retry>,
    pub(crate) window: Duration,
    pub(crate) options: Options<M>,
}

impl<M: Default> Default for Pull<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Default> Pull<M> {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            credit: None,
            deliveries: SourceTerms::DELIVERIES,
            wait: Duration::from_secs(1),
            backoff: None,
            window: Duration::from_secs(3_600),
            options: Options::default(),
        }
    }
}

impl<M> Pull<M> {
    /// Sets how many deliveries may be here at a time, pulled and not confirmed. Default: as many as attempts may run. More
    /// keeps workers busy while verdicts travel to the engine and back; [`SourceLimits::credit`](super::SourceLimits::credit) has to
    /// allow it, or the source is not opened.
    ///
    /// All keys share it, and jobs come in the order of the queue: a key with a backlog longer than the credit takes all of it, and the
    /// others wait although places are free. Give such a key a queue of its own, or a credit above its backlog.
    pub fn credit(self, credit: u32) -> Self {
        Self { credit: Some(credit), ..self }
    }

    /// Sets how often a job may be delivered: one that comes more often, because it has ended the processes that had it, is
    /// dead without a start. Default: 16.
    pub fn deliveries(self, most: u32) -> Self {
        Self { deliveries: most, ..self }
    }

    /// Sets for how long a pull waits for something to come, from 10 ms to a minute: what is outside counts as the nearer of
    /// the two. A drain waits for a pull under way. Default: a second.
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait: wait.clamp(Duration::from_millis(10), Duration::from_secs(60)), ..self }
    }

    /// Sets for how long the engine is left alone after errors in a row: the backoff and the jitter of `retry`. Default: from
    /// 100 ms up to 5 s.
    pub fn backoff(self, retry: Retry) -> Self {
        Self { backoff: Some(retry), ..self }
    }

    /// Sets for how long a job that has completed is known by its [identity](super::Delivery::id), and not done again if it is
    /// delivered again. Only where the processor has [`dedup`](crate::Builder::dedup). Default: an hour.
    pub fn window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// Sets the terms of the tasks. What is not set is as the [`Builder`](crate::Builder) was told.
    ///
    /// A lane among them is that of deliveries without a [key](super::Delivery::key), and says what the lanes of the others are
    /// like: each key has its weight, limit and rate. Without one a key means one task at a time. `unique` is not used, for a
    /// delivery has an identity of its own.
    ///
    /// ```
    /// use plimsoll::source::Pull;
    /// use plimsoll::{Lane, Options, Rate};
    /// use std::time::Duration;
    ///
    /// // Each tenant, by the key of its jobs, has two at a time and ten a second.
    /// let each = Lane::new(0).concurrency(2).rate(Rate::new(10, Duration::from_secs(1)));
    /// let pull = Pull::<()>::new().options(Options::default().lane(each));
    /// # let _ = pull;
    /// ```
    pub fn options(self, options: Options<M>) -> Self {
        Self { options, ..self }
    }

    /// How many deliveries may be here at a time.
    pub(super) fn credit_within(&self, limits: &Limits) -> u32 {
        self.credit.unwrap_or(limits.concurrency).max(1)
    }

    /// The terms of the source, for an engine with these abilities.
    pub(super) fn terms(&self, abilities: Abilities, limits: &Limits) -> SourceTerms {
        let terms = SourceTerms::new(self.credit_within(limits))
            .deliveries(self.deliveries)
            .delays(abilities.delays)
            .uncounted(abilities.uncounted)
            .lease(abilities.lease.unwrap_or_default());
        self.backoff.map_or(terms, |retry| terms.backoff(retry))
    }
}
