//! The ledger: for each class of things that could leak, how many have come and gone. A new class is a row of the table
//! `classes!`.
//!
//! An account is counted in one of three ways: where things come and go (`enter` and `leave`); by the part that has
//! them (`waiters`, `permits`, `timers`, `lanes`, `keys`, `sources` and `deliveries`); or from counts that exist anyway, by
//! [`Processor::ledger`](crate::Processor::ledger).

use crate::Limits;

/// The movements of one class of things: how many entered, how many left, and the most at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Account {
    /// How many entered.
    pub entered: u64,
    /// How many left.
    pub left: u64,
    /// The most that were live at the same time.
    pub highest: u32,
    /// The most that can be live at the same time.
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

    /// Notes how many are live now, in an account whose movements are counted elsewhere.
    #[inline]
    pub(crate) fn note(&mut self, live: u32) {
        if live > self.highest {
            self.highest = live;
        }
    }

    /// This account, with movements that are counted elsewhere.
    pub(crate) const fn with(self, entered: u64, live: u32) -> Self {
        Self { entered, left: entered.wrapping_sub(live as u64), ..self }
    }

    #[inline]
    pub(crate) fn leave(&mut self) {
        debug_assert!(self.live() > 0, "an account is overdrawn");
        self.left = self.left.wrapping_add(1);
    }

    /// How many are live now.
    #[must_use]
    pub const fn live(&self) -> u32 {
        // The difference is at most `bound`, which is a `u32`.
        self.entered.wrapping_sub(self.left) as u32
    }
}

/// The classes: a row is documentation, field, name in words, and bound.
macro_rules! classes {
    ($($(#[$doc:meta])* $class:ident: $name:literal, $limits:pat => $bound:expr;)*) => {
        /// The movements of every class of things that could leak. See [`Processor::ledger`](crate::Processor::ledger).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
        #[non_exhaustive]
        pub struct Ledger {
            $($(#[$doc])* pub $class: Account,)*
        }

        impl Ledger {
            /// How many classes there are.
            pub const CLASSES: usize = [$($name),*].len();

            /// Empty accounts.
            pub(crate) const fn new(limits: &Limits) -> Self {
                Self {
                    $($class: { let $limits = limits; Account::with_bound($bound) },)*
                }
            }

            /// Each account with the name of its class, in words.
            #[must_use]
            pub const fn classes(&self) -> [(&'static str, Account); Self::CLASSES] {
                [$(($name, self.$class)),*]
            }
        }
    };
}

classes! {
    /// Health-check intervals.
    health_intervals: "health intervals", _ => 1;
    /// Cleanup intervals.
    sweep_intervals: "sweep intervals", _ => 1;
    /// Registrations of emitters: three for each emitter.
    listeners: "listeners", limits => limits.emitters.saturating_mul(3);
    /// Callbacks.
    callbacks: "callbacks", limits => limits.task_slots();
    /// Cache entries.
    cache: "cache", limits => limits.cache.entries;
    /// Subscribers.
    subscribers: "subscribers", limits => limits.subscribers;
    /// Jobs that the machine holds.
    jobs: "jobs", limits => limits.task_slots();
    /// Timers of tasks.
    timers: "task timers", limits => limits.unsettled();
    /// Task slots.
    tasks: "tasks", limits => limits.task_slots();
    /// Tasks in the queue.
    queued: "queued", limits => limits.unsettled();
    /// Attempts, orphans included.
    running: "running", limits => limits.concurrency;
    /// Retained results.
    results: "results", limits => limits.results.entries;
    /// Waiters for room and permits.
    waiters: "waiters", limits => limits.waiters;
    /// Places that permits hold.
    permits: "permits", limits => limits.reservable();
    /// Sleeps of running attempts.
    sleeps: "sleeps", limits => limits.sleep_slots();
    /// Sources.
    sources: "sources", limits => limits.sources.sources;
    /// Deliveries of sources.
    deliveries: "deliveries", limits => limits.credit();
    /// Schedules.
    schedules: "schedules", limits => limits.schedules;
    /// Lanes.
    lanes: "lanes", limits => limits.lanes.lanes;
    /// Keys with a task, that no two tasks have at the same time.
    unique_keys: "unique keys", limits => if limits.dedup.is_some() { limits.unsettled() } else { 0 };
    /// Outcomes that the host is observing.
    observed: "observed", limits => limits.task_slots();
}
