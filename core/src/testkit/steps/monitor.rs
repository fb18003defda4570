//! Steps of running attempts that tell of themselves.

use crate::Progress;
use crate::testkit::calls::monitor::Call;
use crate::testkit::choices::jump;
use crate::testkit::oracle::{AMPLE, Fault, Oracle};

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
