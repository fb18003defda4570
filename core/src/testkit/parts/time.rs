//! The clock, what time does, and sweeps.

use alloc::vec::Vec;

use super::cache::pair;
use super::effects::{Settled, settled};
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::script::jump;
use crate::testkit::{AMPLE, Host, Kit};
use crate::Instant;

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

/// Lets time act, or sweeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Advance { now: Instant, budget: u32 },
    Sweep { now: Instant, budget: u32 },
}

/// How much was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Advanced { used: u32, more: bool },
    Swept { items: Vec<Swept>, due: bool },
}

/// See [`Swept`](crate::Swept).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Swept {
    Result(Settled),
    Cached(u8, u32, u32),
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

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::Advance { now, .. } | Self::Sweep { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Advance { now, budget } => {
                let advanced = host.machine.advance(now, budget);
                Answer::Advanced { used: advanced.used, more: advanced.more }
            }
            Self::Sweep { now, budget } => {
                let mut sweep = host.machine.sweep(now, budget);
                let items = sweep.by_ref().map(swept).collect();
                Answer::Swept { items, due: sweep.is_more() }
            }
        }
    }
}

impl Answer {
    pub(super) const fn learn(&self, _: &mut Memory) {}
}

fn swept(swept: crate::Swept<Kit>) -> Swept {
    match swept {
        crate::Swept::Result(settlement) => Swept::Result(settled(settlement)),
        crate::Swept::Cached(key, value) => {
            let (key, token, value) = pair((key, value));
            Swept::Cached(key, token, value)
        }
    }
}
