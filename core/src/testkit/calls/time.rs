//! The clock, what time does, and sweeps.

use alloc::vec::Vec;

use super::cache::pair;
use super::effects::{Settled, settled};
use crate::Instant;
use crate::testkit::host::Host;
use crate::testkit::token::Kit;

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

fn swept(swept: crate::Swept<Kit>) -> Swept {
    match swept {
        crate::Swept::Result(settlement) => Swept::Result(settled(settlement)),
        crate::Swept::Cached(key, value) => {
            let (key, token, value) = pair((key, value));
            Swept::Cached(key, token, value)
        }
    }
}
