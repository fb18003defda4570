//! Room that is set aside: permits, and the line of those who wait for one.

use core::fmt;
use core::num::NonZeroU32;

use super::Processor;
use crate::line::RoomStatus;
use crate::{
    Instant, Offer, PermitId, PermitRefusal, Plan, Refused, ReserveRefusal, TaskId, Terms, WaitRefusal,
};

impl<P: Plan> Processor<P> {
    /// Sets room for so many tasks aside, at once and without waiting. Each of the permit's places is one of the queue's
    /// room, a task slot, and one of [`Limits::unclaimed`](crate::Limits::unclaimed), so that nothing else that is taken in
    /// meanwhile can use it up. [`reserved`](Self::reserved) uses places, and [`leave`](Self::leave) gives
    /// back all that are left. A drain takes them all.
    ///
    /// May change: room.
    ///
    /// ```
    /// # use core::num::NonZeroU32;
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Refusal, ReserveRefusal, Simple, Terms};
    /// let (now, pair) = (Instant::ZERO, NonZeroU32::MIN.saturating_add(1));
    /// let mut limits = Limits::default();
    /// (limits.queue, limits.concurrency) = (1, 1);
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, now)?;
    /// let permit = processor.reserve(now, pair)?;
    /// let refused = processor.submit(now, Offer::new("a third one", ()), &Terms::new()).unwrap_err();
    /// assert_eq!(refused.reason, Refusal::Full);
    /// assert_eq!(processor.reserve(now, NonZeroU32::MIN), Err(ReserveRefusal::Full));
    /// processor.reserved(now, permit).submit(Offer::new("the first", ()), &Terms::new())?;
    /// processor.reserved(now, permit).submit(Offer::new("the second", ()), &Terms::new())?;
    /// assert!(processor.leave(now, permit).is_none(), "with its last place the permit is gone");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReserveRefusal`]. Nothing has changed then.
    pub fn reserve(&mut self, now: Instant, count: NonZeroU32) -> Result<PermitId, ReserveRefusal> {
        self.tell(now);
        match self.reserve_refusal(count.get()) {
            Some(reason) => Err(reason),
            None => self.admission.line.reserve(count).ok_or(ReserveRefusal::Waiters),
        }
    }

    fn reserve_refusal(&self, count: u32) -> Option<ReserveRefusal> {
        if !self.is_open() {
            return Some(ReserveRefusal::Closed);
        }
        if count > self.limits.reservable() {
            return Some(ReserveRefusal::TooMany);
        }
        self.admission.reserve_refusal(count, &self.tally, &self.gate, self.tasks.free())
    }

    /// Joins the line of those who wait for room, for so many tasks at a time. When it is its turn and there is as much,
    /// which may be at once, the waiter leaves by [`Effect::Wake`](crate::Effect::Wake); from then on it holds a permit, as
    /// from [`reserve`](Self::reserve). It is woken too, and holds none, when there is room but more outcomes are not taken
    /// than [`Limits::unclaimed`](crate::Limits::unclaimed) allows: the waiter might be the one that has to take them.
    /// [`rewait`](Self::rewait) tells which.
    ///
    /// Nobody overtakes: one that waits for much keeps those behind it waiting, and submissions that need room are refused.
    ///
    /// May change: effects, room.
    ///
    /// # Errors
    /// [`WaitRefusal`] with the waiter.
    pub fn wait_for_room(
        &mut self,
        now: Instant,
        waiter: P::Waiter,
        count: NonZeroU32,
    ) -> Result<PermitId, Refused<P::Waiter, WaitRefusal>> {
        self.tell(now);
        if !self.is_open() {
            return Err(Refused::new(WaitRefusal::Closed, waiter));
        }
        if count.get() > self.limits.reservable() {
            return Err(Refused::new(WaitRefusal::TooMany, waiter));
        }
        self.admission.line.join(waiter, count).map_err(|waiter| Refused::new(WaitRefusal::Waiters, waiter))
    }

    /// Asks how it stands in the line, and leaves a new waiter there if it still waits.
    ///
    /// May change: nothing else.
    pub fn rewait(&mut self, id: PermitId, waiter: P::Waiter) -> RoomStatus<P::Waiter> {
        self.admission.line.ask_again(id, waiter)
    }

    /// The places of a permit, to submit tasks with at one instant: the permit is looked up once.
    ///
    /// May change: as [`submit`](Self::submit), by the places that are used.
    ///
    /// ```
    /// # use core::num::NonZeroU32;
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let (now, three) = (Instant::ZERO, NonZeroU32::MIN.saturating_add(2));
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let permit = processor.reserve(now, three)?;
    /// let mut places = processor.reserved(now, permit);
    /// for job in ["the first", "the second", "the third"] {
    ///     places.submit(Offer::new(job, ()), &Terms::new())?;
    /// }
    /// assert_eq!(places.left(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn reserved(&mut self, now: Instant, id: PermitId) -> Reserved<'_, P> {
        self.tell(now);
        let left = self.admission.line.held_by(id);
        Reserved { processor: self, id, left }
    }

    /// Gives up to so many places of a permit back, which go to the next in line: how many. With its last one the permit is
    /// gone. 0 for one that still waits.
    ///
    /// May change: effects, room.
    pub fn give_back(&mut self, now: Instant, id: PermitId, count: u32) -> u32 {
        self.tell(now);
        self.admission.line.take(id, count)
    }

    /// Leaves the line, or gives all places of the permit back that are left, which go to the next in line. Hands the waiter
    /// out if it was not woken yet; `None` when there is no such permit and it is not in the line.
    ///
    /// May change: effects, room.
    pub fn leave(&mut self, now: Instant, id: PermitId) -> Option<Option<P::Waiter>> {
        self.tell(now);
        self.admission.line.leave(id)
    }
}

/// The places of a permit, with which tasks are submitted at one instant. Made by [`Processor::reserved`]. After every call the
/// permit is as if each task had been submitted on its own.
#[must_use = "nothing is submitted yet"]
pub struct Reserved<'a, P: Plan> {
    processor: &'a mut Processor<P>,
    id: PermitId,
    left: u32,
}

impl<P: Plan> Reserved<'_, P> {
    /// How many places the permit has; 0 if it is none, still waits, or was taken by a drain.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// Submits with one of the places; with its last one the permit is gone. What a place stands for refuses nothing: only the
    /// end does, and what the task asks for besides (attempts, room for delayed tasks, results that are retained). A refused
    /// submission leaves the permit as it is.
    ///
    /// May change: as [`Processor::submit`].
    ///
    /// # Errors
    /// [`PermitRefusal`], with the offer.
    #[inline]
    pub fn submit(
        &mut self,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>, PermitRefusal>> {
        let Self { processor, id, left } = self;
        let rest = left.checked_sub(1);
        // Once the machine is draining there need be no permit for the submission to be refused.
        if processor.is_open() && rest.is_none() {
            return Err(Refused::new(PermitRefusal::NotGranted, offer));
        }
        let others = processor.admission.line.held().saturating_sub(u32::from(rest.is_some()));
        let refusal = processor.refusal_beside(&offer.route, terms, others);
        if let (None, Some(rest)) = (refusal, rest) {
            processor.admission.line.use_place(*id, rest);
            *left = rest;
        }
        processor
            .admit(processor.now, offer, terms, refusal)
            .map_err(|refused| refused.because(PermitRefusal::Task))
    }
}

impl<P: Plan> fmt::Debug for Reserved<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("left", &self.left).finish_non_exhaustive()
    }
}
