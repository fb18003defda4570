//! Reports about attempts.

use core::time::Duration;

use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{AttemptId, Instant, Late, Message, OutcomeKind};

/// Reports that an attempt has begun, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Began {
        now: Instant,
        attempt: AttemptId,
        at: Instant,
    },
    Completed {
        now: Instant,
        attempt: AttemptId,
        output: u32,
    },
    Failed {
        now: Instant,
        attempt: AttemptId,
        error: u32,
        job: Option<u32>,
        delay: Option<Duration>,
        text: u32,
    },
    Panicked {
        now: Instant,
        attempt: AttemptId,
        panic: u32,
        job: Option<u32>,
        text: u32,
    },
    Stopped {
        now: Instant,
        attempt: AttemptId,
        job: Option<u32>,
    },
    Snoozed {
        now: Instant,
        attempt: AttemptId,
        job: u32,
        delay: Duration,
    },
    LatePanic,
}

/// How the machine took the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Runs(bool),
    Completed(Result<(), (Option<OutcomeKind>, u32)>),
    Failed(Result<Failure, LateFailure>),
    Panicked(Result<Failure, LateFailure>),
    Stopped(Result<Stopped, (Option<OutcomeKind>, Option<u32>)>),
    Snoozed(Result<Stopped, (Option<OutcomeKind>, u32)>),
    Nothing,
}

/// A late failure: the outcome of its task if that is known, its error or panic, and the job.
pub type LateFailure = (Option<OutcomeKind>, u32, Option<u32>);

/// See [`Failure`](crate::Failure).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Failure {
    Retrying { value: u32, delay: Duration },
    Settled { job: Option<u32> },
}

/// See [`Failure`](crate::Failure), of an attempt that has stopped or was snoozed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Stopped {
    Retrying { delay: Duration },
    Settled { job: Option<u32> },
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Began { now, .. }
            | Self::Completed { now, .. }
            | Self::Failed { now, .. }
            | Self::Panicked { now, .. }
            | Self::Stopped { now, .. }
            | Self::Snoozed { now, .. } => Some(now),
            Self::LatePanic => None,
        }
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Began { now, attempt, at } => Answer::Runs(host.machine.began(now, attempt, at)),
            Self::Completed { now, attempt, output } => {
                let answer = host.machine.completed(now, attempt, host.books.token(output));
                Answer::Completed(answer.map_err(|late| (late.settled, late.value.out())))
            }
            Self::Failed { now, attempt, error, job, delay, text } => {
                let (error, job) = (host.token(error), job.map(|job| host.token(job)));
                let answer = host.machine.failed(now, attempt, error, job, delay, &Message::of(&text));
                Answer::Failed(answer.map(failure).map_err(late_failure))
            }
            Self::Panicked { now, attempt, panic, job, text } => {
                let (panic, job) = (host.token(panic), job.map(|job| host.token(job)));
                let answer = host.machine.panicked(now, attempt, panic, job, &Message::of(&text));
                Answer::Panicked(answer.map(failure).map_err(late_failure))
            }
            Self::Stopped { now, attempt, job } => {
                let job = job.map(|job| host.token(job));
                let answer = host.machine.stopped(now, attempt, job);
                Answer::Stopped(
                    answer.map(stopped).map_err(|late| (late.settled, late.value.map(Token::out))),
                )
            }
            Self::Snoozed { now, attempt, job, delay } => {
                let answer = host.machine.snoozed(now, attempt, host.books.token(job), delay);
                Answer::Snoozed(answer.map(stopped).map_err(|late| (late.settled, late.value.out())))
            }
            Self::LatePanic => {
                host.machine.late_panic();
                Answer::Nothing
            }
        }
    }
}

fn failure(failure: crate::Failure<Token, Token>) -> Failure {
    match failure {
        crate::Failure::Retrying { value, delay } => Failure::Retrying { value: value.out(), delay },
        crate::Failure::Settled { job } => Failure::Settled { job: job.map(Token::out) },
    }
}

fn stopped(failure: crate::Failure<(), Token>) -> Stopped {
    match failure {
        crate::Failure::Retrying { value: (), delay } => Stopped::Retrying { delay },
        crate::Failure::Settled { job } => Stopped::Settled { job: job.map(Token::out) },
    }
}

fn late_failure(late: Late<(Token, Option<Token>)>) -> LateFailure {
    let (value, job) = late.value;
    (late.settled, value.out(), job.map(Token::out))
}
