//! The end of the machine: a state, reached in bounded steps. What the end keeps is decided here.
//!
//! ```text
//!        drain(Graceful)            all settled, or deadline
//!  Open ────────────────► Draining ───────────────────────► (ending) ──► Drained
//!    └───────────────── drain(Cancel), drain(Abort) ───────────┘
//! ```
//!
//! While the machine is *ending*, two walks go over the task slots. Each slot costs one unit of the budget of
//! `advance`. The first walk settles the unsettled tasks and discards outcomes that do not outlive the end; then it
//! removes the lanes that have no task, and gives up the verdicts that are not confirmed. Then
//! `poll_effect` hands out their effects, and the cache. When no effect is owed any more, the second walk abandons the
//! attempts that still run: until then the host could report them. Last come the subscribers and `Drained`.
//!
//! An end *keeps* the outcomes of handles and the unread events, or it *discards* them. An abort discards, and so does
//! a graceful drain that misses its deadline. An abort also turns an end that keeps into one that discards.

use core::fmt;

use core::time::Duration;

use super::Processor;
use super::deadlines::{OwnTimer, Owner};
use crate::effect::Effect;
use crate::lanes::Lanes;
use crate::lifecycle::{Input, Next, State};
use crate::task::{Claimant, Pending};
use crate::{CancelReason, Event, Instant, Plan, Remains};

/// How far the machine is from its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Phase {
    /// The machine admits tasks.
    #[default]
    Open,
    /// The machine admits nothing any more, and finishes or gives up what it has.
    Draining,
    /// The machine holds only what its end kept: outcomes for their handles, unread events for their subscribers.
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

/// How the machine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Drain {
    /// Let all admitted tasks settle by themselves. Then outcomes are kept for their handles, and unread events for
    /// their subscribers. If a task is unsettled after this duration, abort.
    Graceful(#[cfg_attr(feature = "serde", serde(with = "crate::serialized::duration"))] Duration),
    /// Settle all unsettled tasks as cancelled now. All outcomes are kept for their handles, and unread events for
    /// their subscribers.
    Cancel,
    /// Settle all unsettled tasks as cancelled now, and keep nothing.
    Abort,
}

impl Drain {
    /// [`Drain::Graceful`].
    #[must_use]
    pub const fn graceful(within: Duration) -> Self {
        Self::Graceful(within)
    }
}

/// The progress of the end.
#[derive(Default)]
pub(super) struct Ending {
    phase: Phase,
    /// The deadline of a graceful drain.
    deadline: Option<Instant>,
    /// While a graceful drain goes over the deliveries, to hand back what has not begun: the next slot.
    handing_back: Option<u32>,
    walk: Walk,
    discards: bool,
}

/// The walk over the task slots under way, and its next slot.
#[derive(Clone, Copy, Default)]
enum Walk {
    /// The machine is not ending.
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

    /// Whether the walks have begun.
    #[inline]
    pub(super) fn is_ending(&self) -> bool {
        !matches!(self.walk, Walk::None)
    }

    /// Whether the end discards the outcomes of handles.
    #[inline]
    pub(super) fn discards(&self) -> bool {
        self.discards
    }

    /// Whether the first walk is done.
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

    /// What was left when the machine ended. `None` until [`Effect::Drained`] was taken, and constant from then on.
    #[must_use]
    pub fn remains(&self) -> Option<Remains> {
        (self.phase() == Phase::Drained).then_some(self.remains)
    }

