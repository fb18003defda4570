//! Steps that pause a priority class, or end its pause.

use crate::Priority;
use crate::testkit::calls::classes::Call;
use crate::testkit::oracle::{Fault, Oracle};

/// Pauses a class, or ends its pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    PauseClass { priority: u8 },
    ResumeClass { priority: u8 },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [priority, ..]: [u8; 6]) -> Self {
        match kind {
            0..=127 => Self::PauseClass { priority },
            _ => Self::ResumeClass { priority },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let now = oracle.now();
        let call = match self {
            Self::PauseClass { priority } => Call::PauseClass { now, priority: Priority::new(priority & 7) },
            Self::ResumeClass { priority } => {
                Call::ResumeClass { now, priority: Priority::new(priority & 7) }
            }
        };
        oracle.call(call).map(drop)
    }
}
