//! Steps with permits, and of the line of waiters for one.

use core::num::NonZeroU32;

use crate::testkit::calls::permits::Call;
use crate::testkit::oracle::{Fault, Oracle};
use crate::testkit::order::Order;

/// Reserves room, waits for it, uses it or gives it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    SubmitReserved { permit: u8, order: Order },
    Reserve { count: u8 },
    WaitForRoom { count: u8 },
    Rewait { permit: u8 },
    GiveBack { permit: u8, count: u8 },
    Leave { permit: u8 },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        match kind {
            40..=45 => Self::SubmitReserved { permit: f, order: Order::new(a, b, c, d, e) },
            46..=51 if b >= 160 => Self::Reserve { count: a % 3 + 1 },
            46..=51 => Self::WaitForRoom { count: a % 3 + 1 },
            55..=57 => Self::Rewait { permit: a },
            _ if b >= 160 => Self::GiveBack { permit: a, count: c % 4 },
            _ => Self::Leave { permit: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        Some(match self {
            Self::SubmitReserved { permit, order } => {
                let permit = oracle.memory.ids.permits.chosen(permit)?;
                Call::SubmitReserved { now, permit, offer: oracle.offer(order) }
            }
            Self::Reserve { count } => Call::Reserve { now, count: places(count) },
            Self::WaitForRoom { count } => {
                Call::WaitForRoom { now, waiter: oracle.token(), count: places(count) }
            }
            Self::Rewait { permit } => {
                let id = oracle.memory.ids.permits.chosen(permit)?;
                Call::Rewait { id, waiter: oracle.token() }
            }
            Self::GiveBack { permit, count } => {
                let id = oracle.memory.ids.permits.chosen(permit)?;
                Call::GiveBack { now, id, count: u32::from(count) }
            }
            Self::Leave { permit } => Call::Leave { now, id: oracle.memory.ids.permits.chosen(permit)? },
        })
    }
}

/// How many places a number asks for, at least one.
fn places(count: u8) -> NonZeroU32 {
    NonZeroU32::new(u32::from(count)).unwrap_or(NonZeroU32::MIN)
}
