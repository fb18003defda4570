//! The sleeps of attempts.

use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::{Host, Token};
use crate::{AttemptId, Instant, SleepId, SleepRefusal, SleepStatus};

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

/// Begins a sleep, asks for its status or ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Sleep { now: Instant, attempt: AttemptId, until: Instant, waiter: u32 },
    Resleep { now: Instant, id: SleepId, waiter: u32 },
    EndSleep { id: SleepId },
}

/// What became of the sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Sleep(Result<SleepId, (SleepRefusal, u32)>),
    Slept(Slept),
    Ended(Option<Option<u32>>),
}

/// See [`SleepStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Slept {
    Over(u32, Option<u32>),
    Sleeping(Option<u32>),
    Gone(u32),
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
    if let (super::Answer::Sleeps(Answer::Sleep(Ok(id))), true) = (answer, asks) {
        let waiter = oracle.token();
        oracle.call(Call::Resleep { now, id, waiter })?;
    }
    Ok(())
}

/// One of the last few, because sleeps do not last.
fn newest(oracle: &Oracle, choice: u8) -> Option<SleepId> {
    oracle.memory.ids.sleeps.chosen_of(2, choice)
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Sleep { now, .. } | Self::Resleep { now, .. } => Some(now),
            Self::EndSleep { .. } => None,
        }
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Sleep { now, attempt, until, waiter } => {
                let answer = host.machine.sleep(now, attempt, until, host.books.token(waiter));
                Answer::Sleep(answer.map_err(|refused| (refused.reason, refused.into_value().out())))
            }
            Self::Resleep { now, id, waiter } => {
                Answer::Slept(match host.machine.resleep(now, id, host.books.token(waiter)) {
                    SleepStatus::Over(waiter, old) => Slept::Over(waiter.out(), old.map(Token::out)),
                    SleepStatus::Sleeping(old) => Slept::Sleeping(old.map(Token::out)),
                    SleepStatus::Gone(waiter) => Slept::Gone(waiter.out()),
                })
            }
            Self::EndSleep { id } => {
                Answer::Ended(host.machine.end_sleep(id).map(|left| left.map(Token::out)))
            }
        }
    }
}

impl Answer {
    pub(super) fn learn(&self, memory: &mut Memory) {
        if let Self::Sleep(begun) = self {
            memory.ids.sleeps.learn(begun);
        }
    }
}
