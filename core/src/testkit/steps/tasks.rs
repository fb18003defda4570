//! Steps with admitted tasks by their ids.

use crate::CancelReason;
use crate::testkit::calls::tasks::Call;
use crate::testkit::oracle::{Fault, Oracle};

/// Cancels a task, or takes its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Cancel { task: u8, with_reason: bool },
    Claim { task: u8 },
    TryClaim { task: u8 },
    Release { task: u8 },
    TakeResult { task: u8 },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [task, b, ..]: [u8; 6]) -> Self {
        match kind {
            61..=68 => Self::Cancel { task, with_reason: b >= 128 },
            69..=74 => Self::Claim { task },
            75 | 76 => Self::TryClaim { task },
            77..=82 => Self::Release { task },
            _ => Self::TakeResult { task },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        let (Self::Cancel { task, .. }
        | Self::Claim { task }
        | Self::TryClaim { task }
        | Self::Release { task }
        | Self::TakeResult { task }) = self;
        let task = oracle.memory.ids.tasks.chosen(task)?;
        Some(match self {
            Self::Cancel { with_reason, .. } => {
                let reason = with_reason.then_some(CancelReason::new(&"a step of the script"));
                Call::Cancel { now, task, reason }
            }
            Self::Claim { .. } => Call::Claim { now, task, waiter: oracle.token() },
            Self::TryClaim { .. } => Call::TryClaim { task },
            Self::Release { .. } => Call::Release { now, task },
            Self::TakeResult { .. } => Call::TakeResult { now, task },
        })
    }
}
