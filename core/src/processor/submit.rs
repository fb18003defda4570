//! Submitting tasks.

use super::Processor;
use super::deadlines::Owner;
use crate::lifecycle::State;
use crate::task::Task;
use crate::time::NEVER;
use crate::{Event, Instant, Offer, Plan, Refusal, Refused, Route, TaskId, Terms};

impl<P: Plan> Processor<P> {
    /// Admits a task on these terms, or hands the offer back.
    ///
    /// Everything that its later effects need is reserved here, so an admitted task never fails for lack of room.
    ///
    /// May change: the queue, [`startable`](Self::startable), [`next_wake`](Self::next_wake), events.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let task = processor.submit(Instant::ZERO, Offer::new("job", ()), &Terms::new())?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// assert_eq!((start.task, start.job), (task, "job"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Refusal`] with the offer; it says why, and what to do about it. Only counts and events have changed.
    #[inline(always)]
    pub fn submit(
        &mut self,
        now: Instant,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>>> {
        let now = self.observe_time(now);
        let refusal = self.refusal(&offer.route, terms).or_else(|| self.room_refusal(terms));
        self.admit(now, offer, terms, refusal)
    }

    /// As [`submit`](Self::submit), for a caller that waits for room if there is none. A refusal with [`Refusal::Full`]
    /// or [`Refusal::Backlog`] is not counted as an offer, and publishes no event.
    ///
    /// May change: as [`submit`](Self::submit).
    ///
    /// # Errors
    /// [`Refusal`] with the offer.
    #[inline(always)]
    pub fn try_submit(
        &mut self,
        now: Instant,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>>> {
        let now = self.observe_time(now);
        let refusal = self.refusal(&offer.route, terms);
        if refusal.is_none() {
            if let Some(reason) =
                self.room_refusal(terms).and_then(|reason| self.make_room(reason, terms, false))
            {
                return Err(Refused::new(reason, offer));
            }
        }
        self.admit(now, offer, terms, refusal)
    }

    /// Why a task with this route and these terms would be refused now even if there were room. Ask this before you
    /// wait for room: waiting does not help against these reasons.
    #[must_use]
    #[inline]
    pub fn refusal(&self, route: &Route<P::Callback>, terms: &Terms) -> Option<Refusal> {
        self.refusal_beside(route, terms, self.admission.line.held())
    }

    /// As [`refusal`](Self::refusal), while permits hold `held` places.
    #[inline]
    pub(super) fn refusal_beside(
        &self,
        route: &Route<P::Callback>,
        terms: &Terms,
        held: u32,
    ) -> Option<Refusal> {
        if !self.is_open() {
            return Some(Refusal::Closed);
        }
        let refusal = self.admission.refusal(route, terms, &self.tally, held);
        if terms.has_extras { refusal.or_else(|| self.refusal_of_extras(terms)) } else { refusal }
    }

    /// Why a task with these terms is refused by its lane, or for want of a monitor.
    #[cold]
    pub(super) fn refusal_of_extras(&self, terms: &Terms) -> Option<Refusal> {
        if terms.need_monitor() && self.monitor.is_none() {
            return Some(Refusal::NotMonitored);
        }
        if let Some(refusal) = self.key_refusal(terms) {
            return Some(refusal);
        }
        let lane = terms.lane.as_ref()?;
        match &self.lanes {
            Some(lanes) => lanes.refusal(lane, terms.is_delayed(), self.gate.free(&self.tally)),
            None => Some(Refusal::Lanes),
        }
    }

    /// Why there is no room for one more task with these terms.
    #[inline]
    fn room_refusal(&self, terms: &Terms) -> Option<Refusal> {
        self.admission.room_refusal(terms.is_delayed(), &self.tally, &self.gate, self.tasks.free())
    }

    /// Counts the offer, and admits it unless there is a refusal.
    #[inline(always)]
    pub(super) fn admit(
        &mut self,
        now: Instant,
        offer: Offer<P>,
        terms: &Terms,
        refusal: Option<Refusal>,
    ) -> Result<TaskId, Refused<Offer<P>>> {
        self.totals.offered = self.totals.offered.wrapping_add(1);
        match refusal {
            Some(reason) => self.refuse_or_make_room(now, offer, terms, reason),
            None => self.take_in(now, offer, terms),
        }
    }

    /// Hands the offer back, unless another task gives way.
    #[cold]
    #[inline(never)]
    fn refuse_or_make_room(
        &mut self,
        now: Instant,
        offer: Offer<P>,
        terms: &Terms,
        reason: Refusal,
    ) -> Result<TaskId, Refused<Offer<P>>> {
        match self.make_room(reason, terms, false) {
            Some(reason) => Err(self.refuse(reason, offer)),
            None => self.take_in(now, offer, terms),
        }
    }

    /// Admits a task for which there is room.
    #[inline(always)]
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>>> {
        let mut state = if terms.is_delayed() { State::Delayed } else { State::Queued };
        let has_callback = matches!(offer.route, Route::Callback(_));
        let for_handle = matches!(offer.route, Route::Handle);
        let meta = offer.meta;
        let Some(vacant) = self.tasks.vacant() else {
            debug_assert!(false, "if there is room, there is a free slot");
            return Err(self.refuse(Refusal::Backlog, offer));
        };
        let (id, index) = (vacant.id(), vacant.index());
        let task = vacant.insert(Task::new(now, offer, terms, state));
        let mut deadline = task.as_ref().map_or(NEVER, |task| task.deadline_in(state));
        if self.gate.is_followed() {
            state = self.follow_admission(index, terms, state);
            deadline = self.tasks.at(index).map_or(NEVER, |task| task.deadline_in(state));
        }
        if state == State::Queued {
            self.queue.push(index, terms.priority);
        }
        self.deadlines.add(Owner::Task(index), deadline);
        self.tally.enter(state);
        self.ledger.queued.note(self.tally.of(State::Queued));
        self.totals.admitted = self.totals.admitted.wrapping_add(1);
        self.ledger.tasks.note(self.tasks.len());
        self.ledger.jobs.enter();
        if has_callback {
            self.ledger.callbacks.enter();
        }
        if for_handle {
            self.admission.enter_handle();
        }
        self.publish(|| Event::Admitted { task: id, meta });
        Ok(id)
    }

    /// Counts a refusal, and hands the offer back.
    #[cold]
    pub(super) fn refuse(&mut self, reason: Refusal, offer: Offer<P>) -> Refused<Offer<P>> {
        self.totals.refused = self.totals.refused.wrapping_add(1);
        self.refusals.add(reason, 1);
        let meta = offer.meta;
        self.publish(|| Event::Refused { meta, reason });
        Refused::new(reason, offer)
    }
}
