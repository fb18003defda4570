//! Admitted tasks by their ids: cancelled, claimed, released, or their results taken.

use super::effects::{Settled, settled};
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::{Host, Token};
use crate::{CancelError, CancelReason, Cancelled, Claim, Instant, TaskId};

/// Cancels a task, or takes its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Cancel { task: u8, with_reason: bool },
    Claim { task: u8 },
    TryClaim { task: u8 },
    Release { task: u8 },
    TakeResult { task: u8 },
}

/// Cancels a task, or takes its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Cancel { now: Instant, task: TaskId, reason: Option<CancelReason> },
    Claim { now: Instant, task: TaskId, waiter: u32 },
    TryClaim { task: TaskId },
    Release { now: Instant, task: TaskId },
    TakeResult { now: Instant, task: TaskId },
}

/// What became of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Cancelled(Result<Cancelled, CancelError>),
    Claimed(Claimed),
    Released { waiter: Option<u32>, settlement: Option<Settled> },
    Result(Option<Settled>),
}

/// See [`Claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Claimed {
    Ready(Settled, u32),
    Pending(Option<u32>),
    Gone(u32),
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [task, b, ..]: [u8; 6]) -> Self {
        match kind {
            61..=68 => Self::Cancel { task, with_reason: b >= 128 },
            69..=74 => Self::Claim { task },
            75 | 76 => Self::TryClaim { task },
            77..=82 => Self::Release { task },
            _ => Self::TakeResult { task },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        let (Self::Cancel { task, .. }
        | Self::Claim { task }
        | Self::TryClaim { task }
        | Self::Release { task }
        | Self::TakeResult { task }) = self;
        let task = oracle.memory.ids.tasks.chosen(task)?;
        Some(match self {
            Self::Cancel { with_reason, .. } => {
                let reason = with_reason.then_some(CancelReason::new(&"a step of the script"));
                Call::Cancel { now, task, reason }
            }
            Self::Claim { .. } => Call::Claim { now, task, waiter: oracle.token() },
            Self::TryClaim { .. } => Call::TryClaim { task },
            Self::Release { .. } => Call::Release { now, task },
            Self::TakeResult { .. } => Call::TakeResult { now, task },
        })
    }
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Cancel { now, .. }
            | Self::Claim { now, .. }
            | Self::Release { now, .. }
            | Self::TakeResult { now, .. } => Some(now),
            Self::TryClaim { .. } => None,
        }
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Cancel { now, task, reason } => Answer::Cancelled(match reason {
                Some(reason) => host.machine.cancel_because(now, task, reason),
                None => host.machine.cancel(now, task),
            }),
            Self::Claim { now, task, waiter } => {
                Answer::Claimed(match host.machine.claim(now, task, host.books.token(waiter)) {
                    Claim::Ready(settlement, waiter) => Claimed::Ready(settled(settlement), waiter.out()),
                    Claim::Pending(waiter) => Claimed::Pending(waiter.map(Token::out)),
                    Claim::Gone(waiter) => Claimed::Gone(waiter.out()),
                })
            }
            Self::TryClaim { task } => Answer::Result(host.machine.try_claim(task).map(settled)),
            Self::Release { now, task } => {
                let released = host.machine.release(now, task);
                Answer::Released {
                    waiter: released.waiter.map(Token::out),
                    settlement: released.settlement.map(settled),
                }
            }
            Self::TakeResult { now, task } => {
                Answer::Result(host.machine.take_result(now, task).map(settled))
            }
        }
    }
}

impl Answer {
    pub(super) const fn learn(&self, _: &mut Memory) {}
}
