//! What running attempts tell of themselves: heartbeats and progress.

use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::script::jump;
use crate::testkit::{AMPLE, Host};
use crate::{AttemptId, Instant, Progress};

/// An attempt tells that it is alive, several times: each time after the clock has moved on, and perhaps before time may
/// act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    attempt: u8,
    jump: u8,
    times: u8,
    /// What there is to do in all, if it also tells how much it has done. A total of zero is unknown.
    total: Option<u8>,
    advances: bool,
}

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

impl Step {
    pub(super) const fn from_bytes(kind: u8, [attempt, b, c, d, ..]: [u8; 6]) -> Self {
        Self {
            attempt,
            // No jump that outlasts every time-out.
            jump: b % 200,
            times: c % 4 + 1,
            total: if kind < 48 { None } else { Some(c) },
            advances: d < 160,
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let Some(attempt) = oracle.memory.attempt(self.attempt) else { return Ok(()) };
        for done in 1..=self.times {
            oracle.wait(jump(self.jump));
            let now = oracle.now();
            oracle.call(match self.total {
                None => Call::Heartbeat { now, attempt },
                Some(0) => Call::Progress { now, attempt, progress: Progress::new(done.into()) },
                Some(total) => {
                    Call::Progress { now, attempt, progress: Progress::of(done.into(), total.into()) }
                }
            })?;
            if self.advances {
                oracle.advance(AMPLE)?;
            }
        }
        Ok(())
    }
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

impl Answer {
    pub(super) const fn learn(&self, _: &mut Memory) {}
}
