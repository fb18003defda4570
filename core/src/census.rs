//! Counts: what is live, what has come and gone, and what was left at the end. `processor/getters.rs` fills in
//! [`Census`], and recounts it in `audit`.

use crate::ByOutcome;

/// What the machine holds now, by class. After an abort all counts but `retired` are zero. After an end that keeps
/// outcomes and events they are zero once the handles and subscribers are gone.
///
/// [`Processor::census`](crate::Processor::census) answers in O(1) from running counts.
/// [`Processor::audit`](crate::Processor::audit) walks over all slots and recounts. The two are always equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Census {
    /// Tasks that wait for their start delay to pass.
    pub delayed: u32,
    /// Tasks in the queue.
    pub queued: u32,
    /// Tasks that back off between two attempts.
    pub backoff: u32,
    /// Attempts whose task is not settled.
    pub running: u32,
    /// Attempts that still run although their task is settled.
    pub orphans: u32,
    /// Attempts, orphans included, that were reported as slow and still run.
    pub slow: u32,
    /// Tasks with an effect (`Stop`, `Observe`, `Settle`, `Wake`, `Discard`) that the host has not taken yet.
    pub pending: u32,
    /// Settled tasks whose outcome waits for its handle, including those that the host has to observe first.
    pub unclaimed: u32,
    /// Retained results.
    pub results: u32,
    /// Tasks routed to a handle, settled or not.
    pub handles: u32,
    /// Task slots in use.
    pub tasks: u32,
    /// Callbacks that the machine holds.
    pub callbacks: u32,
    /// Armed timers, including intervals.
    pub timers: u32,
    /// Armed timers that are intervals.
    pub intervals: u32,
    /// Sleeps of running attempts, and sleeps of ended attempts whose waiter is still to be woken.
    pub sleeps: u32,
    /// Attached emitters.
    pub emitters: u32,
    /// Sources.
    pub sources: u32,
    /// Deliveries that take a place of their source's credit: their verdict is not confirmed, or their task has a slot.
    pub deliveries: u32,
    /// Places that pulls under way have, for deliveries that are still to come.
    pub pulling: u32,
    /// Subscribers.
    pub subscribers: u32,
    /// Waiters for room, permits, and waiters that were denied a permit and have not asked again.
    pub waiters: u32,
    /// Places that permits hold.
    pub permits: u32,
    /// Schedules.
    pub schedules: u32,
    /// Lanes.
    pub lanes: u32,
    /// Keys with a task, that no two tasks have at the same time. Keys that are only remembered do not count.
    pub unique_keys: u32,
    /// Outcomes that the host has taken to observe and not given back yet.
    pub observed: u32,
    /// Cache entries.
    pub cached: u32,
    /// Slots of all classes that are retired because their generations are used up.
    pub retired: u32,
}

impl Census {
    /// Whether the machine holds nothing. `retired` does not count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { retired: self.retired, ..Self::default() }
    }

    /// Tasks that are admitted and not settled yet.
    #[must_use]
    pub const fn unsettled(&self) -> u64 {
        self.delayed as u64 + self.queued as u64 + self.backoff as u64 + self.running as u64
    }
}

/// What has come and gone since the machine was built.
///
/// It always holds that `offered = refused + admitted` and `admitted = settled.total() + census.unsettled()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Totals {
    /// Tasks offered.
    pub offered: u64,
    /// Tasks that were refused and handed back.
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
    /// Attempts that were reported as slow.
    pub slow: u64,
    /// Outputs, errors, panics and snoozes reported for attempts that had already ended.
    pub late: u64,
    /// Panics after the outcome was fixed, as reported by the host.
    pub late_panics: u64,
    /// Errors reported by emitters.
    pub emitter_errors: u64,
    /// Deliveries that came from sources.
    pub pulled: u64,
    /// Deliveries among them that had been delivered before.
    pub redelivered: u64,
    /// Verdicts that were confirmed.
    pub confirmed: u64,
    /// Verdicts that were of no effect, because the lease had run out.
    pub stale: u64,
    /// Deliveries whose verdict was that they are dead.
    pub dead: u64,
    /// Errors of the engines of sources.
    pub source_errors: u64,
    /// Events published.
    pub events: u64,
}

/// What was left when the machine ended, counted up to [`Effect::Drained`](crate::Effect::Drained). See
/// [`Processor::remains`](crate::Processor::remains).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Remains {
    /// Attempts that still run: everything else was done, and the host had not reported that they had stopped. Their
    /// concurrency places are free; reports about them are late.
    pub abandoned: u32,
    /// Tasks that the end settled as cancelled.
    pub cancelled: u32,
    /// Outcomes that nobody had taken and that the end discarded: retained results and, if the end keeps nothing, the
    /// outcomes of handles.
    pub discarded: u32,
    /// Outcomes that the end kept for their handles.
    pub kept: u32,
    /// Emitters that were detached by the drain.
    pub detached: u32,
    /// Sources that were still open.
    pub sources: u32,
    /// Deliveries whose verdict was not confirmed. The engine delivers them again.
    pub deliveries: u32,
    /// Schedules that were ended by the drain.
    pub schedules: u32,
    /// Subscribers that were still there. An end that keeps leaves them their unread events; any other end removes
    /// them.
    pub subscribers: u32,
    /// Cache entries that were still there.
    pub cached: u32,
    /// Waiters for room and permits that were sent away.
    pub waiters: u32,
    /// The totals at the end.
    pub totals: Totals,
}
