//! The machine itself: what it is made of, and the few steps that all of its calls share.
//!
//! The calls stand in files of their own, by what they are for: [`submit`], [`feed`], [`room`] and
//! [`control`] take commands, [`report`] takes what the host reports, [`clock`] handles time, [`output`]
//! hands out attempts and effects, [`keep`] kept outcomes, [`events`] events, [`ending`] is the end, and
//! [`observe`] tells what there is. [`settle`] is the one way by which an outcome is fixed and released.

mod clock;
mod control;
mod ending;
mod events;
mod feed;
mod keep;
mod observe;
mod output;
mod report;
mod room;
mod settle;
mod submit;
mod sweep;
#[cfg(test)]
mod tests;

use core::fmt;

use fastrand::Rng;

use crate::cache::Cache;
use crate::ids::{TaskId, TimerId};
use crate::last_error::LastError;
use crate::lifecycle::{Input, Next, State};
use crate::line::Line;
use crate::list::List;
use crate::queue::Queue;
use crate::slots::Slots;
use crate::sources::Sources;
use crate::subscribers::Subscribers;
use crate::task::{Claimant, NEVER, QUEUE, RESULTS, Task};
use crate::timers::Timers;
use crate::{Account, ByOutcome, Event, Instant, InvalidLimits, Ledger, Limits, Plan, Remains, Totals};

pub use control::Cancelled;
pub use ending::{Drain, Phase};
pub use feed::Batch;
pub use keep::{Claim, Released};
pub use report::Failure;
pub use sweep::{Sweep, Swept};

use clock::Interval;
use ending::Ending;

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
    concurrency: u32,
    rng: Rng,

    tasks: Slots<TaskId, Task<P>>,
    /// How many tasks are in each state.
    tally: [u32; State::COUNT],
    queue: Queue,
    /// Settled tasks that owe the host an effect.
    outbox: List<QUEUE>,
    /// Retained results, oldest first.
    results: List<RESULTS>,
    /// Tasks routed to a handle, and how many of them are settled.
    handles: u32,
    unclaimed: u32,

    timers: Timers<Owner>,
    health: Option<Interval>,
    sweep: Option<Interval>,
    sweep_due: bool,

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

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// That of the task in this slot.
    Task(u32),
    Health,
    Sweep,
    /// The deadline of a graceful drain.
    Drain,
}

impl<P: Plan> Processor<P> {
    /// Builds a machine for these limits. This is the only call that allocates: exactly
    /// [`Limits::footprint`]. O(limits).
    ///
    /// # Errors
    /// The first limit that is out of its bounds.
    pub fn new(limits: Limits, now: Instant) -> Result<Self, InvalidLimits> {
        limits.check()?;
        let further = u64::from(limits.attempts.saturating_sub(1));
        let mut machine = Self {
            now,
            ending: Ending::default(),
            paused: false,
            concurrency: limits.concurrency,
            rng: Rng::with_seed(limits.seed),
            tasks: Slots::new(limits.task_slots(), further),
            tally: [0; State::COUNT],
            queue: Queue::new(),
            outbox: List::new(),
            results: List::new(),
            handles: 0,
            unclaimed: 0,
            timers: Timers::new(limits.timer_slots(), now),
            health: None,
            sweep: None,
            sweep_due: false,
            line: Line::new(limits.waiters),
            sources: Sources::new(limits.sources),
            subscribers: Subscribers::new(limits.subscribers, limits.events),
            cache: Cache::new(limits.cache),
            totals: Totals::default(),
            settled_since_health: ByOutcome::default(),
            ledger: accounts(&limits),
            last_error: None,
            streak: 0,
            remains: Remains::default(),
            limits,
        };
        machine.arm_intervals();
        Ok(machine)
    }

