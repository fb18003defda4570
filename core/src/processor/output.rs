//! The outputs of the machine: attempts to start, and effects.

use super::Processor;
use super::deadlines::Owner;
use crate::lifecycle::{Input, State};
use crate::list::NIL;
use crate::queue::EVERY_CLASS;
use crate::task::{Claimant, Payload, Pending, Task};
use crate::time::NEVER;
use crate::{AttemptId, Effect, Event, Instant, OutcomeKind, Plan, Settlement, Start, Stop, TaskId};

/// How many overdue tasks one call of `start_next` settles at most.
const PASSED_OVER: u32 = 64;

impl<P: Plan> Processor<P> {
    /// How many attempts could be started now. With rates it may be fewer: a rate that allows one start counts as if it
    /// allowed any number. 0 is exact.
    #[must_use]
    #[inline]
    pub fn startable(&self) -> u32 {
        let waiting = match &self.lanes {
            Some(lanes) => lanes.startable(),
            None if self.queue.open() == EVERY_CLASS => self.tally.of(State::Queued),
            None => self.queue.classes().len_of(self.queue.open()),
        };
        waiting.min(self.gate.free(&self.tally))
    }

    /// Starts the next attempt: its job leaves for the host, it takes a concurrency place, and its start-to-close
    /// time-out counts from `now`, or from the instant that [`began`](Self::began) reports. `None` if nothing can be
    /// started.
    ///
    /// A task whose deadline has passed is settled instead, at most 64 tasks in one call. If there are more, the call
    /// returns `None` although [`startable`](Self::startable) is not 0: call it again, or call
    /// [`advance`](Self::advance).
    ///
    /// May change: [`next_wake`](Self::next_wake), room, effects (of tasks that expired), events.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// let start = processor.start_next(now).ok_or("there is a job, and a place")?;
    /// assert_eq!((start.job, start.number), ("job", 1)); // run it, and report `start.attempt`
    /// assert!(processor.start_next(now).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn start_next(&mut self, now: Instant) -> Option<Start<P>> {
        let now = self.observe_time(now);
        if self.gate.free(&self.tally) == 0 {
            return None;
        }
        let (index, task, started) = loop {
            let index = if self.gate.is_followed() { self.next_of_lanes() } else { self.queue.next() };
            match self.tasks.entry(index) {
                Some((task, queued)) if queued.deadline_in(State::Queued) >= now => {
                    break (index, task, queued);
                }
                Some(_) => self.pass_over_overdue(now)?,
                None => return None,
            }
        };
        let Payload::Job(job) = core::mem::replace(&mut started.payload, Payload::Away) else {
            debug_assert!(false, "a queued task has its job");
            return None;
        };
        self.tally.step(started, Input::Start)?;
        started.start(now);
        let (number, starts, meta) = (started.attempts, started.starts, started.meta);
        let deadline = started.deadline_in(State::Running);
        let further = started.tries.total().saturating_sub(number);
        let priority = started.priority;
        let first = if self.gate.is_followed() {
            self.follow_start(index, priority, now, deadline)
        } else {
            self.queue.start(priority);
            deadline
        };
        self.deadlines.set(Owner::Task(index), first);
        let attempt = self.attempt(task, starts)?;
        self.totals.started = self.totals.started.wrapping_add(1);
        self.ledger.jobs.leave();
        self.ledger.running.note(self.tally.placed());
        self.publish(|| Event::Started { task, attempt, meta });
        let deadline = if deadline == NEVER { None } else { Some(deadline) };
        Some(Start { task, attempt, number, job, meta, deadline, further })
    }

    /// Settles overdue tasks until the next task to start is in time. `None` if there is none, or the bound is reached.
    #[cold]
    fn pass_over_overdue(&mut self, now: Instant) -> Option<()> {
        for _ in 0..PASSED_OVER {
            let index = self.next_of_lanes();
            if self.tasks.at(index)?.deadline_in(State::Queued) >= now {
                return Some(());
            }
            self.overdue(index);
        }
        None
    }

    /// The id of the last of `starts` attempts. The first attempt has the task's own generation, so a task with one
    /// attempt takes no further generation of its slot. Later attempts have the generations that follow.
    #[inline]
    pub(super) fn attempt(&self, task: TaskId, starts: u32) -> Option<AttemptId> {
        self.tasks.further(task, starts.checked_sub(1)?)
    }

    /// Whether to call [`poll_effect`](Self::poll_effect). While the machine is ending, that call may return `None`
    /// even so; then it has made progress.
    #[must_use]
    #[inline]
    pub fn has_effect(&self) -> bool {
        // All six lists are empty if every head is `NIL`, which has all bits set. So one comparison does for all.
        let heads = self.outbox.head()
            & self.sleeps.first_wake()
            & self.admission.line.first()
            & self.subscribers.first_wake()
            & self.sources.first_wake()
            & self.schedules.first_due();
        (heads != NIL && self.lists_have_effect()) || self.sweep_due || self.has_end_effect()
    }

    /// Roughly how many effects are pending: the number of tasks that owe any, or 1 if there are only others. 0 only if
    /// [`has_effect`](Self::has_effect) is false. For a host with several threads that perform effects. O(1).
    #[must_use]
    #[inline]
    pub fn pending_effects(&self) -> u32 {
        if self.has_effect() { self.outbox.len().max(1) } else { 0 }
    }

    /// Whether one of the lists has an effect.
    #[cold]
    fn lists_have_effect(&self) -> bool {
        !self.outbox.is_empty()
            || self.sleeps.has_wake()
            || self.can_call_first()
            || self.subscribers.has_wake()
            || self.sources.first_wake() != NIL
            || self.schedules.first_due() != NIL
    }

    /// Takes the next effect: something that the host has to do, other than starting attempts. Call it until `None`
    /// after every call that may change effects. Pending effects are states of the slots, so none is lost and nothing
    /// grows if you do not; but settled tasks keep their slots until then.
    ///
    /// The effects of tasks come first, in the order in which the tasks began to owe one. For one task, `Stop` comes
    /// before its settlement, and `Observe` before a wake for its outcome, unless the end discards the outcome. Then
    /// come the wakes of sleeps, the grants of room (or, while draining, the end of the line, of the emitters and of the
    /// schedules), the wakes of subscribers and of sources, what is due of schedules, the request to sweep, and the end.
    ///
    /// May change: the object of the effect. Slots are freed, and with them room.
    ///
    /// ```
    /// # use plimsoll_core::{Effect, Instant, Limits, Offer, Processor, Route, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let task = processor.submit(now, Offer::new("job", ()).route(Route::Callback(7)), &Terms::new())?;
    /// processor.cancel(now, task)?;
    /// while let Some(effect) = processor.poll_effect() {
    ///     match effect {
    ///         Effect::Settle(settled) => assert_eq!((settled.callback, settled.job), (Some(7), Some("job"))),
    ///         _ => unreachable!("nothing else has happened"),
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn poll_effect(&mut self) -> Option<Effect<P>> {
        if let Some(settlement) = self.poll_settlement() {
            return Some(Effect::Settle(settlement));
        }
        if self.has_effect() { self.poll_any() } else { None }
    }

    /// [`poll_effect`](Self::poll_effect), for effects of any kind. Not inlined.
    #[inline(never)]
    fn poll_any(&mut self) -> Option<Effect<P>> {
        while !self.outbox.is_empty() {
            if let Some(effect) = self.poll_task(self.outbox.head()) {
                return Some(effect);
            }
        }
        match self.wake_sleeper() {
            Some(waiter) => Some(Effect::Wake(waiter)),
            None => self.poll_others(),
        }
    }

    /// The callback that [`poll_settlement`](Self::poll_settlement) would hand out; `None` if it would return `None`,
    /// or a settlement without a callback. A host that has a quick way for some of its callbacks asks this first.
    #[must_use]
    #[inline]
    pub fn next_callback(&self) -> Option<&P::Callback> {
        match self.tasks.at(self.outbox.head())? {
            task if !task.owes_only_settlement() => None,
            Task { claimant: Claimant::Callback(callback), .. } => Some(callback),
            _ => None,
        }
    }

    /// As [`poll_effect`](Self::poll_effect), but only if the next effect is the settlement of a task whose attempt is
    /// over. Otherwise `None`. This saves moving the settlement as one variant of [`Effect`].
    ///
    /// May change: as [`poll_effect`](Self::poll_effect).
    #[inline]
    pub fn poll_settlement(&mut self) -> Option<Settlement<P>> {
        let index = self.outbox.head();
        let (_, task) = self.tasks.entry(index)?;
        if !task.owes_only_settlement() {
            return None;
        }
        task.pending = Pending::NONE;
        let settlement = self.release_whole(index)?;
        self.outbox.pop_front();
        Some(settlement)
    }

    /// The next effect other than those of tasks and sleeps.
    fn poll_others(&mut self) -> Option<Effect<P>> {
        if self.is_open() {
            if self.can_call_first() {
                if let Some(waiter) = self.admission.call_first() {
                    return Some(Effect::Wake(waiter));
                }
            }
        } else if let Some(effect) = self.poll_closing() {
            return Some(effect);
        }
        if let Some(waiter) = self.subscribers.pop_wake() {
            return Some(Effect::Wake(waiter));
        }
        if let Some(waiter) = self.sources.pop_wake() {
            return Some(Effect::Wake(waiter));
        }
        // A drain has ended all schedules before it comes here.
        if let Some(due) = self.poll_due() {
            return Some(Effect::Due(due));
        }
        if core::mem::take(&mut self.sweep_due) {
            return Some(Effect::Sweep);
        }
        self.poll_end()
    }

    /// Whether the first waiter in line is to be called.
    #[inline]
    fn can_call_first(&self) -> bool {
        self.is_open() && self.admission.can_call_first(&self.tally, &self.gate, self.tasks.free())
    }

    /// Takes the next effect of the task in slot `index`, which is the first in the outbox.
    fn poll_task(&mut self, index: u32) -> Option<Effect<P>> {
        let (id, task) = self.tasks.entry(index)?;
        if task.pending.has(Pending::STOP) {
            let (starts, why) = (task.starts, task.kind.unwrap_or(OutcomeKind::TimedOut));
            let attempt = self.attempt(id, starts);
            self.withdraw(index, Pending::STOP);
            return Some(Effect::Stop(Stop { task: id, attempt: attempt?, why }));
        }
        if task.pending.has(Pending::WAKE) {
            let waiter = match &mut task.claimant {
                Claimant::Handle(waiter) => waiter.take(),
                _ => None,
            };
            self.withdraw(index, Pending::WAKE);
            return waiter.map(Effect::Wake);
        }
        if task.pending.has(Pending::HELD) {
            return self.poll_held(index);
        }
        let settles = task.pending.has(Pending::SETTLE);
        let settlement = self.release_outcome(index)?;
        if settles {
            return Some(Effect::Settle(settlement));
        }
        if self.ending.is_ending() {
            self.remains.discarded = self.remains.discarded.saturating_add(1);
        }
        Some(Effect::Discard(settlement))
    }
}
