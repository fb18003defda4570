//! Observing: the host sees an outcome before anybody else can have it, for metrics, logs or dead letters.
//!
//! ```text
//!              poll_effect                          observed
//!  settled ─── Observe ───► the host has the outcome ────────► claimable, or retained
//!     │                              │
//!     └─ release, or the end         └─ release, or the end
//!        discards: Settle               discards: the host keeps it
//! ```

use super::{Claim, Processor};
use crate::lifecycle::{Input, Next};
use crate::task::{Claimant, Payload, Pending};
use crate::{Effect, Instant, Outcome, Plan, Settlement, TaskId};

/// An outcome, and the job if there was one, as the host gives them back.
type Shown<P> =
    (Outcome<<P as Plan>::Output, <P as Plan>::Error, <P as Plan>::Panic>, Option<<P as Plan>::Job>);

impl<P: Plan> Processor<P> {
    /// Sets whether the host observes each settled task before anybody else can have its outcome. Default `false`.
    /// While it is on, the outcome of a task for a handle, or to be retained, leaves by [`Effect::Observe`] first, and
    /// nobody can have it until the host gives it back with [`observed`](Self::observed). All other outcomes leave by
    /// [`Effect::Settle`] as ever. So does an outcome whose handle is released, or that the end discards, before it was
    /// observed. So each task comes by exactly one of these two effects, once.
    ///
    /// A change does not affect tasks that are settled already: those that were to be observed still are, and the
    /// others are not.
    ///
    /// May change: nothing yet.
    ///
    /// ```
    /// # use plimsoll_core::{Effect, Instant, Limits, Offer, OutcomeKind, Processor, Route, Simple, Terms};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let now = Instant::ZERO;
    /// processor.observe(true);
    /// let task = processor.submit(now, Offer::new("job", ()).route(Route::Handle), &Terms::new())?;
    /// let start = processor.start_next(now).ok_or("nothing to start")?;
    /// processor.completed(now, start.attempt, 3)?;
    /// assert!(processor.try_claim(task).is_none(), "the host comes first");
    /// let Some(Effect::Observe(seen)) = processor.poll_effect() else { return Err("nothing to observe".into()) };
    /// assert_eq!(seen.outcome.kind(), OutcomeKind::Completed);
    /// assert!(processor.observed(now, task, seen.outcome, seen.job).is_ok());
    /// assert!(processor.try_claim(task).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe(&mut self, is_on: bool) {
        self.observes = is_on;
    }

    /// Whether [`observe`](Self::observe) is on.
    #[must_use]
    pub const fn observes(&self) -> bool {
        self.observes
    }

    /// Gives back the outcome that the host took by [`Effect::Observe`], with the job if there was one. From now on it
    /// can be claimed, or is retained, for as long as if the task had been settled now. The reason of a cancel stays
    /// what it was.
    ///
    /// May change: effects (the wake of the waiter, the discard of the oldest result). The wake may come after
    /// [`Effect::Drained`], so a host that observes takes effects after this call even then.
    ///
    /// # Errors
    /// The outcome and the job, if no outcome of this task is expected back: its handle was released, the end discarded
    /// it, it was given back before, or it was never handed out. Also if it differs from the one handed out: an outcome
    /// of another kind, or a job beside an output, an error or a panic. Nothing has changed then.
    pub fn observed(
        &mut self,
        now: Instant,
        task: TaskId,
        outcome: Outcome<P::Output, P::Error, P::Panic>,
        job: Option<P::Job>,
    ) -> Result<(), Shown<P>> {
        self.observe_time(now);
        let found = self.tasks.get_mut(task);
        let is_same = |kind| kind == Some(outcome.kind());
        let Some(found) = found.filter(|found| found.pending.is_out() && is_same(found.kind)) else {
            return Err((outcome, job));
        };
        found.payload = match (outcome, job) {
            (Outcome::Completed(output), None) => Payload::Output(output),
            (Outcome::Failed(error), None) => Payload::Error(error),
            (Outcome::Panicked(panic), None) => Payload::Panic(panic),
            (Outcome::TimedOut | Outcome::Cancelled(_) | Outcome::Expired | Outcome::Shed, None) => {
                Payload::Away
            }
            (Outcome::TimedOut | Outcome::Cancelled(_) | Outcome::Expired | Outcome::Shed, Some(job)) => {
                self.ledger.jobs.enter();
                Payload::Job(job)
            }
            both => return Err(both),
        };
        found.pending = found.pending.without(Pending::HELD);
        let waits = matches!(found.claimant, Claimant::Handle(Some(_)));
        let is_retained = matches!(found.claimant, Claimant::Retention);
        let index = self.tasks.index_of(task);
        self.ledger.observed.leave();
        if waits {
            self.owe(index, Pending::WAKE);
        }
        if is_retained {
            self.tally.unretained = self.tally.unretained.wrapping_sub(1);
            self.retain(index);
        }
        Ok(())
    }

    /// [`claim`](Self::claim) of an outcome that is still to be observed.
    #[cold]
    #[inline(never)]
    pub(super) fn claim_held(&mut self, task: TaskId, waiter: P::Waiter) -> Claim<P> {
        let found = self.tasks.get_mut(task).filter(|task| !task.pending.has(Pending::DISCARD));
        match found.map(|task| &mut task.claimant) {
            Some(Claimant::Handle(place)) => Claim::Pending(place.replace(waiter)),
            _ => Claim::Gone(waiter),
        }
    }

    /// Takes the next effect of the task in slot `index`, whose outcome is to be observed or with the host. `None` if
    /// the end discards an outcome that the host has.
    ///
    /// Not inlined, so that the effects of other tasks cost no more.
    #[inline(never)]
    pub(super) fn poll_held(&mut self, index: u32) -> Option<Effect<P>> {
        let pending = self.tasks.at(index)?.pending;
        if !pending.has(Pending::DISCARD) {
            return self.show(index).map(Effect::Observe);
        }
        self.remains.discarded = self.remains.discarded.saturating_add(1);
        if pending.has(Pending::OBSERVE) {
            self.note_unretained(index);
            return self.release_outcome(index).map(Effect::Settle);
        }
        self.forget_outcome(index);
        None
    }

    /// Hands out the outcome of the task in slot `index`, for the host to give back.
    fn show(&mut self, index: u32) -> Option<Settlement<P>> {
        let (id, task) = self.tasks.entry(index)?;
        let (record, reason) = (task.record(id), task.reason());
        let payload = core::mem::replace(&mut task.payload, Payload::Away);
        self.withdraw(index, Pending::OBSERVE);
        self.ledger.observed.enter();
        Some(self.hand_out(record, Claimant::Nobody, payload, reason))
    }

    /// Handles the release of the handle of the task in slot `index`, before the host has given the outcome back.
    pub(super) fn release_held(&mut self, index: u32) {
        let Some(task) = self.tasks.at_mut(index) else { return };
        if !task.pending.has(Pending::OBSERVE) {
            return self.forget_outcome(index);
        }
        task.pending = task.pending.without(Pending::OF_OUTCOME).with(Pending::SETTLE);
        task.claimant = Claimant::Nobody;
        self.admission.leave_handle();
        self.tally.unclaimed = self.tally.unclaimed.wrapping_sub(1);
    }

    /// Forgets the outcome of the task in slot `index`, which the host has, and frees the slot if no attempt still
    /// runs.
    fn forget_outcome(&mut self, index: u32) {
        self.ledger.observed.leave();
        self.withdraw(index, Pending::OF_OUTCOME);
        self.note_unretained(index);
        let Some(task) = self.tasks.at_mut(index) else { return };
        task.pending = task.pending.without(Pending::HELD);
        let starts = task.starts;
        if let Claimant::Handle(waiter) = core::mem::replace(&mut task.claimant, Claimant::Nobody) {
            debug_assert!(waiter.is_none(), "its waiter was woken, or handed out");
            self.admission.leave_handle();
            self.tally.unclaimed = self.tally.unclaimed.wrapping_sub(1);
        }
        if self.tally.step(task, Input::Release) == Some(Next::Free) {
            self.free(index, starts);
        }
    }

    /// Notes that the outcome of the task in slot `index` will not be retained, if it was to be.
    fn note_unretained(&mut self, index: u32) {
        if self.tasks.at(index).is_some_and(|task| matches!(task.claimant, Claimant::Retention)) {
            self.tally.unretained = self.tally.unretained.wrapping_sub(1);
        }
    }
}
