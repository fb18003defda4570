//! Events, for subscribers.

use core::time::Duration;

use crate::{AttemptId, Death, DeliveryId, EmitterId, Operation, OutcomeKind, Refusal, SourceId, TaskId};

/// Something that happened, read with [`Processor::next_event`](crate::Processor::next_event). Events are `Copy`: they
/// carry ids, kinds, counts and the task's metadata, never a payload.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
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
    /// An attempt has run for longer than [`Terms::slow_after`](crate::Terms::slow_after) says. Published once an
    /// attempt.
    Slow {
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
        /// How many attempts there were, without the snoozed ones.
        attempts: u32,
        /// The backoff before it is queued again.
        #[cfg_attr(feature = "serde", serde(with = "crate::serialized::duration"))]
        delay: Duration,
    },
    /// An attempt was snoozed and does not count.
    Snoozed {
        /// Which task.
        task: TaskId,
        /// Its metadata.
        meta: M,
        /// How many attempts there were, without the snoozed ones.
        attempts: u32,
        /// The backoff before it is queued again.
        #[cfg_attr(feature = "serde", serde(with = "crate::serialized::duration"))]
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
    /// An orphan has stopped: an attempt that still ran after its task was settled.
    OrphanStopped {
        /// Which task.
        task: TaskId,
    },
    /// An emitter was attached.
    Attached {
        /// Which emitter.
        emitter: EmitterId,
    },
    /// An emitter was detached.
    Detached {
        /// Which emitter.
        emitter: EmitterId,
    },
    /// An emitter reported an error.
    EmitterFailed {
        /// Which emitter.
        emitter: EmitterId,
    },
    /// A pull has ended, and has brought something.
    Pulled {
        /// From which source.
        source: SourceId,
        /// How many deliveries.
        deliveries: u32,
        /// How many of them had been delivered before.
        redelivered: u32,
    },
    /// A delivery is dead: the engine is to put it aside.
    Dead {
        /// Of which source.
        source: SourceId,
        /// Which delivery.
        delivery: DeliveryId,
        /// Why.
        why: Death,
    },
    /// Verdicts were of no effect, because the lease of their deliveries had run out.
    Stale {
        /// Of which source.
        source: SourceId,
        /// How many.
        count: u32,
    },
    /// The engine of a source failed: [`last_error`](crate::Processor::last_error) has what it said.
    SourceFailed {
        /// Which source.
        source: SourceId,
        /// What was asked of it.
        operation: Operation,
    },
    /// A health check was made: [`last_health`](crate::Processor::last_health) has the report, which is too large for a
    /// ring of events. If several are unread, each stands for the newest report.
    Health,
    /// The machine began to drain.
    Draining,
}
