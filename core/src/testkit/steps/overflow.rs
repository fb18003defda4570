//! Steps that take tasks out of the queue before their turn, or change their priority.

use crate::testkit::calls::overflow::Call;
use crate::testkit::choices::key;
use crate::testkit::oracle::{Fault, Oracle};
use crate::{Priority, Scope};

/// Clears a part of the queue, or changes a task's priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Clear { which: u8, budget: u8 },
    SetPriority { task: u8, priority: u8 },
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
