//! The end: a state, reached in bounded steps.
//!
//! ```text
//!        drain(Graceful)            quiet, or the deadline              every slot empty,
//!  Open ────────────────► Draining ───────────────────────► (aborting) ───────────────────► Drained
//!    └──────────────────────────────── drain(Abort) ───────────┘        every effect taken
//! ```
//!
//! While *aborting*, `advance` walks over the task slots, each one unit of its budget, and settles or
//! discards what it finds; `poll_effect` hands out what that leaves behind, then the cache, and at last
//! `Drained`.

use core::time::Duration;

use super::{OwnTimer, Processor};
use crate::effect::Effect;
use crate::lifecycle::{Input, State};
use crate::task::{Claimant, Pending};
use crate::{Event, Instant, Plan};

/// How far the machine is from its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It takes tasks in.
    #[default]
    Open,
    /// It takes nothing in any more, and works off or gives up what it has.
    Draining,
    /// It holds nothing.
    Drained,
}

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Let everything that was admitted come to its own end, kept outcomes be taken by their handles, and
    /// orphans stop; after this duration, abort.
    Graceful(Duration),
    /// Settle everything as cancelled now.
    Abort,
}

impl Drain {
    /// [`Drain::Graceful`].
    #[must_use]
    pub const fn graceful(within: Duration) -> Self {
        Self::Graceful(within)
    }
}

/// Where the end stands.
#[derive(Default)]
pub(super) struct Ending {
    phase: Phase,
    /// The deadline of a graceful drain.
    deadline: Option<Instant>,
    /// While aborting: the slot that is looked at next.
    cursor: Option<u32>,
}

impl Ending {
    #[inline]
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    #[inline]
    pub(super) fn is_aborting(&self) -> bool {
        self.cursor.is_some()
    }
}