    /// Begins the end. From now on nothing is admitted and nothing is due of schedules; waiters for room are sent away,
    /// emitters detached and schedules ended (all by effects), and the intervals stop. Admitted tasks go on until all
    /// are settled or the deadline comes, or are settled as cancelled at once. A drain waits for unsettled tasks
    /// and for what engines have to confirm, not for handles or orphans. A second call can only bring the end nearer; an abort discards what an unfinished
    /// end would have kept. Does nothing once the machine is drained.
    ///
    /// The end is carried out by [`advance`](Self::advance), within its budget. When all effects are handed out,
    /// attempts that still run are *abandoned*: their places are freed, and later reports about them are late. A host
    /// that wants to wait for them delays that call of `advance`.
    ///
    /// A graceful drain hands back the deliveries of sources whose tasks have not begun, and waits until all verdicts are
    /// confirmed and no pull is under way.
    ///
    /// A machine that is paused, or has a concurrency of 0, starts nothing while it drains, either: then the deadline
    /// ends it. A class that is paused keeps its tasks back likewise, and a hold all or
    /// those of its lane until it ends.
    ///
    /// No end waits for outcomes that the host is observing. An end that keeps takes them back later, as before; an end
    /// that discards leaves them to the host.
    ///
    /// After an end that keeps ([`Drain::Cancel`], or [`Drain::Graceful`] that was in time), handles are claimed and
    /// released as before, and [`next_event`](Self::next_event) returns the unread events. Retained results and the
    /// cache do not outlive the end.
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
        let now = self.observe_time(now);
        if self.ending.phase == Phase::Drained {
            return;
        }
        if self.ending.phase == Phase::Open {
            self.ending.phase = Phase::Draining;
            self.disarm_intervals();
            self.sources.wake_all();
            self.ending.handing_back = (self.sources.unconfirmed() > 0).then_some(0);
            self.publish(|| Event::Draining);
        }
        match mode {
            Drain::Graceful(within) => self.end_by(now.saturating_add(within)),
            Drain::Cancel => self.end_now(false),
            Drain::Abort => self.end_now(true),
        }
    }

    /// Sets the deadline, unless there is an earlier one.
    fn end_by(&mut self, deadline: Instant) {
        let earlier = self.ending.deadline.is_some_and(|earlier| earlier <= deadline);
        if earlier || self.ending.is_ending() {
            return;
        }
        self.ending.deadline = Some(deadline);
        self.deadlines.set(Owner::Own(OwnTimer::Drain), deadline);
    }

    /// The deadline of a graceful drain has come. The drain is in time if all tasks are settled.
    pub(super) fn fire_drain(&mut self) {
        self.end_now(!self.is_all_settled());
    }

    fn end_now(&mut self, discards: bool) {
        if !self.ending.is_ending() {
            self.deadlines.clear(Owner::Own(OwnTimer::Drain));
            self.deadlines.clear(Owner::Own(OwnTimer::Gate));
            self.ending.deadline = None;
            self.ending.handing_back = None;
            self.ending.walk = Walk::Settling(0);
            self.gate.end();
            self.cache.close();
        } else if discards && !self.ending.discards {
            self.ending.walk = Walk::Settling(0);
        }
        self.ending.discards |= discards;
    }

    /// Whether all admitted tasks are settled.
    fn is_all_settled(&self) -> bool {
        self.totals.admitted == self.totals.settled.total()
    }

    /// Whether the end has work for `advance`.
    #[inline]
    pub(super) fn is_end_due(&self) -> bool {
        self.ending.phase == Phase::Draining && self.is_due_while_draining()
    }

    #[cold]
    fn is_due_while_draining(&self) -> bool {
        match self.ending.walk {
            Walk::None => {
                self.ending.handing_back.is_some() || (self.is_all_settled() && self.sources.is_settled())
            }
            Walk::Settling(_) => true,
            Walk::Abandoning(_) => self.tally.orphans() > 0 && !self.has_effect(),
        }
    }

    /// Goes on with the end, and returns how much of the budget was used.
    pub(super) fn advance_end(&mut self, budget: u32) -> u32 {
        if budget == 0 || !self.is_end_due() {
            return 0;
        }
        if let Some(start) = self.ending.handing_back {
            return self.hand_back_slots(start, budget);
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

    /// Hands back deliveries whose tasks have not begun, from slot `start` on. Returns the number of slots visited.
    fn hand_back_slots(&mut self, start: u32, budget: u32) -> u32 {
        let all = self.sources.capacity();
        let end = start.saturating_add(budget).min(all);
        (start..end).for_each(|index| self.hand_back(index));
        self.ending.handing_back = (end < all).then_some(end);
        end.saturating_sub(start)
    }

    /// The first walk, from slot `start` on. Returns the number of slots visited.
    fn settle_slots(&mut self, start: u32, budget: u32) -> u32 {
        let tasks = self.tasks.capacity();
        let lanes = self.lanes.as_deref().map_or(0, Lanes::capacity);
        let all = tasks.saturating_add(lanes).saturating_add(self.sources.capacity());
        let nothing_left = if self.ending.discards {
            self.tasks.is_empty()
        } else {
            self.is_all_settled() && self.results.is_empty() && self.tally.unretained == 0
        } && self.lanes.as_ref().is_none_or(|lanes| lanes.len() == 0)
            && self.sources.unconfirmed() == 0;
        let steps = all.saturating_sub(start).min(budget);
        let end = start.saturating_add(steps);
        if !nothing_left {
            for index in start..end {
                if index < tasks {
                    self.end_task(index);
                } else if index - tasks < lanes {
                    self.end_lane(index - tasks);
                } else {
                    let was_unconfirmed = self.sources.end_delivery(index - tasks - lanes);
                    let left = &mut self.remains.deliveries;
                    *left = left.saturating_add(u32::from(was_unconfirmed));
                }
            }
        }
        self.ending.walk = if nothing_left || end >= all { Walk::Abandoning(0) } else { Walk::Settling(end) };
        steps
    }

    /// Settles the task in slot `index` if it is unsettled, or discards its outcome if the end does not keep it.
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
                    // Its waiter need not wait for the host any more.
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

    /// The second walk, from slot `start` on, as long as there are orphans. Returns the number of slots visited.
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
        if self.gate.is_followed() {
            self.follow_end(index);
        }
        self.remains.abandoned = self.remains.abandoned.saturating_add(1);
        if next == Next::Free {
            self.free(index, starts);
        }
    }

    /// Sends waiters for room away, then detaches emitters, then ends schedules: the next effect of that.
    pub(super) fn poll_closing(&mut self) -> Option<Effect<P>> {
        while let Some(waiter) = self.admission.line.leave_any() {
            self.remains.waiters = self.remains.waiters.saturating_add(1);
            if let Some(waiter) = waiter {
                return Some(Effect::Wake(waiter));
            }
        }
        if let Some(detached) = self.emitters.detach_oldest() {
            self.remains.detached = self.remains.detached.saturating_add(1);
            self.note_detached(detached.emitter);
            return Some(Effect::Detach(detached));
        }
        let schedule = self.end_oldest_schedule()?;
        self.remains.schedules = self.remains.schedules.saturating_add(1);
        Some(Effect::Unschedule(schedule))
    }

    /// Whether the end has an effect, other than those of tasks.
    #[inline]
    pub(super) fn has_end_effect(&self) -> bool {
        self.ending.phase == Phase::Draining && self.has_effect_while_draining()
    }

    #[cold]
    fn has_effect_while_draining(&self) -> bool {
        let closing = self.admission.line.len() > 0 || self.emitters.len() > 0 || self.schedules.len() > 0;
        closing || self.ending.is_settled() && (self.tally.orphans() == 0 || !self.cache.is_empty())
    }

    /// The last effects: the cache entries, the waiters for events, and `Drained`.
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
        if let Some(waiter) = self.poll_sources() {
            return Some(Effect::Wake(waiter));
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

    /// Removes the sources. Returns the next waiter to wake.
    fn poll_sources(&mut self) -> Option<P::Waiter> {
        while let Some((source, waiter)) = self.sources.end_any() {
            self.deadlines.clear(Owner::Source(self.sources.index_of(source)));
            self.remains.sources = self.remains.sources.saturating_add(1);
            if waiter.is_some() {
                return waiter;
            }
        }
        None
    }

    /// Removes the subscribers, or lets them read the unread events only. Returns the next waiter to wake.
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
