//! The observer of outcomes.

use super::effects::value_of;
use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{Instant, Outcome, OutcomeKind, TaskId};

/// Begins or ends to observe, or gives an outcome back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Observe { on: bool },
    Observed { now: Instant, task: TaskId, kind: OutcomeKind, value: Option<u32>, job: Option<u32> },
}

/// Whether the outcome was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Nothing,
    Observed(Result<(), Unwanted>),
}

/// An outcome that is handed back by `observed`: its kind, its value, and the job.
pub type Unwanted = (OutcomeKind, Option<u32>, Option<u32>);

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Observe { .. } => None,
            Self::Observed { now, .. } => Some(now),
        }
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Observe { on } => {
                host.machine.observe(on);
                Answer::Nothing
            }
            Self::Observed { now, task, kind, value, job } => {
                let outcome = outcome(kind, host.token(value.unwrap_or_default()));
                let job = job.map(|job| host.token(job));
                let answer = host.machine.observed(now, task, outcome, job);
                Answer::Observed(
                    answer.map_err(|(outcome, job)| (outcome.kind(), value_of(outcome), job.map(Token::out))),
                )
            }
        }
    }
}

/// An outcome of this kind, with this value if the kind has one.
fn outcome(kind: OutcomeKind, value: Token) -> Outcome<Token, Token, Token> {
    let without_value = match kind {
        OutcomeKind::Completed => return Outcome::Completed(value),
        OutcomeKind::Failed => return Outcome::Failed(value),
        OutcomeKind::Panicked => return Outcome::Panicked(value),
        OutcomeKind::TimedOut => Outcome::TimedOut,
        OutcomeKind::Cancelled => Outcome::Cancelled(None),
        OutcomeKind::Expired => Outcome::Expired,
        OutcomeKind::Shed => Outcome::Shed,
    };
    value.out();
    without_value
}
