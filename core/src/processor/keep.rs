//! Outcomes that wait to be taken: for a handle, or as retained results. What outlives the end is decided in
//! [`ending`](super::ending).

use core::fmt;

use super::Processor;
use crate::task::{Claimant, Pending, Task};
use crate::{Instant, Plan, Settlement, TaskId};

/// The answer of [`Processor::claim`].
#[must_use = "it hands values back"]
pub enum Claim<P: Plan> {
    /// The outcome. The waiter is not needed and handed back.
    Ready(Settlement<P>, P::Waiter),
    /// The task is not settled yet, or its outcome not yet [`observed`](Processor::observed). Then the waiter leaves by
    /// [`Effect::Wake`](crate::Effect::Wake). The waiter that it replaces, if any, is handed back.
    Pending(Option<P::Waiter>),
    /// No such task is routed to a handle: its outcome was taken, or discarded by the end of the machine. The waiter is
    /// handed back.
    Gone(P::Waiter),
}

/// What [`Processor::release`] hands out.
#[must_use = "it hands values out"]
#[non_exhaustive]
pub struct Released<P: Plan> {
    /// The waiter that [`Processor::claim`] had left.
    pub waiter: Option<P::Waiter>,
    /// The outcome, if the task was settled.
    pub settlement: Option<Settlement<P>>,
}

impl<P: Plan> fmt::Debug for Claim<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(..) => "Ready",
            Self::Pending(_) => "Pending",
            Self::Gone(_) => "Gone",
        })
    }
}

impl<P: Plan> fmt::Debug for Released<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Released")
            .field("waiter", &self.waiter.is_some())
            .field("settlement", &self.settlement)
            .finish()
    }
}

