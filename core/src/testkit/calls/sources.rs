//! Sources, and the tasks that they feed in.

use alloc::vec::Vec;

use super::submissions::{Offer, Offered, Returned, Why, offered, returned};
use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{AttachRefusal, Fed, FeedRefusal, Guard, Instant, Message, SourceId};

/// Attaches a source, detaches it, or feeds from it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Attach { now: Instant, guard: [u32; 3] },
    Detach { now: Instant, source: SourceId },
    Feed { now: Instant, source: SourceId, offer: Offer },
    FeedBatch { now: Instant, source: SourceId, offers: Vec<Option<Offer>> },
    FeedError { now: Instant, source: SourceId, text: u32 },
}

/// What became of the source, or of what it fed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Source(Result<SourceId, (AttachRefusal, [u32; 3])>),
    Detached(Option<Detached>),
    Task(Offered),
    Batch { admitted: u32, refused: Option<FeedRefusal>, left: Vec<Option<Returned>> },
    Taken(bool),
}

/// See [`Detached`](crate::Detached).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub struct Detached {
    pub source: SourceId,
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
                Answer::Source(answer.map_err(|refused| (refused.reason, listeners(refused.into_value()))))
            }
            Self::Detach { now, source } => Answer::Detached(host.machine.detach(now, source).map(detached)),
            Self::Feed { now, source, offer } => {
                let (offer, terms) = offer.made(host);
                Answer::Task(offered(host.machine.feed(now, source, offer, &terms), Why::Feed))
            }
            Self::FeedBatch { now, source, ref offers } => {
                let mut batch: Vec<_> =
                    offers.iter().map(|offer| offer.map(|offer| offer.made(host))).collect();
                let answer = host.machine.feed_batch(now, source, &mut batch);
                let left = batch.into_iter().map(|left| left.map(|(offer, _)| returned(offer))).collect();
                Answer::Batch { admitted: answer.admitted, refused: answer.refused, left }
            }
            Self::FeedError { now, source, text } => {
                Answer::Taken(host.machine.feed_error(now, source, Message::of(&text)))
            }
        }
    }
}

fn listeners(guard: Guard<Token>) -> [u32; 3] {
    [guard.task.out(), guard.batch.out(), guard.error.out()]
}

pub(super) fn detached(detached: crate::Detached<Token>) -> Detached {
    Detached { source: detached.source, guard: listeners(detached.guard), fed: detached.fed }
}
