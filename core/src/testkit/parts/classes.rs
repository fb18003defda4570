//! Pauses of priority classes.

use crate::testkit::Host;
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::{Instant, Priority};

/// Pauses a class, or ends its pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    PauseClass { priority: u8 },
    ResumeClass { priority: u8 },
}

/// Pauses a class, or ends its pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    PauseClass { now: Instant, priority: Priority },
    ResumeClass { now: Instant, priority: Priority },
}

/// These calls answer nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer;

impl Step {
    pub(super) const fn from_bytes(kind: u8, [priority, ..]: [u8; 6]) -> Self {
        match kind {
            0..=127 => Self::PauseClass { priority },
            _ => Self::ResumeClass { priority },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let now = oracle.now();
        let call = match self {
            Self::PauseClass { priority } => Call::PauseClass { now, priority: Priority::new(priority & 7) },
            Self::ResumeClass { priority } => Call::ResumeClass { now, priority: Priority::new(priority & 7) },
        };
        oracle.call(call).map(drop)
    }
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::PauseClass { now, .. } | Self::ResumeClass { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::PauseClass { now, priority } => host.machine.pause_class(now, priority),
            Self::ResumeClass { now, priority } => host.machine.resume_class(now, priority),
        }
        Answer
    }
}

impl Answer {
    pub(super) const fn learn(&self, _: &mut Memory) {}
}
