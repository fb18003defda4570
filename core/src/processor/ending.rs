//! The end: a state, reached in bounded steps.
//!
//! ```text
//!        drain(Graceful)            quiet, or the deadline
//!  Open ────────────────► Draining ───────────────────────► (ending) ──► Drained
//!    └───────────────── drain(Cancel), drain(Abort) ───────────┘
//! ```
//!
//! While it is *ending*, two walks go over the task slots, each slot one unit of the budget of `advance`. The first
//! settles what is unsettled, and discards outcomes that do not outlive the end. Then `poll_effect` hands out what
//! that leaves behind, and the cache. When no effect is owed any more, the second walk abandons the attempts that
//! still run; so the host has had every chance to report them. At last come the subscribers and `Drained`.
//!
//! An end *keeps* the outcomes of handles and the unread events, or it *discards* them: an abort does, and a graceful
//! drain whose deadline comes. One that keeps can still be turned into one that discards, by an abort.

use core::fmt;

use core::time::Duration;

use super::Processor;
use super::deadlines::{OwnTimer, Owner};
use crate::effect::Effect;
use crate::lifecycle::{Input, Next, State};
use crate::task::{Claimant, Pending};
use crate::{CancelReason, Event, Instant, Plan, Remains};

/// How far the machine is from its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It takes tasks in.
    #[default]
    Open,
    /// It takes nothing in any more, and works off or gives up what it has.
    Draining,
    /// It holds nothing but what its end has kept: outcomes for their handles, unread events for their subscribers.
    Drained,
}

impl fmt::Display for Phase {
    /// In lower case: `open`, `draining` or `drained`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Draining => "draining",
            Self::Drained => "drained",
        })
    }
}

/// How to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drain {
    /// Let everything that was admitted come to its own end. Then outcomes are kept for their handles, and unread
    /// events for their subscribers. If something is unsettled after this duration, abort.
    Graceful(Duration),
    /// Settle everything that is unsettled as cancelled now. Outcomes, these and earlier ones, are kept for their
    /// handles, and unread events for their subscribers.
    Cancel,
    /// Settle everything that is unsettled as cancelled now, and keep nothing.
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
    walk: Walk,
    discards: bool,
}

/// Which walk over the task slots is going on, and the slot that it looks at next.
#[derive(Clone, Copy, Default)]
enum Walk {
    /// The end has not come yet.
    #[default]
    None,
    Settling(u32),
    Abandoning(u32),
}

impl Ending {
    #[inline]
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether everything is given up now, or has been.
    #[inline]
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.walk, Walk::None)
    }

    /// Whether the outcomes of handles do not outlive the end.
    #[inline]
    pub(super) fn discards(&self) -> bool {
        self.discards
    }

    /// Whether everything is settled and discarded that has to be.
    fn is_settled(&self) -> bool {
        matches!(self.walk, Walk::Abandoning(_))
    }
}

