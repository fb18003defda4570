//! Steps that start attempts, or change what holds them up.

use crate::Drain;
use crate::testkit::calls::gate::Call;
use crate::testkit::choices::jump;
use crate::testkit::oracle::{Fault, Oracle};

/// Holds starts up, lets them happen, or starts attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Pause,
    Resume,
    SetConcurrency { to: u8 },
    DrainGracefully { within: u8 },
    CancelAll,
    Abort,
    Start { count: u8 },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        match kind {
            113 | 114 => Self::Pause,
            115..=117 => Self::Resume,
            118..=120 => Self::SetConcurrency { to: a % 6 },
            121 if a < 32 => Self::DrainGracefully { within: b },
            122 if a < 16 => Self::Abort,
            122 if a < 48 => Self::CancelAll,
            _ => Self::Start { count: a % 4 },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        if let Self::Start { count } = self {
            return (0..count).try_for_each(|_| oracle.start().map(drop));
        }
        let now = oracle.now();
        let call = match self {
            Self::Pause => Call::Pause { now },
            Self::Resume => Call::Resume { now },
            Self::SetConcurrency { to } => Call::SetConcurrency { now, to: u32::from(to) },
            Self::DrainGracefully { within } => Call::Drain { now, mode: Drain::Graceful(jump(within)) },
            Self::CancelAll => Call::Drain { now, mode: Drain::Cancel },
            Self::Abort => Call::Drain { now, mode: Drain::Abort },
            Self::Start { .. } => Call::StartNext { now },
        };
        oracle.call(call).map(drop)
    }
}
