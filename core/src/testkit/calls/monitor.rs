//! What running attempts tell of themselves: heartbeats and progress.

use crate::testkit::host::Host;
use crate::{AttemptId, Instant, Progress};

/// An attempt tells that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Heartbeat { now: Instant, attempt: AttemptId },
    Progress { now: Instant, attempt: AttemptId, progress: Progress },
}

/// Whether it runs, and whether what it tells is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer")]
pub enum Answer {
    Runs(bool),
    Kept(bool),
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::Heartbeat { now, .. } | Self::Progress { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Heartbeat { now, attempt } => Answer::Runs(host.machine.heartbeat(now, attempt)),
            Self::Progress { now, attempt, progress } => {
                Answer::Kept(host.machine.progress(now, attempt, progress))
            }
        }
    }
}
