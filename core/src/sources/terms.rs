//! What a host says of a source, and what it brings from one.

use core::fmt;
use core::time::Duration;

use crate::backoff::Backoff;
use crate::{DeliveryId, Jitter, Message, Plan, Refusal, Retry, TaskId};

/// What the machine has to know of a source: an engine outside that keeps work until it is done, and hands it out as
/// deliveries. Given to [`Processor::open_source`](crate::Processor::open_source).
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::SourceTerms;
/// let terms = SourceTerms::new(64).lease(Duration::from_secs(30)).delays(true).deliveries(5);
/// # let _ = terms;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct SourceTerms {
    pub(crate) credit: u32,
    /// In nanoseconds; zero: deliveries are not leased.
    pub(crate) lease: u64,
    pub(crate) deliveries: u32,
    pub(crate) delays: bool,
    pub(crate) uncounted: bool,
    pub(crate) backoff: Backoff,
    pub(crate) jitter: Jitter,
}

impl SourceTerms {
    /// How often a delivery is delivered at most, unless set otherwise.
    pub const DELIVERIES: u32 = 16;

    /// At most `credit` deliveries of the source are here at a time: pulled, and their verdicts not confirmed. 0 counts
    /// as 1. The other terms are those of an engine that leases nothing and can delay nothing.
    pub const fn new(credit: u32) -> Self {
        let backoff = Retry::times(1).base(Duration::from_millis(100)).cap(Duration::from_secs(5));
        Self {
            credit: if credit == 0 { 1 } else { credit },
            lease: 0,
            deliveries: Self::DELIVERIES,
            delays: false,
            uncounted: false,
            backoff: backoff.backoff,
            jitter: Jitter::Equal,
        }
    }

    /// Sets for how long a delivery is the host's own, from the pull on and from each renewal on. A third of it after the
    /// first delivery, and each third from then on, what is held has to be renewed. Default: for ever, so nothing is
    /// renewed. Zero counts as for ever.
    pub const fn lease(self, lease: Duration) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "checked")]
        let lease = if lease.as_nanos() > u64::MAX as u128 { u64::MAX } else { lease.as_nanos() as u64 };
        Self { lease, ..self }
    }

    /// Sets how often a delivery may be delivered: one that comes more often is [dead](Verdict::Dead) without a start,
    /// for it may have ended the processes that had it. Default [`DELIVERIES`](Self::DELIVERIES); 0 counts as 1.
    pub const fn deliveries(self, most: u32) -> Self {
        Self { deliveries: if most == 0 { 1 } else { most }, ..self }
    }

    /// Sets whether the engine can deliver again after a delay. Then a task that has to be tried again leaves for the
    /// engine. Otherwise it backs off here, in a place of the credit. Default: no.
    pub const fn delays(self, delays: bool) -> Self {
        Self { delays, ..self }
    }

    /// Sets whether the engine can take a delivery back without counting it. Then a snooze leaves for the engine, if that
    /// can also [delay](Self::delays). Default: no.
    pub const fn uncounted(self, uncounted: bool) -> Self {
        Self { uncounted, ..self }
    }

    /// Sets for how long the source is left alone after an error of its engine: the backoff and the jitter of `retry`,
    /// with the errors in a row as its failures. The rest of `retry` has no meaning here: no number of errors ends a
    /// source. Default: 100 ms, doubled up to 5 s, with [`Jitter::Equal`].
    pub const fn backoff(self, retry: Retry) -> Self {
        Self { backoff: retry.backoff, jitter: retry.tries.jitter(), ..self }
    }
}

/// Bounds of sources: [`Limits::sources`](crate::Limits::sources).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct SourceLimits {
    /// How many sources there may be at the same time, at most [`MOST`](Self::MOST). Default 0.
    pub sources: u32,
    /// How many deliveries of all sources together may be here at the same time. Each has a task slot beside those of the
    /// queue. Default: the concurrency for each source.
    pub credit: Option<u32>,
}

