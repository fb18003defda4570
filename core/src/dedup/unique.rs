//! What a host says of tasks with the same key.

use core::time::Duration;

use crate::time::NEVER;

/// A key that no two tasks have at the same time, and what happens to the second. A part of [`Terms`](crate::Terms). Needs
/// [`Limits::dedup`](crate::Limits::dedup).
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::{Terms, Unique};
/// // An order is placed once, and not again within ten minutes of its completion.
/// let order = Terms::new().unique(Unique::new(7).window(Duration::from_secs(600)));
/// // A file is indexed half a second after its last change, and every five seconds at the latest.
/// let half = Duration::from_millis(500);
/// let index = Terms::new().unique(Unique::new(8).replace().longest(Duration::from_secs(5))).delay(half);
/// assert_ne!(order, index);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(from = "crate::serialized::UniqueForm", into = "crate::serialized::UniqueForm")
)]
#[must_use]
pub struct Unique {
    pub(crate) key: u64,
    pub(crate) replaces: bool,
    /// In nanoseconds, as is the next.
    pub(crate) window: u64,
    pub(crate) longest: u64,
}

impl Unique {
    /// A task with this key is refused while another one has it: from the admission of that one until it is settled and
    /// its attempt is over. The keys are yours, as those of a [`Lane`](crate::Lane).
    pub const fn new(key: u64) -> Self {
        Self { key, replaces: false, window: 0, longest: NEVER.as_nanos() }
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// Sets for how long after this task has completed another one with its key is refused. How many keys are remembered
    /// for that is bounded by [`Limits::dedup`](crate::Limits::dedup): the oldest is forgotten first. Default: not at all.
    /// A task that ends in any other way may be submitted again at once.
    pub const fn window(self, window: Duration) -> Self {
        Self { window: saturated(window), ..self }
    }

    /// The latest wins: this task takes the place of the one that waits with its key, which is settled as cancelled with
    /// [`CancelReason::SUPERSEDED`](crate::CancelReason::SUPERSEDED). If one with its key runs, this task waits until that
    /// one is over, as a delayed one, and then runs once more. A task for which a later one waits is not tried again.
    ///
    /// Where the queue, its lane or [`Limits::delayed`](crate::Limits::delayed) is full, the place of the older task is enough:
    /// both are queued (in one lane), both wait behind the one that runs, or both are delayed.
    pub const fn replace(self) -> Self {
        Self { replaces: true, ..self }
    }

    /// With [`replace`](Self::replace) and a delay: sets how long after the first of a row of such tasks the last one is
    /// ready at the latest, so that a task that comes again and again is not put off for ever. Default: no bound.
    pub const fn longest(self, longest: Duration) -> Self {
        Self { longest: saturated(longest), ..self }
    }
}

/// A duration in nanoseconds.
const fn saturated(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(duration.subsec_nanos() as u64)
}
