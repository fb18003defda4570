//! Steps with lanes, rates and holds.

use crate::testkit::calls::lanes::Call;
use crate::testkit::calls::submissions;
use crate::testkit::choices::{key, rate};
use crate::testkit::oracle::{Fault, Oracle};
use crate::testkit::order::Order;

/// Holds a lane or all starts up for a time, or sets the rate of starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    HoldLane {
        lane: u8,
        until: u8,
    },
    Hold {
        until: u8,
    },
    SetRate {
        rate: u8,
    },
    /// Tasks of several lanes, with all else as in this order, and then some starts.
    Crowd {
        order: Order,
        count: u8,
        starts: u8,
    },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        match kind {
            0..=175 => Self::Crowd { order: Order::new(a, b, c, d, e), count: f & 7, starts: f >> 6 },
            176..=227 => Self::HoldLane { lane: a, until: b },
            228..=239 => Self::Hold { until: b },
            _ => Self::SetRate { rate: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let now = oracle.now();
        let call = match self {
            Self::HoldLane { lane, until } => {
                Call::HoldLane { now, key: key(lane), until: oracle.instant(until) }
            }
            Self::Hold { until } => Call::Hold { now, until: oracle.instant(until) },
            Self::Crowd { order, count, starts } => return crowd(oracle, order, count, starts),
            Self::SetRate { rate: choice } => Call::SetRate { now, rate: rate(choice) },
        };
        oracle.call(call).map(drop)
    }
}

fn crowd(oracle: &mut Oracle, order: Order, count: u8, starts: u8) -> Result<(), Fault> {
    let Order([a, b, c, lane, how, ..]) = order;
    for place in 0..count {
        let now = oracle.now();
        let offer = oracle.offer(Order::new(a, b, c, lane.wrapping_add(place), how));
        oracle.call(submissions::Call::Submit { now, offer })?;
    }
    (0..starts).try_for_each(|_| oracle.start().map(drop))
}
