//! The getters that the oracle compares after every step.

use alloc::vec::Vec;

use super::comparison::Comparison;
use super::{Model, Owner, STAND_IN, Stage, Task, size};
use crate::testkit::order::Way;
use crate::{
    Census, Event, Health, Hold, Instant, LastError, OutcomeKind, Phase, Plan, Priority, Processor, TaskView,
};

impl Model {
    pub(in crate::testkit) fn census(&self) -> Census {
        let timers = |owner: fn(Owner) -> bool| size(self.timers.iter().filter(|timer| owner(timer.owner)));
        Census {
            delayed: self.count(|task| matches!(task.stage, Stage::Delayed { .. })),
            queued: self.count(Task::is_queued),
            backoff: self.count(|task| matches!(task.stage, Stage::Backoff { .. })),
            running: self.count(Task::is_running),
            orphans: self.orphans(),
            slow: self.slow(),
            pending: size(self.outbox.iter()),
            unclaimed: self.count(|task| task.way == Way::Handle && task.is_kept()),
            results: size(self.kept.iter()),
            handles: self.handles(),
            tasks: size(self.tasks.iter()),
            callbacks: self.count(|task| task.callback.is_some()),
            timers: timers(|_| true),
            intervals: timers(|owner| matches!(owner, Owner::Health | Owner::Sweep)),
            sleeps: u32::try_from(self.sleeps.len()).unwrap_or(u32::MAX),
            emitters: size(self.emitters.iter()),
            sources: self.inlet.len(),
            deliveries: self.inlet.deliveries(),
            pulling: self.inlet.pulling(),
            subscribers: u32::try_from(self.ring.len()).unwrap_or(u32::MAX),
            waiters: size(self.line.iter()),
            permits: self.permits(),
            schedules: size(0..self.calendar.len()),
            lanes: self.keyed_lanes(),
            unique_keys: self.live_keys(),
            observed: self.count(|task| task.out),
            cached: u32::try_from(self.cache.len()).unwrap_or(u32::MAX),
            retired: self.retired,
        }
    }

    pub(super) fn health(&self, now: Instant) -> Health {
        let now = now.max(self.now);
        let queued_since = self.tasks.iter().filter_map(|task| match task.stage {
            Stage::Queued { since, place } => Some((place, since)),
            _ => None,
        });
        let oldest = queued_since.min().map(|(_, since)| now.saturating_since(since));
        let placed = self.count(|task| task.placed);
        let load = u64::from(self.waiting_now() + placed) * 1_000;
        let line = u64::from(self.limits.queue + self.limits.concurrency);
        Health {
            phase: self.phase,
            hold: if self.ending {
                Hold::Ending
            } else if self.paused {
                Hold::Paused
            } else if self.gate.is_shut {
                if self.gate.is_held() { Hold::Held } else { Hold::Rate }
            } else if self.concurrency == 0 {
                Hold::Concurrency
            } else if self.orphans() >= self.limits.orphans || self.orphans() >= self.concurrency {
                Hold::Orphans
            } else if !self.paused_classes.is_empty() {
                Hold::Classes
            } else {
                Hold::None
            },
            queued: self.count(Task::is_queued),
            running: self.count(Task::is_running),
            delayed: self.delayed(),
            orphans: self.orphans(),
            free_room: self.free_room(),
            permits: self.permits(),
            unconfirmed: self.inlet.unconfirmed(),
            sources_down: self.inlet.down(),
            slow: self.slow(),
            settled: self.since_health,
            oldest_wait: oldest.unwrap_or_default(),
            last_error_age: self.last_error.map(|error| now.saturating_since(error.at)),
            saturation: u32::try_from(load.checked_div(line).unwrap_or(0)).unwrap_or(u32::MAX),
            retired: self.retired,
            missed: 0,
        }
    }

    pub(super) fn check_health(&mut self, missed: u64) {
        self.last_health = Some(Health { missed, ..self.health(self.now) });
        self.publish(|_| Event::Health);
        self.since_health = crate::ByOutcome::default();
    }

    /// Whether there are slots for all unsettled tasks, orphans and places of permits: those that a source has delivered have
    /// slots of their own.
    fn is_within_bounds(&self) -> bool {
        let most = self.limits.queue + self.limits.concurrency + self.limits.delayed;
        let takes_slot = |task: &Task| task.stage != Stage::Over || task.placed;
        let submitted = self.count(|task| takes_slot(task) && task.delivery.is_none());
        submitted + self.permits() <= most && self.inlet.with_task() <= self.limits.credit()
    }

