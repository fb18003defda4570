//! Reserving room: permits, and the line of waiters for one.

use core::fmt;
use core::num::NonZeroU32;

use super::Processor;
use crate::line::RoomStatus;
use crate::{
    Instant, Offer, PermitId, PermitRefusal, Plan, Refused, ReserveRefusal, TaskId, Terms, WaitRefusal,
};

impl<P: Plan> Processor<P> {
    /// Reserves room for `count` tasks, at once or not at all. Each place of the permit takes room for one task in the
    /// queue, one task slot, and one of [`Limits::unclaimed`](crate::Limits::unclaimed), so that no other task can use
    /// them up. [`reserved`](Self::reserved) uses places, and [`leave`](Self::leave) gives back the unused ones. A
    /// drain takes them all.
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
    /// [`ReserveRefusal`]; nothing has changed.
    pub fn reserve(&mut self, now: Instant, count: NonZeroU32) -> Result<PermitId, ReserveRefusal> {
        self.observe_time(now);
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

    /// Joins the line of waiters for room, for `count` tasks at a time. When its turn comes and there is as much room,
    /// which may be at once, the waiter leaves by [`Effect::Wake`](crate::Effect::Wake) and its id is a permit, as from
    /// [`reserve`](Self::reserve). If there is room but [`Limits::unclaimed`](crate::Limits::unclaimed) does not allow
    /// as many tasks for handles, the waiter is woken without a permit: it may be the one that has to take outcomes.
    /// [`rewait`](Self::rewait) tells the two apart.
    ///
    /// The line is strictly in order: a waiter for much room keeps the waiters behind it waiting, and submissions that
    /// need room are refused meanwhile.
    ///
    /// May change: effects, room.
    ///
    /// ```
    /// # use plimsoll_core::{Effect, Instant, Limits, Offer, Processor, RoomStatus, Simple, Terms};
    /// # use core::{num::NonZeroU32, task::Waker};
    /// let (now, one, mut limits) = (Instant::ZERO, NonZeroU32::MIN, Limits::default());
    /// (limits.queue, limits.concurrency) = (0, 1);
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, now)?;
    /// let task = processor.submit(now, Offer::new("first", ()), &Terms::new())?;
    /// let waits = processor.wait_for_room(now, Waker::noop().clone(), one)?;
    /// processor.cancel(now, task)?;
    /// while let Some(effect) = processor.poll_effect() {
    ///     if let Effect::Wake(waker) = effect { waker.wake() }
    /// }
    /// assert!(matches!(processor.rewait(waits, Waker::noop().clone()), RoomStatus::Granted(_)));
    /// processor.reserved(now, waits).submit(Offer::new("second", ()), &Terms::new())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`WaitRefusal`] with the waiter.
    pub fn wait_for_room(
        &mut self,
        now: Instant,
        waiter: P::Waiter,
        count: NonZeroU32,
    ) -> Result<PermitId, Refused<P::Waiter, WaitRefusal>> {
        self.observe_time(now);
        if !self.is_open() {
            return Err(Refused::new(WaitRefusal::Closed, waiter));
        }
        if count.get() > self.limits.reservable() {
            return Err(Refused::new(WaitRefusal::TooMany, waiter));
        }
        self.admission.line.join(waiter, count).map_err(|waiter| Refused::new(WaitRefusal::Waiters, waiter))
    }

    /// Asks for the status in the line, and leaves a new waiter if it still waits.
    ///
    /// May change: nothing else.
    pub fn rewait(&mut self, id: PermitId, waiter: P::Waiter) -> RoomStatus<P::Waiter> {
        self.admission.line.ask_again(id, waiter)
    }

    /// The places of a permit, to submit tasks with at one instant. Looks the permit up once.
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
        self.observe_time(now);
        let left = self.admission.line.held_by(id);
        Reserved { processor: self, id, left }
    }

    /// Gives back up to `count` places of a permit, for the next in line. Returns how many; 0 for an id that still
    /// waits. With its last place the permit is gone.
    ///
    /// May change: effects, room.
    pub fn give_back(&mut self, now: Instant, id: PermitId, count: u32) -> u32 {
        self.observe_time(now);
        self.admission.line.take(id, count)
    }

    /// Leaves the line, or gives back all places of the permit, for the next in line. Hands out the waiter if it was
    /// not woken yet. `None` if the id is neither a permit nor in the line.
    ///
    /// May change: effects, room.
    pub fn leave(&mut self, now: Instant, id: PermitId) -> Option<Option<P::Waiter>> {
        self.observe_time(now);
        self.admission.line.leave(id)
    }
}

/// The places of a permit, to submit tasks with at one instant. Made by [`Processor::reserved`]. After every call the
/// permit is up to date.
#[must_use = "nothing is submitted yet"]
pub struct Reserved<'a, P: Plan> {
    processor: &'a mut Processor<P>,
    id: PermitId,
    left: u32,
}

impl<P: Plan> Reserved<'_, P> {
    /// How many places the permit has left; 0 if there is no such permit, it still waits, or a drain took it.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.left
    }

    /// Submits with one of the places. With its last place the permit is gone. A submission is never refused for lack
    /// of what a place reserves. It is refused by the end, or for what the task asks besides: attempts, room for
    /// delayed tasks, retained results, its lane, its key, a monitor. A refused submission leaves the permit as it is.
    ///
    /// May change: as [`Processor::submit`].
    ///
    /// # Errors
    /// [`PermitRefusal`], with the offer.
    #[inline(always)]
    pub fn submit(
        &mut self,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>, PermitRefusal>> {
        let Self { processor, id, left } = self;
        let rest = left.checked_sub(1);
        // While the machine drains the refusal is `Closed`, with or without a permit.
        if processor.is_open() && rest.is_none() {
            return Err(Refused::new(PermitRefusal::NotGranted, offer));
        }
        let others = processor.admission.line.held().saturating_sub(u32::from(rest.is_some()));
        let refusal = processor.refusal_beside(&offer.route, terms, others);
        let refusal = refusal.and_then(|reason| processor.make_room(reason, terms, true));
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
