//! How many bytes a machine asks of the allocator.

use crate::cache::Cache;
use crate::dedup::Dedup;
use crate::emitters::Emitters;
use crate::ids::TaskId;
use crate::lanes::Lanes;
use crate::line::Line;
use crate::list::ListWithLinks;
use crate::monitor::Monitor;
use crate::queue::Queue;
use crate::schedules::Schedules;
use crate::sleeps::Sleeps;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::subscribers::Subscribers;
use crate::task::Task;
use crate::timers::Timers;
use crate::{Event, Limits, Plan};

/// The parts: each is a row with its documentation and the bytes that it takes for given limits.
macro_rules! parts {
    ($($(#[$doc:meta])* $part:ident: $limits:ident => $bytes:expr;)*) => {
        /// Bytes that a machine asks of the allocator when it is built, by part. It never asks again.
        ///
        /// On x86_64, with the versions in this project's lock file, each number is exact; elsewhere it is an upper
        /// bound. The `Processor` value itself, and what the host's own values own, are not in it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
        #[non_exhaustive]
        pub struct Footprint {
            $($(#[$doc])* pub $part: usize,)*
        }

        impl Footprint {
            pub(super) fn of<P: Plan>(limits: &Limits) -> Self {
                $(let $part = { let $limits = limits; $bytes };)*
                Self { $($part),* }
            }

            /// The sum of all parts.
            #[must_use]
            pub const fn total(&self) -> usize {
                let total: usize = 0;
                $(let total = total.saturating_add(self.$part);)*
                total
            }
        }
    };
}

parts! {
    /// Task slots, with their jobs, outcomes and callbacks in place.
    tasks: limits => Slots::<TaskId, Task<P>>::bytes(limits.task_slots());
    /// The queue, and the lists of tasks that owe an effect or are retained.
    lists: limits => Queue::bytes(limits.task_slots())
        .saturating_add(ListWithLinks::bytes(limits.task_slots()).saturating_mul(2));
    /// Lanes, and the lists of their tasks.
    lanes: limits => Lanes::bytes(limits);
    /// What is known of running attempts.
    monitor: limits => Monitor::bytes(limits);
    /// Keys that no two tasks have at the same time.
    keys: limits => Dedup::bytes(limits);
    /// The timer store.
    timers: limits => Timers::bytes(limits.timer_slots());
    /// Sleeps of running attempts.
    sleeps: limits => Sleeps::<P::Waiter>::bytes(limits.sleep_slots());
    /// Permits for room, and those who wait for one.
    waiters: limits => Line::<P::Waiter>::bytes(limits.waiters);
    /// Schedules.
    schedules: limits => Schedules::bytes(limits.schedules);
    /// Sources and their deliveries.
    sources: limits => Sources::<P::Waiter>::bytes(limits);
    /// Attached emitters.
    emitters: limits => Emitters::<P::Listener>::bytes(limits.emitters);
    /// Subscribers and the ring of events.
    subscribers: limits =>
        Subscribers::<Event<P::Meta>, P::Waiter>::bytes(limits.subscribers, limits.events);
    /// The cache.
    cache: limits => Cache::<P::Key, P::Value>::bytes(&limits.cache);
}
