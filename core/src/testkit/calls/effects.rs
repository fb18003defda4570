//! Effects.

use core::time::Duration;

use super::cache::pair;
use super::emitters::{Detached, detached};
use crate::testkit::host::Host;
use crate::testkit::token::{Kit, Token};
use crate::{CancelReason, Due, Effect, Instant, Outcome, OutcomeKind, ScheduleId, Settlement, TaskId};

/// Takes an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "there is one")]
pub enum Call {
    Poll,
}

/// The effect, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "there is one")]
pub enum Answer {
    Effect(Option<Done>),
}

/// See [`Effect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Done {
    Stop(crate::Stop),
    Observe(Settled),
    Settle(Settled),
    Wake(u32),
    Discard(Settled),
    Detach(Detached),
    Due(Due),
    Unschedule(ScheduleId),
    Uncache(u8, u32, u32),
    Sweep,
    Drained,
}

/// See [`Settlement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub struct Settled {
    pub task: TaskId,
    pub meta: u32,
    pub attempts: u32,
    pub waited: Duration,
    pub ran: Duration,
    pub kind: OutcomeKind,
    pub reason: Option<CancelReason>,
    pub value: Option<u32>,
    pub job: Option<u32>,
    pub callback: Option<u32>,
    pub waiter: Option<u32>,
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        None
    }

    /// Takes the next effect, by `poll_settlement` if that has it.
    pub(super) fn make(&self, host: &mut Host) -> Answer {
        let effect = match host.machine.next_callback() {
            Some(_) => host.machine.poll_settlement().map(Effect::Settle),
            None => host.machine.poll_effect(),
        };
        Answer::Effect(effect.map(done))
    }
}

fn done(effect: Effect<Kit>) -> Done {
    match effect {
        Effect::Stop(stop) => Done::Stop(stop),
        Effect::Observe(settlement) => Done::Observe(settled(settlement)),
        Effect::Settle(settlement) => Done::Settle(settled(settlement)),
        Effect::Wake(waiter) => Done::Wake(waiter.out()),
        Effect::Discard(settlement) => Done::Discard(settled(settlement)),
        Effect::Detach(emitter) => Done::Detach(detached(emitter)),
        Effect::Due(due) => Done::Due(due),
        Effect::Unschedule(schedule) => Done::Unschedule(schedule),
        Effect::Uncache(key, value) => {
            let (key, token, value) = pair((key, value));
            Done::Uncache(key, token, value)
        }
        Effect::Sweep => Done::Sweep,
        Effect::Drained => Done::Drained,
    }
}

pub(super) fn settled(settlement: Settlement<Kit>) -> Settled {
    let kind = settlement.outcome.kind();
    let reason = match settlement.outcome {
        Outcome::Cancelled(reason) => reason,
        _ => None,
    };
    Settled {
        task: settlement.task,
        meta: settlement.meta,
        attempts: settlement.attempts,
        waited: settlement.times.waited(),
        ran: settlement.times.ran(),
        kind,
        reason,
        value: value_of(settlement.outcome),
        job: settlement.job.map(Token::out),
        callback: settlement.callback.map(Token::out),
        waiter: settlement.waiter.map(Token::out),
    }
}

pub(super) fn value_of(outcome: Outcome<Token, Token, Token>) -> Option<u32> {
    match outcome {
        Outcome::Completed(value) | Outcome::Failed(value) | Outcome::Panicked(value) => Some(value.out()),
        _ => None,
    }
}