    fn free_room(&self) -> u32 {
        if self.phase != Phase::Open || self.has_waiter() {
            return 0;
        }
        self.queue_room().min(self.slot_room())
    }

    /// Compares everything that can be seen.
    pub(in crate::testkit) fn compare<P>(&self, machine: &Processor<P>, found: &mut Comparison)
    where
        P: Plan<Meta = u32>,
    {
        let census = machine.census();
        let totals = machine.totals();
        found.of("census", &self.census(), &census);
        found.of("audit", &census, &machine.audit());
        found.of("totals", &self.totals, &totals);
        found.of("last error", &self.expected_error(machine.last_error()), &machine.last_error());
        self.compare_views(machine, found);
        found.of("health", &self.health(self.now), &machine.health(self.now));
        found.of("last health", &self.last_health, &machine.last_health());
        found.of("phase", &self.phase, &machine.phase());
        let remains = (self.phase == Phase::Drained).then_some(self.remains);
        found.of("remains", &remains, &machine.remains());
        found.of("startable", &self.startable(), &machine.startable());
        found.of("free room", &self.free_room(), &machine.free_room());
        found.of("concurrency", &self.concurrency, &machine.concurrency());
        found.of("observes", &self.observes, &machine.observes());
        found.of("paused", &self.paused, &machine.is_paused());
        let classes = (0..=7).map(Priority::new);
        let paused = classes.filter(|class| machine.is_class_paused(*class)).map(Priority::class).collect();
        found.of("paused classes", &self.paused_classes, &paused);
        found.of("now", &self.now, &machine.now());
        found.of("next timer", &self.timers.next(), &machine.next_timer());
        found.of("wake-up", &self.next_wake(), &machine.next_wake());
        found.of("bound of the unsettled", &true, &self.is_within_bounds());
        found.of("offered", &totals.offered, &(totals.refused + totals.admitted));
        found.of("admitted", &totals.admitted, &(totals.settled.total() + census.unsettled()));
        self.compare_ledgers(&machine.ledger(), &totals, found);
    }

    /// Compares the stage of every task: in slot order, and by its id if an answer has named it.
    fn compare_views<P>(&self, machine: &Processor<P>, found: &mut Comparison)
    where
        P: Plan<Meta = u32>,
    {
        let mut tasks: Vec<&Task> = self.tasks.iter().collect();
        tasks.sort_by_key(|task| task.slot);
        let mut given = machine.inspect(0..u32::MAX);
        for task in tasks {
            let (expected, given) = (task.view(), given.next());
            let strip =
                |view: TaskView<u32>| TaskView { task: task.id.map_or(STAND_IN, |_| view.task), ..view };
            found.of("inspection", &Some(expected), &given.map(strip));
            if let Some(id) = task.id {
                found.of("view by id", &Some(expected), &machine.view(id));
            }
        }
        found.of("inspection", &None, &given.next());
    }

    /// An error may name a task whose id no answer has named before.
    fn expected_error(&self, given: Option<LastError<u32>>) -> Option<LastError<u32>> {
        let mut expected = self.last_error;
        if let (Some(expected), Some(given)) = (&mut expected, given) {
            if expected.task == Some(STAND_IN) {
                expected.task = given.task;
            }
        }
        expected
    }
}

impl Task {
    fn view(&self) -> TaskView<u32> {
        let until = |until: Option<Instant>| until.unwrap_or(Instant::MAX);
        let (since, outcome) = (self.settled_at, self.kind.unwrap_or(OutcomeKind::Cancelled));
        let stage = match self.stage {
            Stage::Delayed { until: at } => crate::Stage::Delayed { until: until(at) },
            Stage::Backoff { until: at } => crate::Stage::BackingOff { until: until(at) },
            Stage::Queued { since, .. } => crate::Stage::Queued { since },
            Stage::Running { since, .. } => crate::Stage::Running { since },
            Stage::Halting { missed, .. } => crate::Stage::Stopping { since: missed },
            Stage::Over if self.placed => crate::Stage::Orphaned { since, outcome },
            Stage::Over => crate::Stage::Settled { since, outcome },
        };
        self.with_told(TaskView {
            task: self.id.unwrap_or(STAND_IN),
            meta: self.meta,
            priority: self.priority,
            lane: self.lane_key().filter(|_| self.is_in_lane()),
            attempts: self.attempts,
            progress: None,
            stage,
        })
    }
}
