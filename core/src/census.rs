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

/// The movements of one class of things: what entered, what left, and the most there ever was at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// How many entered.
    pub entered: u64,
    /// How many left.
    pub left: u64,
    /// The most that were there at the same time.
    pub highest: u32,
    /// The most that there can be.
    pub bound: u32,
}

impl Account {
    pub(crate) const fn with_bound(bound: u32) -> Self {
        Self { entered: 0, left: 0, highest: 0, bound }
    }

    #[inline]
    pub(crate) fn enter(&mut self) {
        self.entered = self.entered.wrapping_add(1);
        self.note(self.live());
    }

    /// Notes how many there are now, in an account whose movements are counted elsewhere.
    #[inline]
    pub(crate) fn note(&mut self, live: u32) {
        if live > self.highest {
            self.highest = live;
        }
    }

    /// The account with its movements: what entered, and how much of that is still there.
    pub(crate) const fn with(self, entered: u64, live: u32) -> Self {
        Self { entered, left: entered.wrapping_sub(live as u64), ..self }
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        debug_assert!(self.live() > 0, "an account is overdrawn");
        self.left = self.left.wrapping_add(1);
    }

    /// How many are there now.
    #[must_use]
    pub const fn live(&self) -> u32 {
        // Bounded by `bound`, a u32, so the low half of the difference is all of it.
        self.entered.wrapping_sub(self.left) as u32
    }
}

/// The movements of every class of things that could leak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ledger {
    /// Health-check intervals.
    pub health_intervals: Account,
    /// Cleanup intervals.
    pub sweep_intervals: Account,
    /// Registrations with emitters: three a source.
    pub listeners: Account,
    /// Callbacks.
    pub callbacks: Account,
    /// Cache entries.
    pub cache: Account,
    /// Subscribers.
    pub subscribers: Account,
    /// Jobs in the machine's hands.
    pub jobs: Account,
    /// Timers of tasks.
    pub timers: Account,
    /// Task slots.
    pub tasks: Account,
    /// Tasks in the queue.
    pub queued: Account,
    /// Attempts, orphans included.
    pub running: Account,
    /// Results retained.
    pub results: Account,
    /// Those who waited for room or reserved some.
    pub waiters: Account,
    /// Places that permits hold.
    pub permits: Account,
    /// Sleeps of running attempts.
    pub sleeps: Account,
    /// Outcomes in the host's hands to be observed.
    pub observed: Account,
}

/// What was left when the machine ended, counted up to [`Effect::Drained`](crate::Effect::Drained).
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
