//! Sources, and the tasks that they feed in.

use alloc::vec::Vec;

use super::submissions::{Offer, Offered, Returned, Why, offered, returned};
use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::{Host, Order, Token};
use crate::{AttachRefusal, Fed, FeedRefusal, Guard, Instant, Message, SourceId};

/// Attaches a source, detaches it, or feeds from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Attach,
    Detach {
        source: u8,
    },
    Feed {
        source: u8,
        order: Order,
    },
    FeedBatch {
        source: u8,
        order: Order,
        count: u8,
        /// Whether each task has terms of its own.
        is_mixed: bool,
    },
    FeedError {
        source: u8,
    },
}

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

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        let order = Order::new(a, b, c, d, e);
        match kind {
            87..=89 => Self::Attach,
            90 => Self::Detach { source: a },
            91..=94 => Self::Feed { source: f, order },
            95..=97 => Self::FeedBatch { source: f & 7, order, count: batch(f >> 3), is_mixed: kind == 97 },
            _ => Self::FeedError { source: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        let source = match self {
            Self::Attach => {
                let guard = [oracle.token(), oracle.token(), oracle.token()];
                return Some(Call::Attach { now, guard });
            }
            Self::Detach { source }
            | Self::Feed { source, .. }
            | Self::FeedBatch { source, .. }
            | Self::FeedError { source } => oracle.memory.ids.sources.chosen(source)?,
        };
        Some(match self {
            Self::Attach | Self::Detach { .. } => Call::Detach { now, source },
            Self::Feed { order, .. } => Call::Feed { now, source, offer: oracle.offer(order) },
            Self::FeedBatch { order, count, is_mixed, .. } => {
                let order_at = |place| if is_mixed { order.at(place) } else { order };
                let count =
                    if oracle.has_long_batches { count.saturating_add(1).saturating_mul(20) } else { count };
                let offer = |place| (place != 1).then(|| oracle.offer(order_at(place).in_batch()));
                let offers = (0..=count).map(offer).collect();
                Call::FeedBatch { now, source, offers }
            }
            Self::FeedError { .. } => Call::FeedError { now, source, text: oracle.token() },
        })
    }
}

/// How many tasks a batch has beside the first: mostly few, now and then more than a host submits under one lock.
const fn batch(choice: u8) -> u8 {
    match choice {
        0..=23 => choice % 4,
        24..=29 => choice % 8 + 4,
        _ => 40 + choice,
    }
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

impl Answer {
    pub(super) fn learn(&self, memory: &mut Memory) {
        match self {
            Self::Source(attached) => memory.ids.sources.learn(attached),
            Self::Task(offered) => memory.ids.tasks.learn(offered),
            _ => {}
        }
    }
}

fn listeners(guard: Guard<Token>) -> [u32; 3] {
    [guard.task.out(), guard.batch.out(), guard.error.out()]
}

pub(super) fn detached(detached: crate::Detached<Token>) -> Detached {
    Detached { source: detached.source, guard: listeners(detached.guard), fed: detached.fed }
}
