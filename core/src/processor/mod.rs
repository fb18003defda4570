//! The machine itself: what it is made of, and the few steps that all of its calls share.
//!
//! The calls stand in files of their own, by what they are for: [`build`] makes it; [`submit`], [`feed`], [`room`],
//! [`sleep`] and [`control`] take commands, [`report`] takes what the host reports, [`retry`] tries tasks again, [`clock`] handles time, [`output`]
//! hands out attempts and effects, [`show`] outcomes to observe, [`keep`] kept ones, [`events`] events, [`ending`] is the end, and
//! [`observe`] tells what there is. [`settle`] is the one way by which an outcome is fixed and released.

// In the order in which the documentation shows their methods.
mod build;

mod submit;

mod output;

mod report;

mod clock;

mod keep;

mod room;

mod control;

mod ending;

mod observe;

mod deadlines;
mod events;
mod feed;
mod inspect;
mod retry;
mod settle;
mod show;
mod sleep;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;

use core::fmt;

use fastrand::Rng;

use crate::cache::Cache;
use crate::ids::TaskId;
use crate::last_error::LastError;
use crate::lifecycle::State;
use crate::line::Line;
use crate::list::List;
use crate::queue::Queue;
use crate::sleeps::Sleeps;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::subscribers::Subscribers;
use crate::task::{QUEUE, RESULTS, Task};
use crate::{ByOutcome, Event, Instant, Ledger, Limits, Plan, Remains, Totals};

pub use control::Cancelled;
pub use ending::{Drain, Phase};
pub use feed::Batch;
pub use inspect::{Stage, TaskView};
pub use keep::{Claim, Released};
pub use report::Failure;
pub use room::Reserved;
pub use sweep::{Sweep, Swept};

use clock::Interval;
pub(crate) use deadlines::Deadlines;
use ending::Ending;
use tally::Tally;

/// A bounded task processor as a state machine without clock, threads or I/O. See the [crate docs](crate).
///
/// Every call is O(1) unless its documentation says otherwise, none allocates, and none calls code of the
/// host, except `Eq` of a cache key inside [`Cache`].
pub struct Processor<P: Plan> {
    limits: Limits,
    /// The latest instant it was told.
    now: Instant,
    ending: Ending,
    paused: bool,
    /// Whether the host sees outcomes before their claimants do.
    observes: bool,
    concurrency: u32,
    /// How many attempts may run at the same time as things are: 0 while nothing may be started.
    gate: u32,
    rng: Rng,

    tasks: Slots<TaskId, Task<P>>,
    tally: Tally,
    queue: Queue,
    /// Tasks that owe the host an effect.
    outbox: List<QUEUE>,
    /// Retained results, oldest first.
    results: List<RESULTS>,
    /// Tasks routed to a handle.
    handles: u32,

    deadlines: Deadlines,
    health: Option<Interval>,
    sweep: Option<Interval>,
    sweep_due: bool,

    sleeps: Sleeps<P::Waiter>,
    line: Line<P::Waiter>,
    sources: Sources<P::Listener>,
    subscribers: Subscribers<Event<P::Meta>, P::Waiter>,
    cache: Cache<P::Key, P::Value>,

    totals: Totals,
    settled_since_health: ByOutcome,
    ledger: Ledger,
    last_error: Option<LastError<P::Meta>>,
    streak: u32,
    remains: Remains,
}

impl<P: Plan> Processor<P> {
    /// Moves the clock on, never back, and tells what time it is.
    #[inline]
    fn tell(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// Shows an event to all subscribers; without any it is not even made.
    #[inline]
    fn publish(&mut self, event: impl FnOnce() -> Event<P::Meta>) {
        if self.subscribers.len() > 0 {
            self.publish_to_all(event());
        }
    }

    #[cold]
    fn publish_to_all(&mut self, event: Event<P::Meta>) {
        if self.subscribers.publish(event) {
            self.totals.events = self.totals.events.wrapping_add(1);
        }
    }

    /// Sets the gate anew after something that it depends on has changed.
    fn set_gate(&mut self) {
        let is_shut = self.paused || self.ending.is_ending();
        self.gate = if is_shut { 0 } else { self.concurrency };
    }

    /// How many concurrency places could be taken now.
    #[inline]
    fn free_places(&self) -> u32 {
        if self.tally.orphans() >= self.limits.orphans {
            return 0;
        }
        self.gate.saturating_sub(self.tally.placed())
    }

    /// How much of the queue's room is taken: by tasks that wait for a place now, by places that permits hold, and by tasks
    /// that back off beyond what `delayed` allows.
    #[inline]
    fn waiting_now(&self) -> u32 {
        // Each of these is bounded by a limit, and the sum of the limits is far below 2^32.
        let surplus = self.tally.delayed().saturating_sub(self.limits.delayed);
        self.tally.of(State::Queued).wrapping_add(surplus).wrapping_add(self.line.held())
    }

    /// How many more tasks the queue takes now.
    #[inline]
    fn queue_room(&self) -> u32 {
        self.limits.queue.wrapping_add(self.free_places()).saturating_sub(self.waiting_now())
    }

    /// Whether [`queue_room`](Self::queue_room) is not 0. Mostly there is room whoever runs.
    #[inline]
    fn has_queue_room(&self) -> bool {
        self.waiting_now() < self.limits.queue || self.queue_room() > 0
    }

    /// Whether one more delayed task is taken now, beside so many places that permits hold. What has fallen due into a full
    /// queue takes its room, as what backs off beyond `delayed` takes that of the queue. So unsettled tasks, orphans and
    /// places of permits together are never more than [`Limits::unsettled`], and their slots suffice.
    #[inline]
    fn has_delayed_room(&self, held: u32) -> bool {
        let all = self.tally.waiting().wrapping_add(self.tally.placed()).wrapping_add(held);
        self.tally.delayed() < self.limits.delayed && all < self.limits.unsettled()
    }

    /// How many task slots are neither in use nor promised.
    #[inline]
    fn slot_room(&self) -> u32 {
        self.tasks.free().saturating_sub(self.line.held())
    }

    /// How many more tasks may be routed to handles, beside so many places that permits hold.
    #[inline]
    fn unclaimed_room(&self, held: u32) -> u32 {
        self.limits.unclaimed_slots().saturating_sub(self.handles.wrapping_add(held))
    }

    #[inline]
    fn is_open(&self) -> bool {
        self.ending.phase() == Phase::Open
    }

    /// Whether there is as much room as the first of those in line waits for.
    #[inline]
    fn can_call_first(&self) -> bool {
        self.line.is_waiting() && self.is_open() && self.has_room_for(self.line.wanted())
    }

    fn has_room_for(&self, count: u32) -> bool {
        self.queue_room() >= count && self.slot_room() >= count
    }
}

impl<P: Plan> fmt::Debug for Processor<P> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("now", &self.now)
            .field("phase", &self.phase())
            .field("paused", &self.paused)
            .field("census", &self.census())
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}
