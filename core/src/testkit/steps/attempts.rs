//! Steps that report about attempts.

use crate::testkit::calls::attempts::Call;
use crate::testkit::choices::jump;
use crate::testkit::oracle::{Fault, Oracle};

/// Reports that an attempt has begun, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    /// The clock moves on, and the handler of an attempt is called.
    Began {
        attempt: u8,
        jump: u8,
        at: u8,
    },
    Complete {
        attempt: u8,
    },
    Fail {
        attempt: u8,
        with_job: bool,
    },
    Panic {
        attempt: u8,
        with_job: bool,
    },
    Stopped {
        attempt: u8,
        with_job: bool,
    },
    /// An attempt is snoozed.
    Snooze {
        attempt: u8,
        delay: u8,
    },
    LatePanic,
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, ..]: [u8; 6]) -> Self {
        match kind {
            143..=148 => Self::Began { attempt: a, jump: b % 200, at: c },
            149..=151 => Self::Snooze { attempt: a, delay: b },
            152..=166 => Self::Complete { attempt: a },
            167..=176 => Self::Fail { attempt: a, with_job: b < 192 },
            177..=181 => Self::Panic { attempt: a, with_job: b < 192 },
            182..=186 => Self::Stopped { attempt: a, with_job: b < 192 },
            _ => Self::LatePanic,
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = match self {
            Self::Began { attempt, jump: choice, at } => {
                oracle.wait(jump(choice));
                let Some(attempt) = oracle.memory.attempt(attempt) else { return Ok(()) };
                Some(Call::Began { now: oracle.now(), attempt, at: oracle.instant(at) })
            }
            _ => self.call(oracle),
        };
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        Some(match self {
            Self::Complete { attempt } => {
                let (attempt, _) = oracle.report(attempt)?;
                Call::Completed { now, attempt, output: oracle.token() }
            }
            Self::Fail { attempt, with_job } => {
                let (attempt, job) = oracle.report(attempt)?;
                let (error, job) = (oracle.token(), with_job.then_some(job));
                let delay = (error % 4 == 3).then(|| jump((error / 4 % 256) as u8));
                Call::Failed { now, attempt, error, job, delay, text: error }
            }
            Self::Panic { attempt, with_job } => {
                let (attempt, job) = oracle.report(attempt)?;
                let panic = oracle.token();
                Call::Panicked { now, attempt, panic, job: with_job.then_some(job), text: panic }
            }
            Self::Stopped { attempt, with_job } => {
                let (attempt, job) = oracle.report(attempt)?;
                Call::Stopped { now, attempt, job: with_job.then_some(job) }
            }
            Self::Snooze { attempt, delay } => {
                let (attempt, job) = oracle.report(attempt)?;
                Call::Snoozed { now, attempt, job, delay: jump(delay) }
            }
            Self::LatePanic => Call::LatePanic,
            Self::Began { .. } => return None,
        })
    }
}
