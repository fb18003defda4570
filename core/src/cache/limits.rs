//! The limits of a cache.

use core::time::Duration;

use super::Policy;

/// The limits of a [`Cache`](super::Cache), fixed when it is built. By default it holds nothing. Further limits may be
/// added: end a literal with `..CacheLimits::default()`.
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::{CacheLimits, Policy};
/// let limits = CacheLimits::new(1_000).ttl(Duration::from_secs(60));
/// assert_eq!(limits, CacheLimits { entries: 1_000, ttl: Some(Duration::from_secs(60)), ..CacheLimits::default() });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct CacheLimits {
    /// The most entries that the cache holds. With 0 it refuses every insert and takes no memory.
    pub entries: u32,
    /// The most that all entries together may weigh, in a unit of the caller's choice, such as bytes. An entry takes 8
    /// bytes more for its weight. With `None` weights are not kept: `entries` is the only bound. With
    /// [`Policy::S3Fifo`], about as many `entries` as fit in the weight are best, because they fix how many evicted keys
    /// are remembered.
    pub weight: Option<u64>,
    /// The time since its last write at which an entry expires. With 0 it expires at once; with `None` it never does.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub ttl: Option<Duration>,
    /// The time since its last write or counted read at which an entry expires. With 0 it expires at once; with `None`
    /// it never does. An entry takes 16 bytes more for it.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::optional_duration"))]
    pub time_to_idle: Option<Duration>,
    /// Which entry a full cache evicts.
    pub policy: Policy,
    /// The seed of the hasher.
    pub seed: u64,
}

impl CacheLimits {
    /// At most `entries` entries of any weight, which never expire, with [`Policy::Fifo`].
    #[must_use]
    pub const fn new(entries: u32) -> Self {
        Self { entries, weight: None, ttl: None, time_to_idle: None, policy: Policy::Fifo, seed: 0 }
    }

    /// Sets the most that all entries together may weigh.
    #[must_use]
    pub const fn weight(mut self, weight: u64) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Sets the time since its last write at which an entry expires.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets the time since its last write or counted read at which an entry expires.
    #[must_use]
    pub const fn time_to_idle(mut self, time_to_idle: Duration) -> Self {
        self.time_to_idle = Some(time_to_idle);
        self
    }

    /// Sets which entry a full cache evicts.
    #[must_use]
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}
