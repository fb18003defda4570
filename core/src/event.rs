//! What subscribers are told.

use core::time::Duration;

use crate::{AttemptId, OutcomeKind, Refusal, SourceId, TaskId};

/// Something that happened. Events are `Copy`: they carry ids, kinds, counts and the task's metadata,
/// never a payload.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<M> {
    /// A task was admitted.
    Admitted {
        /// Which task.
        task: TaskId,
        /// Its metadata.
        meta: M,
    },
    /// A task was refused.
    Refused {
        /// Its metadata.
        meta: M,
        /// Why.
        reason: Refusal,
    },
    /// An attempt was started.
    Started {
        /// Which task.
        task: TaskId,
        /// Which attempt.
        attempt: AttemptId,
        /// Its metadata.
        meta: M,
    },
    /// An attempt failed, panicked or timed out, and a further one will follow.
    Retrying {
        /// Which task.
        task: TaskId,
        /// Its metadata.
        meta: M,
        /// How many attempts there were, without those that were snoozed.
        attempts: u32,
        /// The backoff before it is queued again.
        delay: Duration,
    },
    /// An attempt was snoozed, and does not count.
    Snoozed {
        /// Which task.
        task: TaskId,
        /// Its metadata.
        meta: M,
        /// How many attempts there were, without those that were snoozed.
        attempts: u32,
        /// How long it backs off before it is queued again.
        delay: Duration,
    },
    /// A task's outcome was fixed.
    Settled {
        /// Which task.
        task: TaskId,
        /// Its metadata.
        meta: M,
        /// How it ended.
        kind: OutcomeKind,
    },
    /// An attempt that ran on after its task was settled has stopped.
    OrphanStopped {
        /// Which task.
        task: TaskId,
    },
    /// A source was attached.
    Attached {
        /// Which source.
        source: SourceId,
    },
    /// A source was detached.
    Detached {
        /// Which source.
        source: SourceId,
    },
    /// A source reported an error.
    SourceFailed {
        /// Which source.
        source: SourceId,
    },
    /// The health-check interval came: [`last_health`](crate::Processor::last_health) has the report, which is too large for
    /// a ring of events. Where several are unread, each stands for the newest one.
    Health,
    /// The machine began to drain.
    Draining,
}
