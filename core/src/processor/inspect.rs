//! Views of single tasks: which there are, and in which stage each is.

use core::ops::Range;

use super::Processor;
use crate::lifecycle::State;
use crate::task::Task;
use crate::time::NEVER;
use crate::{Instant, OutcomeKind, Plan, Priority, Progress, TaskId};

/// A view of a task now, from [`Processor::inspect`] or [`Processor::view`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TaskView<M> {
    /// Which task.
    pub task: TaskId,
    /// The metadata it was submitted with.
    pub meta: M,
    /// Its class in the queue.
    pub priority: Priority,
    /// The key of its lane. `None`: it has no key, or it is settled and its attempt is over.
    pub lane: Option<u64>,
    /// How many attempts were started, without the snoozed ones.
    pub attempts: u32,
    /// How far its latest attempt has got, if that has told: it is shown until the next attempt starts. See
    /// [`Processor::progress`].
    pub progress: Option<Progress>,
    /// Where it stands.
    pub stage: Stage,
}

/// The stage of a task's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Stage {
    /// It waits for its start delay to pass.
    Delayed {
        /// When the delay ends. [`Instant::MAX`] means never.
        until: Instant,
    },
    /// It backs off after an attempt that failed, panicked, timed out or was snoozed.
    BackingOff {
        /// When the backoff ends.
        until: Instant,
    },
    /// It waits in the queue.
    Queued {
        /// Since when.
        since: Instant,
    },
    /// An attempt at it runs.
    Running {
        /// Since when, as counted for its start-to-close time-out.
        since: Instant,
    },
    /// Its attempt missed its start-to-close deadline, or was silent for longer than its heartbeat time-out, and was
    /// asked to stop. A further attempt follows when it has stopped.
    Stopping {
        /// When that deadline was.
        since: Instant,
    },
    /// It is settled, and its attempt still runs.
    Orphaned {
        /// Since when.
        since: Instant,
        /// How it ended.
        outcome: OutcomeKind,
    },
    /// It is settled, and its outcome is still in the machine, or with the host to be observed.
    Settled {
        /// Since when.
        since: Instant,
        /// How it ended.
        outcome: OutcomeKind,
    },
}

impl<P: Plan> Processor<P> {
    /// The tasks in these slots, in slot order; there are [`task_slots`](crate::Limits::task_slots) in all. A task
    /// keeps its slot for life. So a caller that walks over all slots in several calls misses no task that was there
    /// all the time, and sees no task twice. O(slots).
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
        slots.filter_map(|slot| Some(self.view_of(self.tasks.id_at(slot)?, self.tasks.at(slot)?)))
    }

    /// One task; `None` if it is gone. This shows how a task ended without taking its outcome, as long as that is kept.
    /// A retained result past its time to live is shown until it is swept. O(1).
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
        self.tasks.get(task).map(|found| self.view_of(task, found))
    }

    fn view_of(&self, id: TaskId, task: &Task<P>) -> TaskView<P::Meta> {
        let Task { meta, priority, attempts, .. } = *task;
        let index = self.tasks.index_of(id);
        let lane = self.lanes.as_ref().and_then(|lanes| lanes.key_of(index));
        let progress = self.monitor.as_ref().and_then(|monitor| monitor.progress(index));
        TaskView { task: id, meta, priority, lane, attempts, progress, stage: self.stage(index, task) }
    }

    fn stage(&self, index: u32, task: &Task<P>) -> Stage {
        let since = task.since;
        // A settled task has its kind.
        let outcome = task.kind.unwrap_or(OutcomeKind::Cancelled);
        match task.state {
            State::Delayed => Stage::Delayed { until: since },
            State::Backoff => Stage::BackingOff { until: since },
            State::Queued => Stage::Queued { since },
            State::Running => Stage::Running { since },
            State::Halting => {
                let silent_at = self.monitor.as_ref().map(|monitor| monitor.silent_at(index, since));
                Stage::Stopping { since: task.overdue_at().min(silent_at.unwrap_or(NEVER)) }
            }
            State::Stopping | State::Orphan => Stage::Orphaned { since, outcome },
            State::Settled => Stage::Settled { since, outcome },
        }
    }
}
