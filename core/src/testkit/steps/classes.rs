//! Steps that pause a priority class, or end its pause.

use crate::Priority;
use crate::testkit::calls::classes::Call;
use crate::testkit::oracle::{Fault, Oracle};

/// Pauses a class, or ends its pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    PauseClass { priority: u8, budget: u8 },
    ResumeClass { priority: u8, budget: u8 },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [priority, budget, ..]: [u8; 6]) -> Self {
        match kind {
            0..=127 => Self::PauseClass { priority, budget },
            _ => Self::ResumeClass { priority, budget },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let now = oracle.now();
        let (Self::PauseClass { priority, budget } | Self::ResumeClass { priority, budget }) = self;
        let (priority, budget) = (Priority::new(priority & 7), u32::from(budget % 8));
        let call = match self {
            Self::PauseClass { .. } => Call::PauseClass { now, priority, budget },
            Self::ResumeClass { .. } => Call::ResumeClass { now, priority, budget },
        };
        oracle.call(call).map(drop)
    }
}
