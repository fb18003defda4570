//! Emitters, and the tasks that they feed in.

use alloc::vec::Vec;

use super::submissions::{Offer, Offered, Returned, Why, offered, returned};
use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{AttachRefusal, EmitterId, Fed, FeedRefusal, Guard, Instant, Message};

/// Attaches an emitter, detaches it, or feeds from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Attach { now: Instant, guard: [u32; 3] },
    Detach { now: Instant, emitter: EmitterId },
    Feed { now: Instant, emitter: EmitterId, offer: Offer },
    FeedBatch { now: Instant, emitter: EmitterId, offers: Vec<Option<Offer>> },
    FeedError { now: Instant, emitter: EmitterId, text: u32 },
}

/// What became of the emitter, or of what it fed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Emitter(Result<EmitterId, (AttachRefusal, [u32; 3])>),
    Detached(Option<Detached>),
    Task(Offered),
    Batch { admitted: u32, refused: Option<FeedRefusal>, left: Vec<Option<Returned>> },
    Taken(bool),
}

/// See [`Detached`](crate::Detached).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub struct Detached {
    pub emitter: EmitterId,
    pub guard: [u32; 3],
    pub fed: Fed,
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        let (Self::Attach { now, .. }
        | Self::Detach { now, .. }
        | Self::Feed { now, .. }
        | Self::FeedBatch { now, .. }
        | Self::FeedError { now, .. }) = *self;
        Some(now)
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Attach { now, guard: [task, batch, error] } => {
                let guard =
                    Guard { task: host.token(task), batch: host.token(batch), error: host.token(error) };
                let answer = host.machine.attach(now, guard);
                Answer::Emitter(answer.map_err(|refused| (refused.reason, listeners(refused.into_value()))))
            }
            Self::Detach { now, emitter } => {
                Answer::Detached(host.machine.detach(now, emitter).map(detached))
            }
            Self::Feed { now, emitter, offer } => {
                let (offer, terms) = offer.made(host);
                Answer::Task(offered(host.machine.feed(now, emitter, offer, &terms), Why::Feed))
            }
            Self::FeedBatch { now, emitter, ref offers } => {
                let mut batch: Vec<_> =
                    offers.iter().map(|offer| offer.map(|offer| offer.made(host))).collect();
                let answer = host.machine.feed_batch(now, emitter, &mut batch);
                let left = batch.into_iter().map(|left| left.map(|(offer, _)| returned(offer))).collect();
                Answer::Batch { admitted: answer.admitted, refused: answer.refused, left }
            }
            Self::FeedError { now, emitter, text } => {
                Answer::Taken(host.machine.feed_error(now, emitter, Message::of(&text)))
            }
        }
    }
}

fn listeners(guard: Guard<Token>) -> [u32; 3] {
    [guard.task.out(), guard.batch.out(), guard.error.out()]
}

pub(super) fn detached(detached: crate::Detached<Token>) -> Detached {
    Detached { emitter: detached.emitter, guard: listeners(detached.guard), fed: detached.fed }
}
