//! The getters: counts, totals, health, and the recount of `audit`.

use super::Processor;
use super::deadlines::Owner;
use crate::cache::CacheMut;
use crate::dedup::Dedup;
use crate::lanes::Lanes;
use crate::last_error::LastError;
use crate::lifecycle::State;
use crate::monitor::Monitor;
use crate::queue::EVERY_CLASS;
use crate::task::{Claimant, Pending};
use crate::{Account, ByOutcome, ByRefusal, Census, Health, Hold, Instant, Ledger, Limits, Plan, Totals};

impl<P: Plan> Processor<P> {
    /// The limits that the machine was built for.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The latest instant that the machine was told.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The concurrency limit now. See [`set_concurrency`](Self::set_concurrency).
    #[must_use]
    pub const fn concurrency(&self) -> u32 {
        self.gate.concurrency()
    }

    /// How many more tasks without a delay would be admitted now.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let (now, mut limits) = (Instant::ZERO, Limits::default());
    /// (limits.queue, limits.concurrency) = (8, 2);
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, now)?;
    /// assert_eq!(processor.free_room(), 10);
    /// processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// assert_eq!(processor.free_room(), 9);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline]
    pub fn free_room(&self) -> u32 {
        if !self.is_open() {
            return 0;
        }
        self.admission.free_room(&self.tally, &self.gate, self.tasks.free())
    }

    /// Whether every task is settled: none is delayed, queued, running or backing off. O(1).
    #[must_use]
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.tally.unsettled() == 0
    }

    /// The cache. It ends with the machine: from the moment when a drain has no unsettled task left, or gives them up,
    /// every insert is refused.
    ///
    /// May change: the cache alone.
    pub fn cache(&mut self) -> CacheMut<'_, P::Key, P::Value> {
        CacheMut::new(&mut self.cache, self.now)
    }

    /// The last error, if there was one.
    #[must_use]
    pub const fn last_error(&self) -> Option<LastError<P::Meta>> {
        self.last_error
    }

    /// The counts since the machine was built.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// let totals = processor.totals();
    /// assert_eq!((totals.offered, totals.refused, totals.admitted, totals.settled.total()), (1, 0, 1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// How many tasks were refused for each reason. Their sum is [`Totals::refused`].
    #[must_use]
    pub const fn refusals(&self) -> ByRefusal {
        self.refusals
    }

    /// The movements of everything that could leak.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let stats = self.cache.stats();
        let left = stats.evicted.wrapping_add(stats.expired).wrapping_add(stats.removed);
        let highest = u32::try_from(stats.highest).unwrap_or(u32::MAX);
        let Ledger { tasks, queued, running, .. } = self.ledger;
        let (waiters, permits) = self.admission.line.accounts();
        let (sources, deliveries) = self.sources.accounts();
        Ledger {
            waiters,
            permits,
            tasks: tasks.with(self.totals.admitted, self.tasks.len()),
            queued: queued.with(self.queue.arrived(), self.tally.of(State::Queued)),
            timers: self.deadlines.account(),
            running: running.with(self.totals.started, self.tally.placed()),
            lanes: self.lanes.as_deref().map_or(self.ledger.lanes, Lanes::account),
            unique_keys: self.dedup.as_deref().map_or(self.ledger.unique_keys, Dedup::account),
            sources,
            deliveries,
            cache: Account { entered: stats.inserted, left, highest, bound: self.limits.cache.entries },
            ..self.ledger
        }
    }

    /// The state of the machine in numbers, at `now`. `settled` counts since the last health check; `missed` is 0.
    /// O(priority classes and sources).
    #[must_use]
    pub fn health(&self, now: Instant) -> Health {
        let now = now.max(self.now);
        let load =
            u64::from(self.admission.waiting_now(&self.tally)).saturating_add(u64::from(self.tally.placed()));
        let line = u64::from(self.limits.queue).saturating_add(u64::from(self.limits.concurrency));
        let longest_waiting = self.queue.longest_waiting().and_then(|index| self.tasks.at(index));
        Health {
            phase: self.phase(),
            hold: match self.gate.hold(&self.tally) {
                Hold::None if self.queue.open() != EVERY_CLASS => Hold::Classes,
                hold => hold,
            },
            queued: self.tally.of(State::Queued),
            running: self.tally.running(),
            delayed: self.tally.delayed(),
            orphans: self.tally.orphans(),
            free_room: self.free_room(),
            permits: self.admission.line.held(),
            unconfirmed: self.sources.unconfirmed(),
            sources_down: self.sources.down(),
            slow: self.slow(),
            settled: self.settled_since_health,
            oldest_wait: longest_waiting
                .map_or(core::time::Duration::ZERO, |task| now.saturating_since(task.since)),
            last_error_age: self.last_error.map(|error| now.saturating_since(error.at)),
            saturation: u32::try_from(load.saturating_mul(1_000) / line.max(1)).unwrap_or(u32::MAX),
            retired: self.retired(),
            missed: 0,
        }
    }

    /// The report of the last health check, which [`Limits::health_every`] asks for, with or without subscribers.
    /// `settled` counts since the check before it, `missed` the checks in between that were skipped. `None` before the
    /// first check. It outlives the end.
    #[must_use]
    pub const fn last_health(&self) -> Option<Health> {
        self.last_health
    }

    /// How many attempts run that were reported as slow.
    fn slow(&self) -> u32 {
        self.monitor.as_deref().map_or(0, Monitor::slow)
    }

    /// How many attempts may have hung: those that were asked to stop and still run, whether their task is settled or is
    /// to be tried again, and those that were reported as slow. Each counts once. O(1).
    ///
    /// A host that sees as many as there are places, with no attempt started for long, can take the machine for stuck.
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Retry, Simple, Terms, Timeouts};
    /// # use core::time::Duration;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let timeouts = Timeouts { start_to_close: Some(Duration::from_millis(10)), ..Timeouts::NONE };
    /// let terms = Terms::new().timeouts(timeouts).retry(Retry::times(1).on_timeout(true));
    /// processor.submit(Instant::ZERO, Offer::new("job", ()), &terms)?;
    /// let start = processor.start_next(Instant::ZERO).ok_or("nothing to start")?;
    /// let now = Instant::from_millis(10);
    /// let _ = processor.advance(now, 64);
    /// assert_eq!((processor.hung(), processor.census().orphans), (1, 0), "its task is not settled");
    /// let _ = processor.stopped(now, start.attempt, Some(start.job))?;
    /// assert_eq!(processor.hung(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn hung(&self) -> u32 {
        let slow = self.monitor.as_deref().map_or(0, Monitor::slow_and_going);
        self.tally.asked_to_stop().saturating_add(slow)
    }

    fn retired(&self) -> u32 {
        self.tasks
            .retired()
            .saturating_add(self.sleeps.retired())
            .saturating_add(self.admission.line.retired())
            .saturating_add(self.schedules.retired())
            .saturating_add(self.emitters.retired())
            .saturating_add(self.sources.retired())
            .saturating_add(self.subscribers.retired())
    }

    /// What the machine holds now, from running counts. O(1).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// assert_eq!((processor.census().tasks, processor.census().queued), (1, 1));
    /// assert_eq!(processor.census(), processor.audit());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn census(&self) -> Census {
        Census {
            delayed: self.tally.of(State::Delayed),
            queued: self.tally.of(State::Queued),
            backoff: self.tally.of(State::Backoff),
            running: self.tally.running(),
            orphans: self.tally.orphans(),
            slow: self.slow(),
            pending: self.outbox.len(),
            unclaimed: self.tally.unclaimed,
            results: self.results.len(),
            handles: self.admission.handles(),
            tasks: self.tasks.len(),
            callbacks: self.ledger.callbacks.live(),
            timers: self.deadlines.len(),
            intervals: self.deadlines.intervals(),
            sleeps: self.sleeps.len(),
            emitters: self.emitters.len(),
            sources: self.sources.len(),
            deliveries: self.sources.deliveries(),
            pulling: self.sources.pulling(),
            subscribers: self.subscribers.len(),
            waiters: self.admission.line.len(),
            permits: self.admission.line.held(),
            observed: self.ledger.observed.live(),
            schedules: self.schedules.len(),
            lanes: self.lanes.as_deref().map_or(0, Lanes::len),
            unique_keys: self.dedup.as_deref().map_or(0, Dedup::len),
            cached: u32::try_from(self.cache.len()).unwrap_or(u32::MAX),
            retired: self.retired(),
        }
    }

    /// What the machine holds now, counted by walking over every slot. O(limits). Always equal to
    /// [`census`](Self::census), unless the machine has a bug.
    #[must_use]
    pub fn audit(&self) -> Census {
        let mut found = Census { retired: self.retired(), ..Census::default() };
        let mut unretained = 0;
        for (_, task) in self.tasks.iter() {
            found.tasks += 1;
            let count = match task.state {
                State::Delayed => &mut found.delayed,
                State::Queued => &mut found.queued,
                State::Running | State::Halting => &mut found.running,
                State::Backoff => &mut found.backoff,
                State::Stopping | State::Orphan => &mut found.orphans,
                State::Settled => &mut 0,
            };
            *count += 1;
            found.pending += u32::from(!task.pending.is_empty());
            found.results += u32::from(self.is_retained(task));
            found.callbacks += u32::from(matches!(task.claimant, Claimant::Callback(_)));
            found.handles += u32::from(task.is_for_handle());
            found.unclaimed += u32::from(task.is_for_handle() && task.is_kept());
            let is_held = task.pending.has(Pending::HELD);
            found.observed += u32::from(is_held && !task.pending.has(Pending::OBSERVE));
            unretained += u32::from(is_held && matches!(task.claimant, Claimant::Retention));
        }
        debug_assert_eq!(
            found.pending,
            count(self.outbox.iter()),
            "a task that owes an effect is in the outbox"
        );
        debug_assert_eq!(
            self.tally.unretained, unretained,
            "results to be observed before they are retained are counted"
        );
        debug_assert_eq!(found.results, count(self.results.iter()), "a retained result is in the list");
        for owner in self.deadlines.iter() {
            found.timers += 1;
            found.intervals += u32::from(matches!(owner, Owner::Own(timer) if timer.is_interval()));
        }
        found.sleeps = self.sleeps.audit();
        found.schedules = self.schedules.audit();
        found.emitters = self.emitters.audit();
        (found.sources, found.deliveries, found.pulling) = self.sources.audit();
        found.subscribers = self.subscribers.audit().0;
        (found.waiters, found.permits) = self.admission.line.audit();
        found.lanes =
            self.lanes.as_ref().map_or(0, |lanes| lanes.audit(self.tasks.iter().map(|(index, _)| index)));
        let placed = self.tasks.iter().filter(|(_, task)| task.state.has_place());
        let placed = placed.map(|(index, task)| (index, task.state != State::Running));
        found.slow = self.monitor.as_ref().map_or(0, |monitor| monitor.audit(placed));
        let slots = || self.tasks.iter().map(|(index, _)| index);
        found.unique_keys = self.dedup.as_ref().map_or(0, |dedup| dedup.audit(slots()));
        found.cached = u32::try_from(self.cache.audit()).unwrap_or(u32::MAX);
        found
    }

    /// Tasks settled since the last health check, by outcome.
    #[must_use]
    pub const fn settled_since_health(&self) -> ByOutcome {
        self.settled_since_health
    }
}

fn count(items: impl Iterator) -> u32 {
    items.fold(0, |count, _| count + 1)
}