impl<P: Plan> Processor<P> {
    /// Takes the outcome of a task that was submitted with [`Route::Handle`](crate::Route::Handle). If the task is not
    /// settled yet, it leaves a waiter, which is woken when it is.
    ///
    /// May change: room, task slots.
    ///
    /// ```
    /// # use plimsoll_core::{Claim, Effect, Instant, Limits, Offer, Outcome, Processor, Route, Simple, Terms};
    /// # use core::task::Waker;
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let task = processor.submit(now, Offer::new("job", ()).route(Route::Handle), &Terms::new())?;
    /// assert!(matches!(processor.claim(now, task, Waker::noop().clone()), Claim::Pending(None)));
    /// let start = processor.start_next(now).ok_or("nothing to start")?;
    /// processor.completed(now, start.attempt, 3)?;
    /// assert!(matches!(processor.poll_effect(), Some(Effect::Wake(_)))); // the waiter that was left
    /// let Claim::Ready(settled, _) = processor.claim(now, task, Waker::noop().clone()) else { return Err("not settled".into()) };
    /// assert_eq!(settled.outcome, Outcome::Completed(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn claim(&mut self, now: Instant, task: TaskId, waiter: P::Waiter) -> Claim<P> {
        self.observe_time(now);
        let Some(found) = self.tasks.get_mut(task) else { return Claim::Gone(waiter) };
        let Claimant::Handle(place) = &mut found.claimant else { return Claim::Gone(waiter) };
        if found.state.is_unsettled() {
            return Claim::Pending(place.replace(waiter));
        }
        if found.pending.has(Pending::HELD) {
            return self.claim_held(task, waiter);
        }
        match self.release_outcome(self.tasks.index_of(task)) {
            Some(settlement) => Claim::Ready(settlement, waiter),
            None => Claim::Gone(waiter),
        }
    }

    /// Takes the outcome of a task that was submitted with [`Route::Handle`](crate::Route::Handle), if the task is
    /// settled. Unlike [`claim`](Self::claim) it needs no waiter. `None` if the task is not settled yet, or if no such
    /// task is routed to a handle.
    ///
    /// May change: room, task slots.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Route, Simple, Terms};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let task = processor.submit(Instant::ZERO, Offer::new("job", ()).route(Route::Handle), &Terms::new())?;
    /// assert!(processor.try_claim(task).is_none());
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// processor.completed(Instant::ZERO, start.attempt, 3)?;
    /// assert!(processor.try_claim(task).is_some() && processor.try_claim(task).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_claim(&mut self, task: TaskId) -> Option<Settlement<P>> {
        let found = self.tasks.get(task)?;
        if !found.is_for_handle() || found.state.is_unsettled() || found.pending.has(Pending::HELD) {
            return None;
        }
        self.release_outcome(self.tasks.index_of(task))
    }

    /// The waiter that [`claim`](Self::claim) left and that has not been woken yet. A host that would leave an equal
    /// waiter can skip the call.
    #[must_use]
    pub fn waiter(&self, task: TaskId) -> Option<&P::Waiter> {
        match &self.tasks.get(task)?.claimant {
            Claimant::Handle(waiter) => waiter.as_ref(),
            _ => None,
        }
    }

    /// Gives up the claim, because the handle was dropped. If the task is settled, the outcome is handed out; if not,
    /// it goes nowhere once it is. An outcome that the host has yet to observe leaves by
    /// [`Effect::Settle`](crate::Effect::Settle). Does nothing if no such task is routed to a handle.
    ///
    /// May change: room, task slots.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Route, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let task = processor.submit(now, Offer::new("job", ()).route(Route::Handle), &Terms::new())?;
    /// assert!(processor.release(now, task).settlement.is_none()); // the handle is dropped; the task goes on
    /// assert_eq!((processor.census().queued, processor.startable()), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(&mut self, now: Instant, task: TaskId) -> Released<P> {
        self.observe_time(now);
        let nothing = Released { waiter: None, settlement: None };
        let Some(found) = self.tasks.get_mut(task) else { return nothing };
        let Claimant::Handle(waiter) = &mut found.claimant else { return nothing };
        let is_held = found.pending.has(Pending::HELD);
        if !found.state.is_unsettled() && !is_held {
            let settlement = self.release_outcome(self.tasks.index_of(task));
            return Released { waiter: None, settlement };
        }
        let waiter = waiter.take();
        if is_held {
            self.release_held(self.tasks.index_of(task));
            return Released { waiter, settlement: None };
        }
        found.claimant = Claimant::Nobody;
        self.admission.leave_handle();
        Released { waiter, settlement: None }
    }

    /// Takes the retained result of a settled task that was submitted with [`Route::Retain`](crate::Route::Retain).
    /// `None` if it was taken before, made room for a newer one, or has reached
    /// [`ResultLimits::ttl`](crate::ResultLimits::ttl).
    ///
    /// May change: room, task slots.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Outcome, Processor, ResultLimits, Route, Simple, Terms};
    /// let (now, mut limits) = (Instant::ZERO, Limits::default());
    /// limits.results = ResultLimits::new(100, None);
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, now)?;
    /// let task = processor.submit(now, Offer::new("job", ()).route(Route::Retain), &Terms::new())?;
    /// let start = processor.start_next(now).ok_or("nothing to start")?;
    /// processor.completed(now, start.attempt, 3)?;
    /// let settled = processor.take_result(now, task).ok_or("it is retained")?;
    /// assert_eq!(settled.outcome, Outcome::Completed(3));
    /// assert!(processor.take_result(now, task).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take_result(&mut self, now: Instant, task: TaskId) -> Option<Settlement<P>> {
        let now = self.observe_time(now);
        let found = self.tasks.get(task)?;
        if !self.is_retained(found) || self.has_expired(found, now) {
            return None;
        }
        let index = self.tasks.index_of(task);
        self.unretain(index);
        self.release_outcome(index)
    }

    /// Whether the task is in the list of retained results.
    pub(super) fn is_retained(&self, task: &Task<P>) -> bool {
        let leaves = task.pending.has(Pending::DISCARD.with(Pending::HELD));
        matches!(task.claimant, Claimant::Retention) && task.is_kept() && !leaves
    }

    /// Whether a retained result has reached its time to live.
    pub(super) fn has_expired(&self, task: &Task<P>, now: Instant) -> bool {
        self.limits.results.ttl.is_some_and(|ttl| now.saturating_since(task.retained_at()) >= ttl)
    }
}
