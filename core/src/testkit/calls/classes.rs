//! Pauses of priority classes.

use crate::testkit::host::Host;
use crate::{Instant, Priority};

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
