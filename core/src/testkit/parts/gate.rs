//! What lets attempts start or holds them up: pauses, the concurrency limit, the end; and starts.

use crate::testkit::Host;
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::script::jump;
use crate::{AttemptId, Drain, Instant, TaskId};

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

impl Answer {
    pub(super) fn learn(&self, memory: &mut Memory) {
        if let Self::Started(Some(Started { task, attempt, job, .. })) = *self {
            memory.ids.tasks.add_once(task);
            memory.ids.attempts.add(attempt);
            memory.running.push((attempt, job));
        }
    }
}

fn started(start: crate::Start<crate::testkit::Kit>) -> Started {
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
