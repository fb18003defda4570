//! Taking tasks in.

use super::Processor;
use super::deadlines::Owner;
use crate::conditions::NEVER;
use crate::lifecycle::State;
use crate::list::List;
use crate::task::{QUEUE, Task};
use crate::{Conditions, Event, Instant, Plan, Refusal, Refused, Route, TaskId, Terms};

/// A job and its terms, handed back.
pub(super) type Offer<P> = (<P as Plan>::Job, Terms<P>);

/// A job and who was to get its outcome, handed back.
pub(super) type Routed<P> = (<P as Plan>::Job, Route<<P as Plan>::Callback>);

impl<P: Plan> Processor<P> {
    /// Takes a task in, or hands it back whole.
    ///
    /// Whatever its later effects need is reserved here: an admitted task never fails for lack of room.
    /// May change: the queue, [`startable`](Self::startable), [`next_wake`](Self::next_wake), events.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Processor, Simple, Terms};
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let task = processor.submit(Instant::ZERO, "job", Terms::new(()))?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// assert_eq!((start.task, start.job), (task, "job"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Refusal`] says why, and what to do about it. Nothing else has changed.
    #[inline(always)]
    pub fn submit(
        &mut self,
        now: Instant,
        job: P::Job,
        terms: Terms<P>,
    ) -> Result<TaskId, Refused<Offer<P>>> {
        let now = self.tell(now);
        let is_delayed = !terms.delay.is_zero();
        let refusal = self.terms_refusal(&terms).or_else(|| self.room_refusal(is_delayed));
        self.admit_on(now, job, terms, refusal)
    }

    /// As [`submit`](Self::submit), on conditions that were worked out before: cheaper when they are those of many tasks.
    ///
    /// May change: as [`submit`](Self::submit).
    ///
    /// # Errors
    /// [`Refusal`], with the job and the route.
    #[inline(always)]
    pub fn submit_on(
        &mut self,
        now: Instant,
        job: P::Job,
        meta: P::Meta,
        route: Route<P::Callback>,
        conditions: &Conditions,
    ) -> Result<TaskId, Refused<Routed<P>>> {
        let now = self.tell(now);
        let refusal = self.refusal(&route, conditions).or_else(|| self.room_refusal(conditions.is_delayed()));
        self.admit(now, job, meta, route, conditions, refusal)
    }

    /// As [`submit_on`](Self::submit_on), for those who wait for room if there is none: a task that comes back with
    /// [`Refusal::Full`] or [`Refusal::Backlog`] counts as not offered, and no event tells of it.
    ///
    /// May change: as [`submit`](Self::submit).
    ///
    /// # Errors
    /// [`Refusal`], with the job and the route.
    #[inline(always)]
    pub fn try_submit(
        &mut self,
        now: Instant,
        job: P::Job,
        meta: P::Meta,
        route: Route<P::Callback>,
        conditions: &Conditions,
    ) -> Result<TaskId, Refused<Routed<P>>> {
        let now = self.tell(now);
        let refusal = self.refusal(&route, conditions);
        if refusal.is_none() {
            if let Some(reason) = self.room_refusal(conditions.is_delayed()) {
                return Err(Refused::new(reason, (job, route)));
            }
        }
        self.admit(now, job, meta, route, conditions, refusal)
    }

    /// Why a task with these terms would not be taken now even if there was room. Whoever wants to wait for room
    /// asks this first: waiting does not help against it.
    #[must_use]
    #[inline]
    pub fn terms_refusal(&self, terms: &Terms<P>) -> Option<Refusal> {
        self.refusal_of(&terms.route, terms.retry.total(), !terms.delay.is_zero(), self.line.held())
    }

    #[inline]
    fn refusal(&self, route: &Route<P::Callback>, conditions: &Conditions) -> Option<Refusal> {
        self.refusal_beside(route, conditions, self.line.held())
    }

    /// Why a task on these conditions would not be taken even if there was room, beside so many places that permits hold.
    #[inline]
    pub(super) fn refusal_beside(
        &self,
        route: &Route<P::Callback>,
        conditions: &Conditions,
        held: u32,
    ) -> Option<Refusal> {
        self.refusal_of(route, conditions.tries.total(), conditions.is_delayed(), held)
    }

