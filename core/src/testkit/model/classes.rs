//! Pauses of priority classes.

use super::{Model, Task};
use crate::testkit::Flaw;
use crate::testkit::calls::classes::{Answer, Call};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        let (is_changed, budget) = match *self {
            Self::PauseClass { priority, budget, .. } => {
                (model.paused_classes.insert(priority.class()), budget)
            }
            Self::ResumeClass { priority, budget, .. } => {
                (model.paused_classes.remove(&priority.class()), budget)
            }
        };
        Answer::of(model.pause_in_lanes(is_changed, budget))
    }
}

impl Model {
    /// Whether this task waits in the queue, and its class is not paused.
    pub(super) fn is_startable(&self, task: &Task) -> bool {
        let paused = self.paused_in(task.lane_key()).unwrap_or(&self.paused_classes);
        task.is_queued() && (!paused.contains(&task.priority.class()) || self.has(Flaw::StartsPausedClasses))
    }
}
