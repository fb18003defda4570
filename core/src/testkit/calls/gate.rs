//! What lets attempts start or holds them up: pauses, the concurrency limit, the end; and starts.

use crate::testkit::host::Host;
use crate::testkit::token::Kit;
use crate::{AttemptId, Drain, Instant, TaskId};

/// Holds starts up, lets them happen, or starts an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Pause { now: Instant },
    Resume { now: Instant },
    SetConcurrency { now: Instant, to: u32 },
    Drain { now: Instant, mode: Drain },
    StartNext { now: Instant },
}

/// The concurrency limit, or the attempt that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Nothing,
    Concurrency(u32),
    Started(Option<Started>),
}

/// See [`Start`](crate::Start).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub struct Started {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub number: u32,
    pub job: u32,
    pub meta: u32,
    pub deadline: Option<Instant>,
    pub further: u32,
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::Pause { now }
        | Self::Resume { now }
        | Self::SetConcurrency { now, .. }
        | Self::Drain { now, .. }
        | Self::StartNext { now }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Pause { now } => host.machine.pause(now),
            Self::Resume { now } => host.machine.resume(now),
            Self::SetConcurrency { now, to } => {
                return Answer::Concurrency(host.machine.set_concurrency(now, to));
            }
            Self::Drain { now, mode } => host.machine.drain(now, mode),
            Self::StartNext { now } => return Answer::Started(host.machine.start_next(now).map(started)),
        }
        Answer::Nothing
    }
}

fn started(start: crate::Start<Kit>) -> Started {
    Started {
        task: start.task,
        attempt: start.attempt,
        number: start.number,
        job: start.job.out(),
        meta: start.meta,
        deadline: start.deadline,
        further: start.further,
    }
}
