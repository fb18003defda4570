//! What a host says of lanes, and sees of them.

use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

use crate::{Instant, Rate};

/// The limits of lanes. See [`Lane`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct LaneLimits {
    /// How many lanes there may be at the same time. A lane exists while it has a task that is not settled or an attempt
    /// that runs, and while its rate or a hold shuts it. Default 0: there are no lanes, and they take no memory.
    pub lanes: u32,
    /// How many tasks of one lane may wait for a place now, beyond those that the lane could start at once. 0 is legal.
    /// Default `None`: half of [`Limits::queue`](crate::Limits::queue), rounded up, so that one stuck lane leaves room
    /// for the others. Set it lower if several lanes can be stuck at the same time.
    pub queue: Option<u32>,
}

impl LaneLimits {
    /// At most `lanes` lanes, each with the default queue.
    #[must_use]
    pub const fn new(lanes: u32) -> Self {
        Self { lanes, queue: None }
    }

    /// Sets [`queue`](Self::queue).
    #[must_use]
    pub const fn queue(self, queue: u32) -> Self {
        Self { queue: Some(queue), ..self }
    }
}

/// A lane: the tasks with one key, and how the machine treats them. A part of [`Terms`](crate::Terms); the lane is
/// treated as the terms of the task say that was admitted to it last.
///
/// A key is a tenant, a host, a partition: what shares a limit, a rate and a part of the concurrency. While several lanes
/// have something to start, each has its share of the concurrency places; whatever one does not use is there for the
/// others. The tasks of a lane are served by priority and, within that, in order of arrival.
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::{Lane, Rate, Terms};
/// let paying = |tenant| Lane::new(tenant).weight(4).concurrency(8);
/// let free = |tenant| Lane::new(tenant).concurrency(2).rate(Rate::new(10, Duration::from_secs(1)));
/// let terms = [Terms::new().lane(paying(7)), Terms::new().lane(free(8))];
/// assert_ne!(terms[0], terms[1]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::LaneForm", into = "crate::serialized::LaneForm")
)]
#[must_use]
pub struct Lane {
    pub(crate) key: u64,
    pub(crate) weight: NonZeroU16,
    pub(crate) concurrency: NonZeroU32,
    pub(crate) rate: Option<Rate>,
}

impl Lane {
    /// The lane with this key, with the defaults: weight 1, no limit, no rate. The keys are yours: a tenant's number, or
    /// the hash of a host name. If strangers choose what is hashed, use a secret seed, so that they cannot make keys
    /// collide.
    pub const fn new(key: u64) -> Self {
        Self { key, weight: NonZeroU16::MIN, concurrency: NonZeroU32::MAX, rate: None }
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// The lane with another key and the same weight, limit and rate.
    pub const fn with_key(self, key: u64) -> Self {
        Self { key, ..self }
    }

    /// Sets the share of the lane: while several lanes have something to start, each has concurrency places in
    /// proportion to its weight. Default 1; 0 counts as 1.
    pub const fn weight(self, weight: u16) -> Self {
        let weight = match NonZeroU16::new(weight) {
            Some(weight) => weight,
            None => NonZeroU16::MIN,
        };
        Self { weight, ..self }
    }

    /// Sets how many attempts of the lane may run at the same time, orphans included. Default: no limit but that of the
    /// machine. 0 counts as 1; to stop a lane, [hold](crate::Processor::hold_lane) it.
    pub const fn concurrency(self, concurrency: u32) -> Self {
        let concurrency = match NonZeroU32::new(concurrency) {
            Some(concurrency) => concurrency,
            None => NonZeroU32::MIN,
        };
        Self { concurrency, ..self }
    }

    /// Sets how many attempts of the lane may be started in a time. Default: any number.
    pub const fn rate(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }
}

impl fmt::Debug for Lane {
    /// The concurrency and the rate only where they are set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Lane");
        shown.field("key", &self.key).field("weight", &self.weight);
        if self.concurrency != NonZeroU32::MAX {
            shown.field("concurrency", &self.concurrency);
        }
        if let Some(rate) = &self.rate {
            shown.field("rate", rate);
        }
        shown.finish()
    }
}

/// What is in a lane, from [`Processor::lane`](crate::Processor::lane).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct LaneView {
    /// How it is treated.
    pub lane: Lane,
    /// Its tasks in the queue.
    pub queued: u32,
    /// Its attempts, orphans included.
    pub running: u32,
    /// Its tasks that are not settled, and its orphans.
    pub tasks: u32,
    /// The instant until which its rate or a hold shuts it; `None` if it is open.
    pub shut_until: Option<Instant>,
}