    /// Moves the clock on, never back, and tells what time it is.
    fn tell(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    fn publish(&mut self, event: Event<P::Meta>) {
        if self.subscribers.len() > 0 {
            self.totals.events = self.totals.events.wrapping_add(1);
            self.subscribers.publish(event);
        }
    }

    fn count(&self, state: State) -> u32 {
        self.tally.get(state as usize).copied().unwrap_or(0)
    }

    fn adjust(&mut self, state: State, by: i32) {
        if let Some(count) = self.tally.get_mut(state as usize) {
            *count = count.saturating_add_signed(by);
        }
    }

    /// Takes the task in slot `index` one transition further. `None` when it cannot happen; then nothing
    /// has changed.
    fn step(&mut self, index: u32, input: Input) -> Option<Next> {
        let task = self.tasks.at_mut(index)?;
        let from = task.state;
        let next = from.on(input)?;
        if let Next::To(to) = next {
            task.state = to;
            self.adjust(to, 1);
        }
        self.adjust(from, -1);
        let placed_after = matches!(next, Next::To(to) if to.is_placed());
        match (from.is_placed(), placed_after) {
            (false, true) => self.ledger.running.enter(),
            (true, false) => self.ledger.running.leave(),
            _ => {}
        }
        Some(next)
    }

    /// Arms the one timer of the task in slot `index` to its nearest deadline.
    fn arm(&mut self, index: u32) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        debug_assert!(task.timer.is_none(), "a task has one timer at most");
        let deadline = task.deadline();
        if deadline != NEVER {
            task.timer = self.timers.arm(deadline, Owner::Task(index));
            debug_assert!(task.timer.is_some(), "there is a timer for every task that waits or runs");
            if task.timer.is_some() {
                self.ledger.timers.enter();
            }
        }
    }

    fn disarm(&mut self, index: u32) {
        let timer: Option<TimerId> = self.tasks.at_mut(index).and_then(|task| task.timer.take());
        if timer.is_some_and(|timer| self.timers.disarm(timer).is_some()) {
            self.ledger.timers.leave();
        }
    }

    /// Puts the task in slot `index`, which has just come to wait there, in the queue.
    fn enqueue(&mut self, index: u32) {
        self.queue.push(&mut self.tasks, index);
        self.ledger.queued.enter();
        self.arm(index);
    }

    fn dequeue(&mut self, index: u32) {
        self.queue.remove(&mut self.tasks, index);
        self.ledger.queued.leave();
    }

    /// How many attempts keep a concurrency place.
    fn placed(&self) -> u32 {
        self.count(State::Running).saturating_add(self.orphans())
    }

    fn orphans(&self) -> u32 {
        self.count(State::Stopping).saturating_add(self.count(State::Orphan))
    }

    fn delayed(&self) -> u32 {
        self.count(State::Delayed).saturating_add(self.count(State::Backoff))
    }

    /// How many concurrency places could be taken now.
    fn free_places(&self) -> u32 {
        if self.paused || self.ending.is_aborting() || self.orphans() >= self.limits.orphans {
            return 0;
        }
        self.concurrency.saturating_sub(self.placed())
    }

    /// How many more tasks the queue takes now.
    fn queue_room(&self) -> u32 {
        let waiting =
            self.delayed().saturating_add(self.count(State::Queued)).saturating_add(self.line.permits());
        self.limits.queue.saturating_add(self.free_places()).saturating_sub(waiting)
    }

    /// How many task slots are neither in use nor promised.
    fn slot_room(&self) -> u32 {
        self.tasks.free().saturating_sub(self.line.permits())
    }

    fn is_open(&self) -> bool {
        self.ending.phase() == Phase::Open
    }

    /// Whether the first of those who wait for room can have some.
    fn can_grant(&self) -> bool {
        self.line.is_waiting() && self.is_open() && self.queue_room() > 0 && self.slot_room() > 0
    }
}

fn accounts(limits: &Limits) -> Ledger {
    let slots = limits.task_slots();
    let waiting_or_running = limits.queue.saturating_add(limits.concurrency);
    Ledger {
        health_intervals: Account::with_bound(1),
        sweep_intervals: Account::with_bound(1),
        listeners: Account::with_bound(limits.sources.saturating_mul(3)),
        callbacks: Account::with_bound(slots),
        cache: Account::with_bound(limits.cache.entries),
        subscribers: Account::with_bound(limits.subscribers),
        jobs: Account::with_bound(slots),
        timers: Account::with_bound(waiting_or_running),
        tasks: Account::with_bound(slots),
        queued: Account::with_bound(waiting_or_running),
        running: Account::with_bound(limits.concurrency),
        results: Account::with_bound(limits.results.entries),
        waiters: Account::with_bound(limits.waiters),
    }
}

impl<P: Plan> Task<P> {
    fn is_for_handle(&self) -> bool {
        matches!(self.claimant, Claimant::Handle(_))
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
