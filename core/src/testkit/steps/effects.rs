//! Steps that take effects.

use crate::testkit::calls::effects::Call;
use crate::testkit::oracle::{Fault, Oracle};

/// Takes effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Poll {
        count: u8,
    },
    /// All actions of a good host at one instant: advance, poll and start until nothing is left.
    Settle,
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, ..]: [u8; 6]) -> Self {
        match kind {
            220..=227 => Self::Poll { count: a % 8 },
            _ => Self::Settle,
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        match self {
            Self::Poll { count } => (0..count).try_for_each(|_| oracle.call(Call::Poll).map(drop)),
            Self::Settle => oracle.settle(true),
        }
    }
}