impl<P: Plan> Processor<P> {
    /// How far the machine is from its end.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.ending.phase()
    }

    /// Begins the end. From now on nothing is taken in; sources are detached and those who wait for room
    /// are sent away (both by effects), the intervals stop. What was admitted goes on until all is done or
    /// the deadline comes, or is aborted at once. A second call can only bring the end nearer.
    ///
    /// Aborting is done by [`advance`](Self::advance), whose budget bounds each step. It needs no help of
    /// the host: attempts that have not stopped are abandoned, which means that their slots are freed and
    /// what is reported about them later is late.
    ///
    /// What is paused, or has no concurrency, starts nothing while it drains either: then the deadline ends it.
    /// Subscribers are removed with the last effects; what they had not read by then is lost.
    ///
    /// May change: everything.
    pub fn drain(&mut self, now: Instant, mode: Drain) {
        let now = self.tell(now);
        if self.ending.phase == Phase::Drained {
            return;
        }
        if self.ending.phase == Phase::Open {
            self.ending.phase = Phase::Draining;
            self.disarm_intervals();
            self.publish(|| Event::Draining);
        }
        match mode {
            Drain::Abort => self.abort(),
            Drain::Graceful(within) => self.end_by(now.saturating_add(within)),
        }
    }

    /// Sets the deadline, unless an earlier one is set.
    fn end_by(&mut self, deadline: Instant) {
        let earlier = self.ending.deadline.is_some_and(|earlier| earlier <= deadline);
        if earlier || self.ending.is_aborting() {
            return;
        }
        self.ending.deadline = Some(deadline);
        self.deadlines.timers.arm(self.number(OwnTimer::Drain), deadline);
    }

    pub(super) fn abort(&mut self) {
        self.deadlines.timers.disarm(self.number(OwnTimer::Drain));
        self.ending.deadline = None;
        if !self.ending.is_aborting() {
            self.ending.cursor = Some(0);
            self.set_gate();
            self.cache.close();
        }
    }

    /// Whether a graceful drain has nothing left to wait for.
    fn is_quiet(&self) -> bool {
        self.totals.admitted == self.totals.settled.total()
            && self.tally.orphans() == 0
            && self.handles == 0
            && self.outbox.is_empty()
    }

    /// Whether the end waits for `advance`.
    pub(super) fn is_end_due(&self) -> bool {
        match self.ending.cursor {
            Some(cursor) => cursor < self.tasks.capacity(),
            None => self.ending.phase == Phase::Draining && self.is_quiet(),
        }
    }

    /// Goes on with the end, and tells how much of the budget was used.
    pub(super) fn advance_end(&mut self, budget: u32) -> u32 {
        if !self.ending.is_aborting() && self.is_end_due() && budget > 0 {
            self.abort();
        }
        let Some(start) = self.ending.cursor else { return 0 };
        // With no task left, all that remains of the walk is empty.
        let end = match self.tasks.is_empty() {
            true => self.tasks.capacity(),
            false => start.saturating_add(budget).min(self.tasks.capacity()),
        };
        let steps = end.saturating_sub(start).min(budget);
        if budget > 0 {
            for index in start..start.saturating_add(steps) {
                self.end_task(index);
            }
            self.ending.cursor = Some(end.max(start));
        }
        steps
    }

    /// Gives up the task in slot `index`.
    fn end_task(&mut self, index: u32) {
        let Some(task) = self.tasks.at(index) else { return };
        match task.state {
            State::Delayed | State::Queued | State::Running | State::Backoff => {
                self.remains.cancelled = self.remains.cancelled.saturating_add(1);
                self.end(index, Input::Cancel, None, false);
            }
            State::Orphan => self.abandon_if_ending(index),
            State::Stopping | State::Settled => {
                let settles = task.pending.has(Pending::SETTLE) || task.pending.has(Pending::DISCARD);
                let retained = matches!(task.claimant, Claimant::Retention);
                if !settles {
                    if retained {
                        self.unretain(index);
                    }
                    self.owe(index, Pending::DISCARD);
                }
            }
        }
    }

    /// Sends those away who wait for room, and detaches the sources.
    pub(super) fn poll_closing(&mut self) -> Option<Effect<P>> {
        while let Some(waiter) = self.line.leave_any() {
            self.ledger.waiters.leave();
            self.remains.waiters = self.remains.waiters.saturating_add(1);
            if let Some(waiter) = waiter {
                return Some(Effect::Wake(waiter));
            }
        }
        let detached = self.sources.detach_oldest()?;
        self.remains.detached = self.remains.detached.saturating_add(1);
        self.note_detached(detached.source);
        Some(Effect::Detach(detached))
    }

    /// Whether the end has an effect, the tasks' own apart.
    #[inline]
    pub(super) fn has_end_effect(&self) -> bool {
        match self.ending.phase {
            Phase::Open | Phase::Drained => false,
            Phase::Draining => self.line.len() > 0 || self.sources.len() > 0 || self.is_walked(),
        }
    }

    /// Whether every task slot was looked at.
    fn is_walked(&self) -> bool {
        self.ending.cursor.is_some_and(|cursor| cursor >= self.tasks.capacity())
    }

    /// The last effects: what waits for events that will not come, the cache, and the end itself.
    pub(super) fn poll_end(&mut self) -> Option<Effect<P>> {
        if !self.is_walked() || self.ending.phase != Phase::Draining {
            return None;
        }
        while let Some(waiter) = self.subscribers.remove_any() {
            self.ledger.subscribers.leave();
            self.remains.subscribers = self.remains.subscribers.saturating_add(1);
            if let Some(waiter) = waiter {
                return Some(Effect::Wake(waiter));
            }
        }
        if let Some((key, value)) = self.cache.pop() {
            self.remains.cached = self.remains.cached.saturating_add(1);
            return Some(Effect::Uncache(key, value));
        }
        debug_assert!(
            self.tasks.is_empty() && self.sleeps.len() == 0 && self.deadlines.timers.len() == 0,
            "nothing is left at the end"
        );
        self.ending.phase = Phase::Drained;
        self.remains.totals = self.totals;
        Some(Effect::Drained(self.remains))
    }
}
