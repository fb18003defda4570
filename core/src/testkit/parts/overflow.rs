//! Tasks that leave the queue before their turn: a clear, a change of priority. What overflows is shed by submissions.

use crate::testkit::Host;
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::order::key;
use crate::{Instant, Priority, PriorityRefusal, Scope, TaskId};

/// Clears a part of the queue, or changes a task's priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Clear { which: u8, budget: u8 },
    SetPriority { task: u8, priority: u8 },
}

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

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        match kind {
            0..=63 => Self::Clear { which: a, budget: b },
            _ => Self::SetPriority { task: a, priority: b },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let now = oracle.now();
        let call = match self {
            Self::Clear { which, budget } => {
                let scope = match which % 4 {
                    0 => Scope::All,
                    1 => Scope::Class(Priority::new(which >> 2 & 7)),
                    _ => Scope::Lane(key(which >> 2)),
                };
                Some(Call::Clear { now, scope, budget: u32::from(budget % 5) })
            }
            Self::SetPriority { task, priority } => {
                let task = oracle.memory.ids.tasks.chosen(task);
                task.map(|task| Call::SetPriority { now, task, priority: Priority::new(priority & 7) })
            }
        };
        oracle.call_if(call)
    }
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

impl Answer {
    pub(super) const fn learn(&self, _: &mut Memory) {}
}
