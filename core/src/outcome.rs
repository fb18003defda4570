//! How a task ended, and the values that leave the machine with it.

use core::fmt;
use core::time::Duration;

use crate::{Instant, Plan, TaskId};

/// How a task ended. Each admitted task gets exactly one outcome. `Debug` shows no value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
#[non_exhaustive]
pub enum Outcome<O, E, P = ()> {
    /// An attempt reported its output before the task was timed out or cancelled.
    Completed(O),
    /// An attempt reported an error, and no further attempt was left or allowed.
    Failed(E),
    /// The start-to-close or the schedule-to-close time-out passed before a report came, and no further attempt was
    /// left or allowed.
    TimedOut,
    /// It was cancelled, its host stopped the attempt, or the machine ended; with the reason, if one was given.
    Cancelled(Option<CancelReason>),
    /// It waited in the queue for longer than its schedule-to-start time-out.
    Expired,
    /// An attempt panicked, and no further attempt was left or allowed.
    Panicked(P),
    /// It waited in the queue and had to make room for another task, as [`Overflow`](crate::Overflow) says.
    Shed,
}

impl<O, E, P> Outcome<O, E, P> {
    /// The outcome without its value.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Completed(_) => OutcomeKind::Completed,
            Self::Failed(_) => OutcomeKind::Failed,
            Self::TimedOut => OutcomeKind::TimedOut,
            Self::Cancelled(_) => OutcomeKind::Cancelled,
            Self::Expired => OutcomeKind::Expired,
            Self::Panicked(_) => OutcomeKind::Panicked,
            Self::Shed => OutcomeKind::Shed,
        }
    }
}

impl<O, E, P> fmt::Debug for Outcome<O, E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(Some(reason)) => f.debug_tuple("Cancelled").field(reason).finish(),
            _ => self.kind().fmt(f),
        }
    }
}

/// [`Outcome`] without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum OutcomeKind {
    /// See [`Outcome::Completed`].
    Completed,
    /// See [`Outcome::Failed`].
    Failed,
    /// See [`Outcome::TimedOut`].
    TimedOut,
    /// See [`Outcome::Cancelled`].
    Cancelled,
    /// See [`Outcome::Expired`].
    Expired,
    /// See [`Outcome::Panicked`].
    Panicked,
    /// See [`Outcome::Shed`].
    Shed,
}

impl OutcomeKind {
    /// How many kinds there are in this version.
    pub const COUNT: usize = 7;

    /// All kinds, in the order of [`ByOutcome`].
    pub const ALL: [Self; Self::COUNT] = [
        Self::Completed,
        Self::Failed,
        Self::TimedOut,
        Self::Cancelled,
        Self::Expired,
        Self::Panicked,
        Self::Shed,
    ];

    /// Whether an outcome of this kind has a value: an output, an error or a panic.
    #[must_use]
    pub const fn has_value(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Panicked)
    }

    /// The kind in lower case words, such as `timed out`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Panicked => "panicked",
            Self::Shed => "shed",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a task was cancelled, in words. It is passed to [`cancel_because`](crate::Processor::cancel_because) and comes
/// out with the outcome.
///
/// It refers to the reference of a string, so it has the size of one pointer and takes no extra room in a task's slot.
///
/// ```
/// # use plimsoll_core::CancelReason;
/// const SUPERSEDED: CancelReason = CancelReason::new(&"a newer upload came");
/// assert_eq!(SUPERSEDED.as_str(), "a newer upload came");
/// assert_ne!(SUPERSEDED, CancelReason::ENDED);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CancelReason(&'static &'static str);

impl CancelReason {
    /// The processor ended before the task was settled. Only the end gives this reason.
    pub const ENDED: Self = Self(&"the processor was ended");
    /// A later task with the same key has [taken its place](crate::Unique::replace). Only that gives this reason.
    pub const SUPERSEDED: Self = Self(&"a later task with the same key has taken its place");
    /// The task was snoozed, and left to the engine that had delivered it.
    pub const HANDED_BACK: Self = Self(&"left to the engine that delivers it again");
    /// The queue was [cleared](crate::Processor::clear), or a part of it. Only that gives this reason.
    pub const CLEARED: Self = Self(&"the queue was cleared");

    /// A reason in these words: `CancelReason::new(&"why")`.
    #[must_use]
    pub const fn new(words: &'static &'static str) -> Self {
        Self(words)
    }

    /// The words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A count for each kind of outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct ByOutcome {
    /// Tasks that completed.
    pub completed: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that timed out.
    pub timed_out: u64,
    /// Tasks that were cancelled.
    pub cancelled: u64,
    /// Tasks that expired in the queue.
    pub expired: u64,
    /// Tasks that panicked.
    pub panicked: u64,
    /// Tasks that had to make room for others.
    pub shed: u64,
}

