//! Which tasks there are, and where each stands.

use core::ops::Range;

use super::Processor;
use crate::lifecycle::State;
use crate::task::Task;
use crate::{Instant, OutcomeKind, Plan, Priority, TaskId};

/// A task as it stands now. See [`Processor::inspect`] and [`Processor::view`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskView<M> {
    /// Which task.
    pub task: TaskId,
    /// The metadata it was submitted with.
    pub meta: M,
    /// Its class of the queue.
    pub priority: Priority,
    /// How many attempts were started, without those that were snoozed.
    pub attempts: u32,
    /// Where it stands.
    pub stage: Stage,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// It is kept back by its start delay.
    Delayed {
        /// Until then; the end of time means for ever.
        until: Instant,
    },
    /// It is kept back after an attempt that failed, timed out or was snoozed.
    BackingOff {
        /// Until then.
        until: Instant,
    },
    /// It waits in the queue.
    Queued {
        /// Since then.
        since: Instant,
    },
    /// An attempt at it runs.
    Running {
        /// Since then, as far as its start-to-close time-out is concerned.
        since: Instant,
    },
    /// Its attempt has missed its start-to-close deadline and was asked to stop. A further one follows when it has.
    Stopping {
        /// Since that deadline.
        since: Instant,
    },
    /// It is settled, and its attempt runs on.
    Orphaned {
        /// Since then.
        since: Instant,
        /// How it ended.
        outcome: OutcomeKind,
    },
    /// It is settled, and its outcome has not left yet, but perhaps to be observed.
    Settled {
        /// Since then.
        since: Instant,
        /// How it ended.
        outcome: OutcomeKind,
    },
}

impl<P: Plan> Processor<P> {
    /// The tasks in these slots, in the order of the slots, of which there are
    /// [`task_slots`](crate::Limits::task_slots). A task keeps its slot as long as it is there, so whoever goes from slot to slot
    /// misses none that was there all the time, and sees none twice. O(slots).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Stage, Terms};
    /// let (limits, now) = (Limits::default(), Instant::ZERO);
    /// let mut machine = Processor::<Simple<&str, usize, &str>>::new(limits, now)?;
    /// let task = machine.submit(now, Offer::new("a job", ()), &Terms::new())?;
    /// let views: Vec<_> = machine.inspect(0..limits.task_slots()).collect();
    /// assert_eq!((views.len(), views[0].task, views[0].stage), (1, task, Stage::Queued { since: now }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inspect(&self, slots: Range<u32>) -> impl Iterator<Item = TaskView<P::Meta>> {
        let slots = slots.start..slots.end.min(self.tasks.capacity());
        slots.filter_map(|slot| Some(view(self.tasks.id_at(slot)?, self.tasks.at(slot)?)))
    }

    /// One task as it stands now; `None` when it is gone. So whoever has the id of a task whose result is kept sees how it
    /// ended, and takes nothing. One that has reached its time to live is here until it is swept. O(1).
    ///
    /// ```
    /// # use plimsoll_core::{Instant, Limits, Offer, Processor, Simple, Stage, Terms};
    /// let mut machine = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), Instant::ZERO)?;
    /// let task = machine.submit(Instant::ZERO, Offer::new("a job", ()), &Terms::new())?;
    /// let view = machine.view(task).ok_or("it is there")?;
    /// assert_eq!((view.task, view.stage), (task, Stage::Queued { since: Instant::ZERO }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn view(&self, task: TaskId) -> Option<TaskView<P::Meta>> {
        self.tasks.get(task).map(|found| view(task, found))
    }
}

fn view<P: Plan>(id: TaskId, task: &Task<P>) -> TaskView<P::Meta> {
    let Task { meta, priority, attempts, .. } = *task;
    TaskView { task: id, meta, priority, attempts, stage: stage(task) }
}

fn stage<P: Plan>(task: &Task<P>) -> Stage {
    let since = task.since;
    // A settled task has its kind.
    let outcome = task.kind.unwrap_or(OutcomeKind::Cancelled);
    match task.state {
        State::Delayed => Stage::Delayed { until: since },
        State::Backoff => Stage::BackingOff { until: since },
        State::Queued => Stage::Queued { since },
        State::Running => Stage::Running { since },
        State::Halting => Stage::Stopping { since: task.overdue_at() },
        State::Stopping | State::Orphan => Stage::Orphaned { since, outcome },
        State::Settled => Stage::Settled { since, outcome },
    }
}