    #[inline]
    fn refusal_of(
        &self,
        route: &Route<P::Callback>,
        attempts: u32,
        is_delayed: bool,
        held: u32,
    ) -> Option<Refusal> {
        if !self.is_open() {
            return Some(Refusal::Closed);
        }
        if attempts > self.limits.attempts {
            return Some(Refusal::Attempts);
        }
        match route {
            Route::Handle if self.unclaimed_room(held) == 0 => Some(Refusal::Unclaimed),
            Route::Retain if self.limits.results.entries == 0 => Some(Refusal::NotRetained),
            _ if is_delayed && !self.has_delayed_room(held) => Some(Refusal::Delayed),
            _ => None,
        }
    }

    /// Why there is no room for one more task. A delayed one needs none in the queue.
    #[inline]
    fn room_refusal(&self, is_delayed: bool) -> Option<Refusal> {
        if !is_delayed && (self.line.is_waiting() || !self.has_queue_room()) {
            return Some(Refusal::Full);
        }
        (self.slot_room() == 0).then_some(Refusal::Backlog)
    }

    /// [`admit`](Self::admit) on terms.
    #[inline(always)]
    pub(super) fn admit_on(
        &mut self,
        now: Instant,
        job: P::Job,
        terms: Terms<P>,
        refusal: Option<Refusal>,
    ) -> Result<TaskId, Refused<Offer<P>>> {
        let Terms { meta, route, priority, delay, timeouts, retry } = terms;
        let conditions = Conditions::new(priority, delay, &timeouts, &retry);
        self.admit(now, job, meta, route, &conditions, refusal).map_err(|refused| {
            refused.map(|(job, route)| (job, Terms { meta, route, priority, delay, timeouts, retry }))
        })
    }

    /// Counts the offer, and takes it in unless there is a reason not to.
    #[inline(always)]
    pub(super) fn admit(
        &mut self,
        now: Instant,
        job: P::Job,
        meta: P::Meta,
        route: Route<P::Callback>,
        conditions: &Conditions,
        refusal: Option<Refusal>,
    ) -> Result<TaskId, Refused<Routed<P>>> {
        self.totals.offered = self.totals.offered.wrapping_add(1);
        if let Some(reason) = refusal {
            return Err(self.refuse(reason, meta, (job, route)));
        }
        let state = if conditions.is_delayed() { State::Delayed } else { State::Queued };
        let has_callback = matches!(route, Route::Callback(_));
        let for_handle = matches!(route, Route::Handle);
        let Some(vacant) = self.tasks.vacant() else {
            debug_assert!(false, "there is a slot where there is room");
            return Err(self.refuse(Refusal::Backlog, meta, (job, route)));
        };
        let (id, index) = (vacant.id(), vacant.index());
        let task = vacant.insert(Task::new(now, job, meta, route, conditions, state));
        let deadline = task.as_ref().map_or(NEVER, |task| task.deadline_in(state));
        if state == State::Queued {
            if let Some(task) = task {
                let before = self.queue.push(task, index);
                List::<QUEUE>::follow(&mut self.tasks, before, index);
            }
            self.ledger.queued.note(self.queue.len());
        }
        self.deadlines.add(Owner::Task(index), deadline);
        self.tally.enter(state);
        self.totals.admitted = self.totals.admitted.wrapping_add(1);
        self.ledger.tasks.note(self.tasks.len());
        self.ledger.jobs.enter();
        if has_callback {
            self.ledger.callbacks.enter();
        }
        if for_handle {
            self.handles = self.handles.wrapping_add(1);
        }
        self.publish(|| Event::Admitted { task: id, meta });
        Ok(id)
    }

    /// Counts a refusal, and hands the offer back.
    #[cold]
    fn refuse(&mut self, reason: Refusal, meta: P::Meta, offer: Routed<P>) -> Refused<Routed<P>> {
        self.totals.refused = self.totals.refused.wrapping_add(1);
        self.publish(|| Event::Refused { meta, reason });
        Refused::new(reason, offer)
    }
}
