//! Pauses of priority classes.

use super::{Model, Task};
use crate::Priority;
use crate::testkit::calls::classes::{Answer, Call};
use crate::testkit::flaws::Flaw;

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        match *self {
            Self::PauseClass { priority, .. } => {
                model.paused_classes.insert(priority.class());
            }
            Self::ResumeClass { priority, .. } => {
                model.paused_classes.remove(&priority.class());
            }
        }
        Answer
    }
}

impl Model {
    pub(super) fn is_class_paused(&self, priority: Priority) -> bool {
        self.paused_classes.contains(&priority.class())
    }

    /// Whether this task waits in the queue, and its class is not paused.
    pub(super) fn is_startable(&self, task: &Task) -> bool {
        task.is_queued() && (!self.is_class_paused(task.priority) || self.has(Flaw::StartsPausedClasses))
    }
}