impl<P: Plan> Processor<P> {
    /// How far the machine is from its end.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.ending.phase()
    }

    /// What was left when the machine ended. `None` until [`Effect::Drained`] was taken; from then on it stays the same.
    #[must_use]
    pub fn remains(&self) -> Option<Remains> {
        (self.phase() == Phase::Drained).then_some(self.remains)
    }

    /// Begins the end. From now on nothing is taken in; sources are detached and the waiters for room are sent away
    /// (both by effects), the intervals stop. What was admitted goes on until everything is settled or the deadline
    /// comes, or is settled as cancelled at once. A drain waits for what is unsettled, and for nothing else: neither
    /// for handles nor for orphans. A second call can only bring the end nearer, and an abort discards what an end
    /// that is still going on would have kept. Once the machine is drained this does nothing.
    ///
    /// Ending is done by [`advance`](Self::advance), whose budget bounds each step, and needs no help of the host.
    /// When every effect was handed out, attempts that still run are *abandoned*: their places are freed, and what is
    /// reported about them later is late. A host that wants to wait for them holds back that call of `advance`.
    ///
    /// What is paused, or has no concurrency, starts nothing while it drains either: then the deadline ends it.
    ///
    /// No end waits for outcomes that the host has to observe. One that keeps takes them back later as before; one that
    /// discards lets go of them.
    ///
    /// After an end that keeps ([`Drain::Cancel`], or [`Drain::Graceful`] that came in time), handles are claimed and
    /// released as before, and [`next_event`](Self::next_event) hands out what is left. Retained results and the cache
    /// do not outlive the end.
    ///
    /// May change: everything.
    ///
    /// ```
    /// # use plimsoll_core::{Drain, Instant, Limits, Offer, OutcomeKind, Phase, Processor, Route, Simple, Terms};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let task = processor.submit(Instant::ZERO, Offer::new("job", ()).route(Route::Handle), &Terms::new())?;
    /// processor.drain(Instant::ZERO, Drain::Cancel);
    /// while processor.phase() != Phase::Drained {
    ///     let _ = processor.advance(Instant::ZERO, 64);
    ///     while processor.poll_effect().is_some() {}
    /// }
    /// let settlement = processor.try_claim(task).ok_or("it is kept")?;
    /// assert_eq!(settlement.outcome.kind(), OutcomeKind::Cancelled);
    /// assert!(processor.census().is_empty());
    /// let remains = processor.remains().ok_or("it has ended")?;
    /// assert_eq!((remains.cancelled, remains.kept), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
            Drain::Graceful(within) => self.end_by(now.saturating_add(within)),
            Drain::Cancel => self.end_now(false),
            Drain::Abort => self.end_now(true),
        }
    }

    /// Sets the deadline, unless an earlier one is set.
    fn end_by(&mut self, deadline: Instant) {
        let earlier = self.ending.deadline.is_some_and(|earlier| earlier <= deadline);
        if earlier || self.ending.is_ending() {
            return;
        }
        self.ending.deadline = Some(deadline);
        self.deadlines.set(Owner::Own(OwnTimer::Drain), deadline);
    }

    /// The deadline of a graceful drain has come. One that is quiet by then has come in time.
    pub(super) fn fire_drain(&mut self) {
        self.end_now(!self.is_quiet());
    }

    fn end_now(&mut self, discards: bool) {
        if !self.ending.is_ending() {
            self.deadlines.clear(Owner::Own(OwnTimer::Drain));
            self.ending.deadline = None;
            self.ending.walk = Walk::Settling(0);
            self.gate.end();
            self.cache.close();
        } else if discards && !self.ending.discards {
            self.ending.walk = Walk::Settling(0);
        }
        self.ending.discards |= discards;
    }

    /// Whether a graceful drain has nothing left to wait for.
    fn is_quiet(&self) -> bool {
        self.totals.admitted == self.totals.settled.total()
    }

    /// Whether the end waits for `advance`.
    pub(super) fn is_end_due(&self) -> bool {
        match self.ending.walk {
            Walk::None => self.ending.phase == Phase::Draining && self.is_quiet(),
            Walk::Settling(_) => true,
            Walk::Abandoning(_) => self.tally.orphans() > 0 && !self.has_effect(),
        }
    }

    /// Goes on with the end, and tells how much of the budget was used.
    pub(super) fn advance_end(&mut self, budget: u32) -> u32 {
        if budget == 0 || !self.is_end_due() {
            return 0;
        }
        if !self.ending.is_ending() {
            self.end_now(false);
        }
        let mut used = 0;
        if let Walk::Settling(start) = self.ending.walk {
            used = self.settle_slots(start, budget);
        }
        if let Walk::Abandoning(start) = self.ending.walk {
            if self.is_end_due() {
                used += self.abandon_slots(start, budget - used);
            }
        }
        used
    }

    /// The first walk, from slot `start` on: how many slots it has looked at.
    fn settle_slots(&mut self, start: u32, budget: u32) -> u32 {
        let all = self.tasks.capacity();
        let nothing_left = if self.ending.discards {
            self.tasks.is_empty()
        } else {
            self.is_quiet() && self.results.is_empty() && self.tally.unretained == 0
        };
        let steps = all.saturating_sub(start).min(budget);
        let end = start.saturating_add(steps);
        if !nothing_left {
            for index in start..end {
                self.end_task(index);
            }
        }
        self.ending.walk = if nothing_left || end >= all { Walk::Abandoning(0) } else { Walk::Settling(end) };
        steps
    }

    /// Settles or discards the task in slot `index`, as far as the end does not keep it.
    fn end_task(&mut self, index: u32) {
        let Some(task) = self.tasks.at(index) else { return };
        match task.state {
            State::Delayed | State::Queued | State::Running | State::Halting | State::Backoff => {
                self.remains.cancelled = self.remains.cancelled.saturating_add(1);
                self.end_cancelled(index, Some(CancelReason::ENDED), false);
            }
            State::Orphan => {}
            State::Stopping | State::Settled => {
                let leaves = task.pending.has(Pending::SETTLE) || task.pending.has(Pending::DISCARD);
                let retained = matches!(task.claimant, Claimant::Retention);
                if leaves || !(retained || self.ending.discards) {
                    return;
                }
                let mut effects = Pending::DISCARD;
                if task.pending.has(Pending::HELD) {
                    // Whoever waits for it need not wait for the host any more.
                    if matches!(task.claimant, Claimant::Handle(Some(_))) {
                        effects = effects.with(Pending::WAKE);
                    }
                } else if retained {
                    self.unretain(index);
                }
                self.owe(index, effects);
            }
        }
    }

    /// The second walk, from slot `start` on, as long as there are orphans: how many slots it has looked at.
    fn abandon_slots(&mut self, start: u32, budget: u32) -> u32 {
        let mut used = 0;
        while used < budget && self.tally.orphans() > 0 {
            let index = start.saturating_add(used);
            debug_assert!(index < self.tasks.capacity(), "no attempt becomes an orphan any more");
            self.abandon(index);
            used += 1;
            self.ending.walk = Walk::Abandoning(index.saturating_add(1));
        }
        used
    }

    /// Gives up the orphan in slot `index`, if there is one.
    fn abandon(&mut self, index: u32) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        let starts = task.starts;
        let Some(next) = self.tally.step(task, Input::Abandon) else { return };
        self.remains.abandoned = self.remains.abandoned.saturating_add(1);
        if next == Next::Free {
            self.free(index, starts);
        }
    }

    /// Sends the waiters for room away, and detaches the sources.
    pub(super) fn poll_closing(&mut self) -> Option<Effect<P>> {
        while let Some(waiter) = self.admission.line.leave_any() {
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
        self.ending.phase == Phase::Draining && self.has_effect_while_draining()
    }

    #[cold]
    fn has_effect_while_draining(&self) -> bool {
        let closing = self.admission.line.len() > 0 || self.sources.len() > 0;
        closing || self.ending.is_settled() && (self.tally.orphans() == 0 || !self.cache.is_empty())
    }

    /// The last effects: the cache, then the waiters for events that will not come, and the end itself.
    pub(super) fn poll_end(&mut self) -> Option<Effect<P>> {
        if !self.ending.is_settled() || self.ending.phase != Phase::Draining {
            return None;
        }
        if let Some((key, value)) = self.cache.pop() {
            self.remains.cached = self.remains.cached.saturating_add(1);
            return Some(Effect::Uncache(key, value));
        }
        if self.tally.orphans() > 0 {
            return None;
        }
        if let Some(waiter) = self.poll_subscribers() {
            return Some(Effect::Wake(waiter));
        }
        debug_assert!(
            self.tasks.len() == self.tally.unclaimed && self.sleeps.len() == 0 && self.deadlines.len() == 0,
            "nothing is left at the end but what it keeps"
        );
        self.ending.phase = Phase::Drained;
        self.remains.kept = self.tally.unclaimed;
        self.remains.subscribers = self.remains.subscribers.saturating_add(self.subscribers.len());
        self.remains.totals = self.totals;
        Some(Effect::Drained)
    }

    /// Removes the subscribers, or lets them read what is left and no more: the next waiter to be woken.
    fn poll_subscribers(&mut self) -> Option<P::Waiter> {
        if !self.ending.discards {
            self.subscribers.close();
            return self.subscribers.pop_wake();
        }
        while let Some(waiter) = self.subscribers.remove_any() {
            self.ledger.subscribers.leave();
            self.remains.subscribers = self.remains.subscribers.saturating_add(1);
            if waiter.is_some() {
                return waiter;
            }
        }
        None
    }
}
