//! What leaves with a task.

use std::fmt;

use plimsoll_core::{Instant, OutcomeKind, Plan, TaskId, Times};

use crate::carried::Carried;
use crate::panics::PanicMessage;
use crate::task_error::{TaskResult, result_of};
use crate::trace::Origin;
use crate::work::AnyWork;

/// A settled task with everything that leaves with it: what a callback gets. See [`TaskBuilder::call`](crate::TaskBuilder::call).
#[non_exhaustive]
pub struct Settlement<W: AnyWork> {
    /// Which task.
    pub task: TaskId,
    /// The metadata it was submitted with.
    pub meta: W::Meta,
    /// How many attempts were started.
    pub attempts: u32,
    /// How it ended.
    pub result: TaskResult<W>,
    /// The job, where it is still there: that of a task that ended while it waited (delayed, queued or backing off). Never
    /// beside an output or a handler's error.
    pub job: Option<W::Job>,
    /// When it came, ran and ended, to within a millisecond: [`Times::waited`] and [`Times::ran`] say for how long.
    pub times: Times,
}

impl<W: AnyWork> Settlement<W> {
    /// What the machine hands out, but for the callback; and where the task came from, if its job is still there. Nothing
    /// is dropped.
    #[inline]
    pub(crate) fn split<P>(settlement: plimsoll_core::Settlement<P>) -> (Self, Option<Origin>)
    where
        P: Plan<
                Job = Carried<W::Job>,
                Output = W::Output,
                Error = W::Error,
                Panic = PanicMessage,
                Meta = W::Meta,
            >,
    {
        let plimsoll_core::Settlement { task, meta, attempts, outcome, job, times, .. } = settlement;
        let (job, origin) = job.map(|Carried { job, origin }| (job, origin)).unzip();
        (Self { task, meta, attempts, result: result_of(outcome), job, times }, origin)
    }

    /// A settlement of the first attempt at a task, without its job, all at instant zero, for a test of a callback.
    pub const fn new(task: TaskId, meta: W::Meta, result: TaskResult<W>) -> Self {
        let times = Times::new(Instant::ZERO, Instant::ZERO, Instant::ZERO);
        Self { task, meta, attempts: 1, result, job: None, times }
    }

    /// The result without its value, for a log or a metric's label.
    pub const fn kind(&self) -> OutcomeKind {
        let Err(error) = &self.result else { return OutcomeKind::Completed };
        match error.kind() {
            Some(kind) => kind,
            // A settled task did not end with its processor.
            None => OutcomeKind::Cancelled,
        }
    }
}

impl<W: AnyWork> fmt::Debug for Settlement<W> {
    /// Never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settlement")
            .field("task", &self.task)
            .field("attempts", &self.attempts)
            .field("kind", &self.kind())
            .field("job", &self.job.is_some())
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
