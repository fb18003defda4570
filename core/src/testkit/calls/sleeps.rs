//! The sleeps of attempts.

use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{AttemptId, Instant, SleepId, SleepRefusal, SleepStatus};

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
