//! Steps of the observer of outcomes.

use crate::testkit::calls::observer::Call;
use crate::testkit::oracle::{Fault, Oracle};

/// Begins or ends to observe, or gives an outcome back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    /// Whether outcomes are observed from now on.
    Observe { on: bool },
    /// An observed outcome is given back, or one that only looks like it.
    Observed { shown: u8, how: u8 },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        match kind {
            193 => Self::Observe { on: a < 192 },
            _ => Self::Observed { shown: a, how: b },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        match self {
            Self::Observe { on } => {
                oracle.now();
                oracle.call(Call::Observe { on }).map(drop)
            }
            Self::Observed { shown, how } => oracle.give_back(shown, how),
        }
    }
}
