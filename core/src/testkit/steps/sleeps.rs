//! Steps with the sleeps of attempts.

use crate::SleepId;
use crate::testkit::calls;
use crate::testkit::calls::sleeps::{Answer, Call};
use crate::testkit::oracle::{Fault, Oracle};

/// Begins a sleep, asks for its status or ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    /// An attempt sleeps, and may ask for the status of the sleep at once.
    Sleep {
        attempt: u8,
        until: u8,
        asks: bool,
    },
    Resleep {
        sleep: u8,
    },
    EndSleep {
        sleep: u8,
    },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, ..]: [u8; 6]) -> Self {
        match kind {
            32..=39 => Self::Sleep { attempt: a, until: b, asks: c < 128 },
            52..=54 | 107 | 108 => Self::Resleep { sleep: a },
            _ => Self::EndSleep { sleep: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        match self {
            Self::Sleep { attempt, until, asks } => sleep(oracle, attempt, until, asks),
            Self::Resleep { sleep } => {
                let (now, Some(id)) = (oracle.now(), newest(oracle, sleep)) else { return Ok(()) };
                let waiter = oracle.token();
                oracle.call(Call::Resleep { now, id, waiter }).map(drop)
            }
            Self::EndSleep { sleep } => {
                oracle.now();
                oracle.call_if(newest(oracle, sleep).map(|id| Call::EndSleep { id }))
            }
        }
    }
}

fn sleep(oracle: &mut Oracle, attempt: u8, until: u8, asks: bool) -> Result<(), Fault> {
    let Some(attempt) = oracle.memory.attempt(attempt) else { return Ok(()) };
    let (now, until, waiter) = (oracle.now(), oracle.instant(until), oracle.token());
    let answer = oracle.call(Call::Sleep { now, attempt, until, waiter })?;
    if let (calls::Answer::Sleeps(Answer::Sleep(Ok(id))), true) = (answer, asks) {
        let waiter = oracle.token();
        oracle.call(Call::Resleep { now, id, waiter })?;
    }
    Ok(())
}

/// One of the last few, because sleeps do not last.
fn newest(oracle: &Oracle, choice: u8) -> Option<SleepId> {
    oracle.memory.ids.sleeps.chosen_of(2, choice)
}
