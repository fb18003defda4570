//! Tasks that leave the queue before their turn: a clear, a change of priority. What overflows is shed by submissions.

use crate::testkit::host::Host;
use crate::{Instant, Priority, PriorityRefusal, Scope, TaskId};

/// Clears a part of the queue, or changes a task's priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Clear { now: Instant, scope: Scope, budget: u32 },
    SetPriority { now: Instant, task: TaskId, priority: Priority },
}

/// How many tasks were cleared, or whether the priority is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer")]
pub enum Answer {
    Cleared(u32),
    Priority(Result<(), PriorityRefusal>),
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::Clear { now, .. } | Self::SetPriority { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Clear { now, scope, budget } => Answer::Cleared(host.machine.clear(now, scope, budget)),
            Self::SetPriority { now, task, priority } => {
                Answer::Priority(host.machine.set_priority(now, task, priority))
            }
        }
    }
}
