//! What subscribers are told.

use core::time::Duration;

use crate::{AttemptId, ByOutcome, OutcomeKind, Phase, Refusal, SourceId, TaskId};

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

/// The state of the machine in numbers, from [`Processor::health`](crate::Processor::health) and
/// [`Processor::last_health`](crate::Processor::last_health).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// How far the machine is from its end.
    pub phase: Phase,
    /// Why no task is being started, if so.
    pub hold: Hold,
    /// Tasks in the queue.
    pub queued: u32,
    /// Attempts that run for tasks that are not settled.
    pub running: u32,
    /// Tasks kept back by a start delay or a backoff.
    pub delayed: u32,
    /// Attempts that run on although their task is settled.
    pub orphans: u32,
    /// How many more tasks without a delay would be admitted now.
    pub free_room: u32,
    /// Places that permits hold: room that is set aside for tasks to come.
    pub permits: u32,
    /// Tasks settled since the last health event.
    pub settled: ByOutcome,
    /// How long the task that has been in the queue longest has been there; zero when it is empty.
    pub oldest_wait: Duration,
    /// How long ago the last error was, if there was one.
    pub last_error_age: Option<Duration>,
    /// How deep the machine is loaded, in thousandths of its load line: of `queue + concurrency`, how much
    /// is taken. Tasks for later do not count; those that fell due into a full queue can make it more than 1,000.
    pub saturation: u32,
    /// Slots retired because their generations are used up.
    pub retired: u32,
    /// Health checks that were due before this one and left out because nobody called `advance`.
    pub missed: u64,
}

/// Why no task is being started although there may be some in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// Nothing holds the machine back.
    None,
    /// It was paused.
    Paused,
    /// Attempts that run on although they were told to stop are at their limit, or have every concurrency
    /// place.
    Orphans,
    /// The concurrency limit is set to 0.
    Concurrency,
    /// It is ending, or has ended.
    Ending,
}
