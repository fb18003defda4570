//! Pauses of priority classes.

use crate::testkit::host::Host;
use crate::{Instant, Priority};

/// Pauses a class, or ends its pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    PauseClass { now: Instant, priority: Priority, budget: u32 },
    ResumeClass { now: Instant, priority: Priority, budget: u32 },
}

/// Whether the call has reached all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Answer {
    Done,
    GoesOn,
}

impl Answer {
    pub(in crate::testkit) const fn of(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::GoesOn }
    }
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::PauseClass { now, .. } | Self::ResumeClass { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        Answer::of(match *self {
            Self::PauseClass { now, priority, budget } => host.machine.pause_class(now, priority, budget),
            Self::ResumeClass { now, priority, budget } => host.machine.resume_class(now, priority, budget),
        })
    }
}
