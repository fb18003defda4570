//! Lanes, rates and holds.

use crate::testkit::host::Host;
use crate::{HoldRefusal, Instant, Rate};

/// Holds a lane or all starts up for a time, or sets the rate of starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    HoldLane { now: Instant, key: u64, until: Instant },
    Hold { now: Instant, until: Instant },
    SetRate { now: Instant, rate: Option<Rate> },
}

/// Whether the lane is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer")]
pub enum Answer {
    Nothing,
    Held(Result<(), HoldRefusal>),
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::HoldLane { now, .. } | Self::Hold { now, .. } | Self::SetRate { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::HoldLane { now, key, until } => {
                return Answer::Held(host.machine.hold_lane(now, key, until));
            }
            Self::Hold { now, until } => host.machine.hold(now, until),
            Self::SetRate { now, rate } => host.machine.set_rate(now, rate),
        }
        Answer::Nothing
    }
}
