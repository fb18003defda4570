//! The observer of outcomes.

use super::effects::{Settled, value_of};
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::{Host, Token};
use crate::{Instant, Outcome, OutcomeKind, TaskId};

/// Begins or ends to observe, or gives an outcome back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    /// Whether outcomes are observed from now on.
    Observe {
        on: bool,
    },
    /// An observed outcome is given back, or one that only looks like it.
    Observed {
        shown: u8,
        how: u8,
    },
}

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

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        match kind {
            193 => Self::Observe { on: a < 192 },
            _ => Self::Observed { shown: a, how: b },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        match self {
            Self::Observe { on } => {
                oracle.now();
                oracle.call(Call::Observe { on }).map(drop)
            }
            Self::Observed { shown, how } => oracle.give_back(shown, how),
        }
    }
}

impl Oracle {
    /// Gives back an observed outcome: mostly unchanged, else twice, as another outcome, or with the job of another.
    pub(in crate::testkit) fn give_back(&mut self, choice: u8, how: u8) -> Result<(), Fault> {
        let shown = &mut self.memory.shown;
        let Some(at) = usize::from(choice).checked_rem(shown.len()) else { return Ok(()) };
        let Settled { task, kind, value, job, .. } = shown.remove(at);
        let now = self.now();
        if (200..220).contains(&how) {
            let other = OutcomeKind::ALL.into_iter().cycle().skip_while(|other| *other != kind).nth(1);
            let kind = other.unwrap_or(kind);
            let value = kind.has_value().then(|| self.token());
            self.call(Call::Observed { now, task, kind, value, job: None })?;
        }
        if (220..240).contains(&how) && value.is_some() {
            let job = Some(self.token());
            self.call(Call::Observed { now, task, kind, value, job })?;
        }
        self.call(Call::Observed { now, task, kind, value, job })?;
        if how >= 240 {
            let (value, job) = (value.map(|_| self.token()), job.map(|_| self.token()));
            self.call(Call::Observed { now, task, kind, value, job })?;
        }
        Ok(())
    }
}

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

impl Answer {
    pub(super) const fn learn(&self, _: &mut Memory) {}
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
