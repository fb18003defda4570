//! How many bytes a machine asks of the allocator.

use crate::cache::Cache;
use crate::ids::TaskId;
use crate::line::Line;
use crate::list::Fifo;
use crate::queue::Queue;
use crate::sleeps::Sleeps;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::subscribers::Subscribers;
use crate::task::Task;
use crate::timers::Timers;
use crate::{Event, Limits, Plan};

/// Bytes that a machine asks of the allocator when it is built, by part. It never asks again.
///
/// On x86_64, with the versions in this project's lock file, each number is exact; elsewhere it is an upper
/// bound. The `Processor` value itself, and what the host's own values own, are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// Task slots, with their jobs, outcomes and callbacks in place.
    pub tasks: usize,
    /// The queue, and the lists of tasks that owe an effect or are retained.
    pub lists: usize,
    /// The timer store.
    pub timers: usize,
    /// Sleeps of running attempts.
    pub sleeps: usize,
    /// Permits for room, and those who wait for one.
    pub waiters: usize,
    /// Attached sources.
    pub sources: usize,
    /// Subscribers and the ring of events.
    pub subscribers: usize,
    /// The cache.
    pub cache: usize,
}

impl Footprint {
    pub(super) fn of<P: Plan>(limits: &Limits) -> Self {
        Self {
            tasks: Slots::<TaskId, Task<P>>::bytes(limits.task_slots()),
            lists: Queue::bytes(limits.task_slots())
                .saturating_add(Fifo::bytes(limits.task_slots()).saturating_mul(2)),
            timers: Timers::bytes(limits.timer_slots()),
            sleeps: Sleeps::<P::Waiter>::bytes(limits.sleep_slots()),
            waiters: Line::<P::Waiter>::bytes(limits.waiters),
            sources: Sources::<P::Listener>::bytes(limits.sources),
            subscribers: Subscribers::<Event<P::Meta>, P::Waiter>::bytes(limits.subscribers, limits.events),
            cache: Cache::<P::Key, P::Value>::bytes(&limits.cache),
        }
    }

    /// The sum of all parts.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.tasks
            .saturating_add(self.lists)
            .saturating_add(self.timers)
            .saturating_add(self.sleeps)
            .saturating_add(self.waiters)
            .saturating_add(self.sources)
            .saturating_add(self.subscribers)
            .saturating_add(self.cache)
    }
}