impl ByOutcome {
    /// The count of one kind.
    #[must_use]
    pub const fn get(&self, kind: OutcomeKind) -> u64 {
        match kind {
            OutcomeKind::Completed => self.completed,
            OutcomeKind::Failed => self.failed,
            OutcomeKind::TimedOut => self.timed_out,
            OutcomeKind::Cancelled => self.cancelled,
            OutcomeKind::Expired => self.expired,
            OutcomeKind::Panicked => self.panicked,
            OutcomeKind::Shed => self.shed,
        }
    }

    /// The sum of all kinds.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.completed
            .wrapping_add(self.failed)
            .wrapping_add(self.timed_out)
            .wrapping_add(self.cancelled)
            .wrapping_add(self.expired)
            .wrapping_add(self.panicked)
            .wrapping_add(self.shed)
    }

    /// What has been added since the counts were `earlier`, which wrap around as the totals do. O(1).
    ///
    /// ```
    /// # use plimsoll_core::ByOutcome;
    /// let mut before = ByOutcome::default();
    /// before.completed = 7;
    /// let mut now = before;
    /// now.completed += 2;
    /// now.failed = 1;
    /// assert_eq!((now.since(&before).completed, now.since(&before).total()), (2, 3));
    /// ```
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        // Each field by its name, so that a further kind is not forgotten.
        let Self { completed, failed, timed_out, cancelled, expired, panicked, shed } = *self;
        Self {
            completed: completed.wrapping_sub(earlier.completed),
            failed: failed.wrapping_sub(earlier.failed),
            timed_out: timed_out.wrapping_sub(earlier.timed_out),
            cancelled: cancelled.wrapping_sub(earlier.cancelled),
            expired: expired.wrapping_sub(earlier.expired),
            panicked: panicked.wrapping_sub(earlier.panicked),
            shed: shed.wrapping_sub(earlier.shed),
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, kind: OutcomeKind) {
        let count = match kind {
            OutcomeKind::Completed => &mut self.completed,
            OutcomeKind::Failed => &mut self.failed,
            OutcomeKind::TimedOut => &mut self.timed_out,
            OutcomeKind::Cancelled => &mut self.cancelled,
            OutcomeKind::Expired => &mut self.expired,
            OutcomeKind::Panicked => &mut self.panicked,
            OutcomeKind::Shed => &mut self.shed,
        };
        *count = count.wrapping_add(1);
    }
}

/// When a task was admitted, ran and ended, on the clock of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Times {
    /// When it was admitted.
    pub admitted: Instant,
    /// When its last attempt began, or when the task was settled if no attempt ran then. An attempt begins when
    /// [`start_next`](crate::Processor::start_next) hands it out, or when [`began`](crate::Processor::began) reports
    /// that it did.
    pub began: Instant,
    /// When it was settled.
    pub settled: Instant,
}

impl Times {
    /// Makes a value of these times.
    #[must_use]
    pub const fn new(admitted: Instant, began: Instant, settled: Instant) -> Self {
        Self { admitted, began, settled }
    }

    /// How long it waited: from its admission to the beginning of its last attempt, earlier attempts included; or to
    /// its settlement, if no attempt ran then.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        self.began.saturating_since(self.admitted)
    }

    /// How long its last attempt had run when the task was settled; zero if no attempt ran then.
    #[must_use]
    pub const fn ran(&self) -> Duration {
        self.settled.saturating_since(self.began)
    }
}

/// Everything that leaves the machine with a settled task: its outcome, its callback if it had one, and its job if no
/// attempt took it.
#[must_use]
#[non_exhaustive]
pub struct Settlement<P: Plan> {
    /// Which task.
    pub task: TaskId,
    /// The metadata it was submitted with.
    pub meta: P::Meta,
    /// How many attempts were started, without the snoozed ones.
    pub attempts: u32,
    /// When it was admitted, ran and ended.
    pub times: Times,
    /// How it ended.
    pub outcome: Outcome<P::Output, P::Error, P::Panic>,
    /// The job, if the task ended while it was delayed, queued or backing off.
    pub job: Option<P::Job>,
    /// The callback, for tasks submitted with [`Route::Callback`](crate::Route::Callback).
    pub callback: Option<P::Callback>,
    /// The waiter that [`claim`](crate::Processor::claim) left, if it was not woken yet. It need not be woken any more.
    pub waiter: Option<P::Waiter>,
}

impl<P: Plan> fmt::Debug for Settlement<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settlement")
            .field("task", &self.task)
            .field("attempts", &self.attempts)
            .field("times", &self.times)
            .field("outcome", &self.outcome.kind())
            .field("job", &self.job.is_some())
            .field("callback", &self.callback.is_some())
            .finish()
    }
}
