//! Steps that move the clock, let time act, or sweep.

use crate::testkit::calls::time::Call;
use crate::testkit::choices::jump;
use crate::testkit::oracle::{AMPLE, Fault, Oracle};

/// Moves the clock, lets time act, or sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    /// The clock moves on, and the machine is not told.
    Wait {
        jump: u8,
    },
    /// The next call passes in a time that lies this far back.
    Regress {
        jump: u8,
    },
    /// The clock moves on, and `advance` is called with a budget.
    Advance {
        jump: u8,
        budget: u8,
    },
    /// The clock moves on to `next_wake`, then `advance` is called.
    Reach,
    Sweep {
        budget: u8,
    },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        match kind {
            188..=192 => Self::Wait { jump: a },
            194..=196 => Self::Regress { jump: a },
            197..=212 => Self::Advance { jump: a, budget: b },
            213..=219 => Self::Reach,
            _ => Self::Sweep { budget: a % 4 },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        match self {
            Self::Wait { jump: choice } => oracle.wait(jump(choice)),
            Self::Regress { jump: choice } => oracle.regress(jump(choice)),
            Self::Advance { jump: choice, budget } => {
                oracle.wait(jump(choice));
                oracle.advance(units(budget))?;
            }
            Self::Reach => oracle.reach()?,
            Self::Sweep { budget } => {
                let now = oracle.now();
                oracle.call(Call::Sweep { now, budget: u32::from(budget) })?;
            }
        }
        Ok(())
    }
}

/// A budget of `advance`, mostly more than enough.
const fn units(choice: u8) -> u32 {
    match choice {
        0..=127 => AMPLE,
        128..=143 => 0,
        _ => choice as u32 % 8 + 1,
    }
}