impl SourceLimits {
    /// The highest legal number of sources.
    pub const MOST: u32 = 64;

    /// At most `sources` sources, each with a credit as large as the concurrency.
    #[must_use]
    pub const fn new(sources: u32) -> Self {
        Self { sources, credit: None }
    }

    /// Sets [`credit`](Self::credit).
    #[must_use]
    pub const fn credit(self, credit: u32) -> Self {
        Self { credit: Some(credit), ..self }
    }
}

/// What is said to the engine of a delivery, once its task is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is done: the engine forgets it.
    Done,
    /// It is to be delivered again.
    Again {
        /// Not before this time has passed.
        after: Duration,
        /// Whether this delivery counts as one that failed. If it does not, nobody has begun with it, or a drain has cut
        /// it short.
        counted: bool,
    },
    /// It is not to be delivered again, but kept aside for people to look at: a dead letter.
    Dead {
        /// Why.
        why: Death,
        /// The text of the last error, if there was one.
        message: Message,
    },
}

/// What a host asks of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Operation {
    /// To deliver.
    Pull,
    /// To take verdicts.
    Settle,
    /// To renew leases.
    Renew,
}

/// Why a delivery is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Death {
    /// Its last attempt failed.
    Failed,
    /// Its last attempt panicked.
    Panicked,
    /// It, or its last attempt, took too long.
    TimedOut,
    /// Its task was cancelled, and not by the end.
    Cancelled,
    /// It was delivered more often than [`SourceTerms::deliveries`] allows.
    TooOften,
    /// It has no job: what was delivered can't be decoded.
    Undecodable,
}

impl fmt::Display for Death {
    /// In words, such as `failed` or `delivered too often`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::TooOften => "delivered too often",
            Self::Undecodable => "could not be decoded",
        })
    }
}

/// A job that a source has delivered, for [`Processor::deliver`](crate::Processor::deliver).
#[must_use]
#[non_exhaustive]
pub struct Delivery<P: Plan> {
    /// The work to do.
    pub job: P::Job,
    /// Metadata of the task.
    pub meta: P::Meta,
    /// How often it was delivered, this time included. The earlier ones count as attempts. 0 counts as 1.
    pub deliveries: u32,
}

impl<P: Plan> Delivery<P> {
    /// A job with metadata, delivered for the `deliveries`th time.
    pub const fn new(job: P::Job, meta: P::Meta, deliveries: u32) -> Self {
        Self { job, meta, deliveries }
    }
}

impl<P: Plan> fmt::Debug for Delivery<P> {
    /// Shows the count, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("deliveries", &self.deliveries).finish_non_exhaustive()
    }
}

/// The answer of [`Processor::deliver`](crate::Processor::deliver).
#[must_use = "it names the delivery, or hands it back"]
#[non_exhaustive]
pub enum Arrival<P: Plan> {
    /// It is a task now. Its verdict follows when the task is settled.
    Admitted {
        /// Which delivery.
        delivery: DeliveryId,
        /// Which task.
        task: TaskId,
    },
    /// There is no task for it, and a verdict is owed at once.
    Judged {
        /// Which delivery.
        delivery: DeliveryId,
        /// Why there is no task. `None` if it was delivered too often.
        reason: Option<Refusal>,
        /// What was delivered.
        back: Delivery<P>,
    },
    /// The machine does not know of it: the source does not exist any more, the machine is giving up what is left, or the
    /// source has delivered more than it was asked for.
    Refused(Delivery<P>),
}

impl<P: Plan> fmt::Debug for Arrival<P> {
    /// Shows ids and reasons, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admitted { delivery, task } => {
                f.debug_struct("Admitted").field("delivery", delivery).field("task", task).finish()
            }
            Self::Judged { delivery, reason, back } => {
                let mut shown = f.debug_struct("Judged");
                shown.field("delivery", delivery).field("reason", reason).field("back", back).finish()
            }
            Self::Refused(back) => f.debug_tuple("Refused").field(back).finish(),
        }
    }
}
