//! What is live, what has come and gone, and what was left at the end.

use crate::ByOutcome;

/// What the machine holds at this moment, each class counted apart. After an abort all are zero (`retired` excepted);
/// after an end that keeps outcomes and events, once their handles and subscribers are gone.
///
/// [`Processor::census`](crate::Processor::census) answers in O(1) from running counts;
/// [`Processor::audit`](crate::Processor::audit) recounts by walking. They are always equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Tasks kept back by their start delay.
    pub delayed: u32,
    /// Tasks in the queue.
    pub queued: u32,
    /// Tasks between two attempts.
    pub backoff: u32,
    /// Attempts that run for tasks that are not settled.
    pub running: u32,
    /// Attempts that run on although their task is settled.
    pub orphans: u32,
    /// Tasks with an effect (`Stop`, `Observe`, `Settle`, `Wake`, `Discard`) that was not taken yet.
    pub pending: u32,
    /// Settled tasks whose outcome waits for its handle, those that the host has to observe first among them.
    pub unclaimed: u32,
    /// Results retained.
    pub results: u32,
    /// Tasks routed to a handle, settled or not.
    pub handles: u32,
    /// Task slots in use.
    pub tasks: u32,
    /// Callbacks held.
    pub callbacks: u32,
    /// Timers armed, intervals included.
    pub timers: u32,
    /// Of these, the intervals.
    pub intervals: u32,
    /// Sleeps of running attempts, and waiters of sleeps whose attempt is over, until they are woken.
    pub sleeps: u32,
    /// Sources attached.
    pub sources: u32,
    /// Subscribers.
    pub subscribers: u32,
    /// Those who wait for room, those who hold a permit, and those who were denied one and have not asked again.
    pub waiters: u32,
    /// Places that permits hold.
    pub permits: u32,
    /// Outcomes that the host has to observe, and has not given back.
    pub observed: u32,
    /// Cache entries.
    pub cached: u32,
    /// Slots retired because their generations are used up, of all classes.
    pub retired: u32,
}

impl Census {
    /// Whether nothing is held at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { retired: self.retired, ..Self::default() }
    }

    /// Tasks that are admitted and not settled.
    #[must_use]
    pub const fn unsettled(&self) -> u64 {
        self.delayed as u64 + self.queued as u64 + self.backoff as u64 + self.running as u64
    }
}

/// What has come and gone since the machine was built.
///
/// Always: `offered = refused + admitted`, and `admitted = settled.total() + census.unsettled()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Tasks offered.
    pub offered: u64,
    /// Tasks refused and handed back.
    pub refused: u64,
    /// Tasks admitted.
    pub admitted: u64,
    /// Tasks settled, by outcome.
    pub settled: ByOutcome,
    /// Attempts started.
    pub started: u64,
    /// Attempts that failed, panicked or timed out and were followed by a backoff.
    pub retried: u64,
    /// Attempts that were snoozed.
    pub snoozed: u64,
    /// Attempts that became orphans.
    pub orphaned: u64,
    /// Outputs, errors, panics and snoozes that were reported for attempts that were over.
    pub late: u64,
    /// Panics after the outcome was fixed, as counted by the host.
    pub late_panics: u64,
    /// Errors reported by sources.
    pub source_errors: u64,
    /// Events published.
    pub events: u64,
}

/// What was left when the machine ended, from [`Processor::remains`](crate::Processor::remains); counted up to
/// [`Effect::Drained`](crate::Effect::Drained).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remains {
    /// Attempts that run on: when everything else was done, no report had said that they had stopped. Their concurrency
    /// places are free; reports about them are late.
    pub abandoned: u32,
    /// Tasks that the end settled as cancelled.
    pub cancelled: u32,
    /// Outcomes that nobody had taken and that the end discarded: retained results, and those of handles if it kept
    /// nothing.
    pub discarded: u32,
    /// Outcomes that the end has kept for their handles.
    pub kept: u32,
    /// Sources that were detached by the drain.
    pub detached: u32,
    /// Subscribers that were still there. An end that keeps has left them what they have not read; any other has removed
    /// them.
    pub subscribers: u32,
    /// Cache entries that were still there.
    pub cached: u32,
    /// Waiters for room that were sent away, permits included.
    pub waiters: u32,
    /// The totals at the end.
    pub totals: Totals,
}
