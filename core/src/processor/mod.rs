//! The machine: its parts, and the few steps that all of its calls share.
//!
//! Its calls are in files of their own:
//!
//! | purpose | files |
//! |---|---|
//! | construction | [`build`] |
//! | commands of the host | [`submit`], [`emitter`], [`room`], [`lane`], [`dedup`], [`overflow`], [`schedule`], [`sleep`], [`source`], [`delivery`], [`control`], [`events`] |
//! | reports of the host about attempts | [`report`], [`monitor`] |
//! | time | [`advance`] |
//! | attempts and effects | [`output`] |
//! | outcomes: observed by the host, kept for a handle, swept | [`observe`], [`keep`], [`sweep`] |
//! | the end | [`ending`] |
//! | observation | [`getters`], [`inspect`] |
//!
//! Parts that only the machine has: the [`gate`] decides whether an attempt may start, and [`admission`] whether a task
//! may be admitted. [`follow`] tells lanes, the rate and the monitor of each task. [`deadlines`] has the timer of each
//! owner, and the [`tally`] counts tasks by state. Only [`settle`] fixes and releases outcomes, and only [`retry`]
//! leads to a further attempt.

// The calls that every task needs are always inlined into the host: `submit`, `start_next`, `completed`, `claim` and what they
// have in common. Their arguments and results stay in registers then, and the host's branches on them fold: 5 % of a whole
// task in the engine of the adapters. All other calls leave it to the compiler.

// The first modules are in the order in which the documentation shows their methods.
mod build;

mod submit;

mod output;

mod report;

mod advance;

mod keep;

mod room;

mod lane;

mod monitor;

mod schedule;

mod control;

mod ending;

mod getters;

mod admission;
mod deadlines;
mod dedup;
mod delivery;
mod emitter;
mod events;
mod follow;
mod gate;
mod inspect;
mod observe;
mod overflow;
mod retry;
mod settle;
mod sleep;
mod source;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use core::fmt;

use fastrand::Rng;

use crate::cache::Cache;
use crate::dedup::Dedup;
use crate::emitters::Emitters;
use crate::ids::TaskId;
use crate::lanes::Lanes;
use crate::last_error::LastError;
use crate::list::ListWithLinks;
use crate::monitor::Monitor;
use crate::queue::Queue;
use crate::schedules::{Grid, Schedules};
use crate::sleeps::Sleeps;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::subscribers::Subscribers;
use crate::task::Task;
use crate::{ByOutcome, ByRefusal, Event, Health, Instant, Ledger, Limits, Plan, Remains, Totals};

pub use control::Cancelled;
pub use emitter::Batch;
pub use ending::{Drain, Phase};
pub use inspect::{Stage, TaskView};
pub use keep::{Claim, Released};
pub use report::Failure;
pub use room::Reserved;
pub use sweep::{Sweep, Swept};

use admission::Admission;
pub(crate) use deadlines::Deadlines;
use ending::Ending;
use gate::Gate;
use tally::Tally;

/// A bounded task processor as a state machine without clock, threads or I/O. See the [crate docs](crate).
///
/// Every call is O(1) unless its documentation says otherwise. Only [`new`](Self::new) allocates. No call runs code of
/// the host, except `Eq` of a cache key inside [`Cache`].
pub struct Processor<P: Plan> {
    limits: Limits,
    /// The latest instant that the host has passed.
    now: Instant,
    ending: Ending,
    /// Whether the host observes outcomes before their claimants get them.
    observes: bool,
    gate: Gate,
    admission: Admission<P::Waiter>,
    rng: Rng,

    tasks: Slots<TaskId, Task<P>>,
    tally: Tally,
    queue: Queue,
    /// `None` without lanes: then the queue alone says which task is next.
    lanes: Option<Box<Lanes>>,
    /// `None` without keys.
    dedup: Option<Box<Dedup>>,
    /// `None` without a monitor: then attempts have no deadlines and no progress but their task's own.
    monitor: Option<Box<Monitor>>,
    /// Tasks that owe the host an effect.
    outbox: ListWithLinks,
    /// Retained results, oldest first.
    results: ListWithLinks,

    deadlines: Deadlines,
    health: Option<Grid>,
    sweep: Option<Grid>,
    sweep_due: bool,

    sleeps: Sleeps<P::Waiter>,
    schedules: Schedules,
    sources: Sources<P::Waiter>,
    emitters: Emitters<P::Listener>,
    subscribers: Subscribers<Event<P::Meta>, P::Waiter>,
    cache: Cache<P::Key, P::Value>,

    totals: Totals,
    refusals: ByRefusal,
    settled_since_health: ByOutcome,
    last_health: Option<Health>,
    ledger: Ledger,
    last_error: Option<LastError<P::Meta>>,
    streak: u32,
    /// Counted while the machine ends, complete once it is drained.
    remains: Remains,
}

impl<P: Plan> Processor<P> {
    /// Advances the machine's time to `now`, never back, and returns it.
    #[inline]
    fn observe_time(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// Publishes an event to all subscribers. Without subscribers it is not constructed.
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

    #[inline]
    fn is_open(&self) -> bool {
        self.ending.phase() == Phase::Open
    }
}

impl<P: Plan> fmt::Debug for Processor<P> {
    /// Shows counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("now", &self.now)
            .field("phase", &self.phase())
            .field("paused", &self.is_paused())
            .field("census", &self.census())
            .field("totals", &self.totals)
            .finish_non_exhaustive()
    }
}
