//! What a health report shows. [`Processor::health`](crate::Processor::health) fills it in.

use core::time::Duration;

use crate::{ByOutcome, Phase};

/// The state of the machine in numbers. [`Processor::health`](crate::Processor::health) reports it for now,
/// [`Processor::last_health`](crate::Processor::last_health) for the last health check.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Health {
    /// How far the machine is from its end.
    pub phase: Phase,
    /// What keeps queued tasks from starting, if anything does.
    pub hold: Hold,
    /// Tasks in the queue.
    pub queued: u32,
    /// Attempts that run for tasks that are not settled.
    pub running: u32,
    /// Tasks kept back by a start delay or a backoff.
    pub delayed: u32,
    /// Attempts that still run although their task is settled.
    pub orphans: u32,
    /// How many more tasks without a delay would be admitted now.
    pub free_room: u32,
    /// Places that permits hold, for tasks that are still to come.
    pub permits: u32,
    /// Deliveries of sources whose verdict is not confirmed.
    pub unconfirmed: u32,
    /// Sources whose engine is left alone for a time, after an error.
    pub sources_down: u32,
    /// Attempts, orphans included, that were reported as slow ([`Event::Slow`](crate::Event::Slow)) and still run.
    pub slow: u32,
    /// Tasks settled since the last health check.
    pub settled: ByOutcome,
    /// The longest time that a queued task has been in the queue; zero when the queue is empty.
    #[cfg_attr(feature = "serde", serde(with = "crate::serialized::duration"))]
    pub oldest_wait: Duration,
    /// The age of the last error, if there was one.
    #[cfg_attr(feature = "serde", serde(default, with = "crate::serialized::optional_duration"))]
    pub last_error_age: Option<Duration>,
    /// The load, in thousandths of the load line `queue + concurrency`. Delayed tasks do not count. It can exceed 1,000
    /// when delayed tasks fall due while the queue is full.
    pub saturation: u32,
    /// Slots that are retired because their generations are used up.
    pub retired: u32,
    /// Health checks before this one that were skipped, because `advance` was not called in time.
    pub missed: u64,
}

/// Why queued tasks are not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Hold {
    /// Nothing holds the machine back.
    None,
    /// The machine is paused.
    Paused,
    /// [`hold`](crate::Processor::hold) shuts the machine for a time.
    Held,
    /// The rate allows no start yet.
    Rate,
    /// Orphans are at their limit, or take every concurrency place: attempts that were asked to stop and still run.
    Orphans,
    /// The concurrency limit is set to 0.
    Concurrency,
    /// Tasks of some priorities are paused, by [`pause_class`](crate::Processor::pause_class); others start.
    Classes,
    /// The machine is ending or has ended.
    Ending,
}
