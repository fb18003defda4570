//! Admitted tasks by their ids: cancelled, claimed, released, or their results taken.

use super::effects::{Settled, settled};
use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{CancelError, CancelReason, Cancelled, Claim, Instant, TaskId};

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
