//! Outcomes that are kept until somebody takes them: for a handle, or as retained results.

use core::fmt;

use super::Processor;
use crate::task::{Claimant, Pending, Task};
use crate::{Instant, Plan, Settlement, TaskId};

/// What [`Processor::claim`] came to.
#[must_use = "it hands values back"]
pub enum Claim<P: Plan> {
    /// The outcome, and the waiter, which is not needed any more.
    Ready(Settlement<P>, P::Waiter),
    /// Not settled yet, or not yet [`observed`](Processor::observed): the waiter will leave by
    /// [`Effect::Wake`](crate::Effect::Wake) when it is. The waiter that it replaces, if any, is handed back.
    Pending(Option<P::Waiter>),
    /// There is no such task for a handle: its outcome was taken, or discarded by the end of the machine. The waiter is
    /// handed back.
    Gone(P::Waiter),
}

/// What [`Processor::release`] hands out.
#[must_use = "it hands values out"]
#[non_exhaustive]
pub struct Released<P: Plan> {
    /// The waiter that was left with [`Processor::claim`].
    pub waiter: Option<P::Waiter>,
    /// The outcome, if it was there already.
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
    /// Takes the outcome of a task that was submitted with [`Route::Handle`](crate::Route::Handle), or
    /// leaves a waiter to be woken when it is there.
    ///
    /// May change: room, task slots.
    #[inline]
    pub fn claim(&mut self, now: Instant, task: TaskId, waiter: P::Waiter) -> Claim<P> {
        self.tell(now);
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

    /// Takes the outcome of a task that was submitted with [`Route::Handle`](crate::Route::Handle), if it is there
    /// already: [`claim`](Self::claim) without a waiter, for who would have to make one first. `None` when it
    /// is not, or when there is no such task for a handle.
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
    #[inline]
    pub fn try_claim(&mut self, task: TaskId) -> Option<Settlement<P>> {
        let found = self.tasks.get(task)?;
        if !found.is_for_handle() || found.state.is_unsettled() || found.pending.has(Pending::HELD) {
            return None;
        }
        self.release_outcome(self.tasks.index_of(task))
    }

    /// The waiter that was left by [`claim`](Self::claim), while it has not been woken. A host that would leave the same
    /// one again need not.
    #[must_use]
    pub fn waiter(&self, task: TaskId) -> Option<&P::Waiter> {
        match &self.tasks.get(task)?.claimant {
            Claimant::Handle(waiter) => waiter.as_ref(),
            _ => None,
        }
    }

    /// Gives the claim up: the handle was dropped. The outcome, if it is there, is handed out; if not, it
    /// will go nowhere, and one that the host has yet to observe leaves by [`Effect::Settle`](crate::Effect::Settle). Does
    /// nothing when there is no such task for a handle.
    ///
    /// May change: room, task slots.
    pub fn release(&mut self, now: Instant, task: TaskId) -> Released<P> {
        self.tell(now);
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

    /// Takes a retained result: of a task that was submitted with [`Route::Retain`](crate::Route::Retain),
    /// is settled, and not older than [`ResultLimits::ttl`](crate::ResultLimits::ttl). It is taken once.
    ///
    /// May change: room, task slots.
    pub fn take_result(&mut self, now: Instant, task: TaskId) -> Option<Settlement<P>> {
        let now = self.tell(now);
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
