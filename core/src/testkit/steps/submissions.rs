//! Steps that submit one task.

use crate::testkit::calls::submissions::Call;
use crate::testkit::oracle::{Fault, Oracle};
use crate::testkit::order::Order;

/// Submits a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Submit(Order),
    TrySubmit(Order),
}

impl Step {
    pub(super) const fn from_bytes(_: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        let order = Order::new(a, b, c, d, e);
        if f >= 192 { Self::TrySubmit(order) } else { Self::Submit(order) }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let now = oracle.now();
        let call = match self {
            Self::Submit(order) => Call::Submit { now, offer: oracle.offer(order) },
            Self::TrySubmit(order) => Call::TrySubmit { now, offer: oracle.offer(order) },
        };
        oracle.call(call).map(drop)
    }
}
