//! Waiting for room, in a line.

use super::Processor;
use super::submit::{Offer, Routed};
use crate::line::RoomStatus;
use crate::{
    Conditions, Instant, Plan, Refused, ReservedRefusal, Route, TaskId, Terms, WaitRefusal, WaiterId,
};

impl<P: Plan> Processor<P> {
    /// Joins the line of those who wait for room. When there is some, which may be at once, the waiter leaves by
    /// [`Effect::Wake`](crate::Effect::Wake); from then on a place of the queue is kept for it until
    /// [`submit_reserved`](Self::submit_reserved) or [`leave`](Self::leave).
    ///
    /// # Errors
    /// [`WaitRefusal`] with the waiter.
    pub fn wait_for_room(
        &mut self,
        now: Instant,
        waiter: P::Waiter,
    ) -> Result<WaiterId, Refused<P::Waiter, WaitRefusal>> {
        self.tell(now);
        if !self.is_open() {
            return Err(Refused::new(WaitRefusal::Closed, waiter));
        }
        let full = |waiter| Refused::new(WaitRefusal::Full, waiter);
        let id = self.line.join(waiter).map_err(full)?;
        self.ledger.waiters.enter();
        Ok(id)
    }

    /// Asks how it stands in the line, and leaves a new waiter there if it still waits.
    pub fn rewait(&mut self, id: WaiterId, waiter: P::Waiter) -> RoomStatus<P::Waiter> {
        self.line.ask_again(id, waiter)
    }

    /// Submits with the room that was granted; a delayed task needs that of delayed ones all the same. The permit is
    /// used up, whatever the answer, unless that is
    /// [`ReservedRefusal::NotGranted`].
    ///
    /// # Errors
    /// [`ReservedRefusal`] with the task.
    pub fn submit_reserved(
        &mut self,
        now: Instant,
        id: WaiterId,
        job: P::Job,
        terms: Terms<P>,
    ) -> Result<TaskId, Refused<Offer<P>, ReservedRefusal>> {
        let refusal = match self.use_permit(now, id) {
            Ok(()) => self.terms_refusal(&terms),
            Err(reason) => return Err(Refused::new(reason, (job, terms))),
        };
        self.admit_on(self.now, job, terms, refusal).map_err(|refused| refused.because(ReservedRefusal::Task))
    }

    /// As [`submit_reserved`](Self::submit_reserved), on conditions that were worked out before.
    ///
    /// # Errors
    /// [`ReservedRefusal`], with the job and the route.
    pub fn submit_reserved_on(
        &mut self,
        now: Instant,
        id: WaiterId,
        job: P::Job,
        meta: P::Meta,
        route: Route<P::Callback>,
        conditions: &Conditions,
    ) -> Result<TaskId, Refused<Routed<P>, ReservedRefusal>> {
        let refusal = match self.use_permit(now, id) {
            Ok(()) => self.refusal(&route, conditions),
            Err(reason) => return Err(Refused::new(reason, (job, route))),
        };
        self.admit(self.now, job, meta, route, conditions, refusal)
            .map_err(|refused| refused.because(ReservedRefusal::Task))
    }

    /// Takes a permit back for a submission. Once the machine is draining there is none, and need be none for the
    /// submission to be refused.
    fn use_permit(&mut self, now: Instant, id: WaiterId) -> Result<(), ReservedRefusal> {
        self.tell(now);
        let granted = self.line.holds_permit(id);
        if self.is_open() && !granted {
            return Err(ReservedRefusal::NotGranted);
        }
        if granted {
            self.leave_line(id);
        }
        Ok(())
    }

    /// Leaves the line, or gives the granted room to the next one. Hands the waiter out if it was not woken
    /// yet; `None` when it is not in the line.
    pub fn leave(&mut self, now: Instant, id: WaiterId) -> Option<Option<P::Waiter>> {
        self.tell(now);
        self.leave_line(id)
    }

    fn leave_line(&mut self, id: WaiterId) -> Option<Option<P::Waiter>> {
        let waiter = self.line.leave(id)?;
        self.ledger.waiters.leave();
        Some(waiter)
    }
}
