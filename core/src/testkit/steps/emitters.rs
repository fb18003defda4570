//! Steps with emitters, and with the tasks that they feed in.

use crate::testkit::calls::emitters::Call;
use crate::testkit::oracle::{Fault, Oracle};
use crate::testkit::order::Order;

/// Attaches an emitter, detaches it, or feeds from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Attach,
    Detach {
        emitter: u8,
    },
    Feed {
        emitter: u8,
        order: Order,
    },
    FeedBatch {
        emitter: u8,
        order: Order,
        count: u8,
        /// Whether each task has terms of its own.
        is_mixed: bool,
    },
    FeedError {
        emitter: u8,
    },
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, c, d, e, f]: [u8; 6]) -> Self {
        let order = Order::new(a, b, c, d, e);
        match kind {
            87..=89 => Self::Attach,
            90 => Self::Detach { emitter: a },
            91..=94 => Self::Feed { emitter: f, order },
            95..=97 => Self::FeedBatch { emitter: f & 7, order, count: batch(f >> 3), is_mixed: kind == 97 },
            _ => Self::FeedError { emitter: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let now = oracle.now();
        let emitter = match self {
            Self::Attach => {
                let guard = [oracle.token(), oracle.token(), oracle.token()];
                return Some(Call::Attach { now, guard });
            }
            Self::Detach { emitter }
            | Self::Feed { emitter, .. }
            | Self::FeedBatch { emitter, .. }
            | Self::FeedError { emitter } => oracle.memory.ids.emitters.chosen(emitter)?,
        };
        Some(match self {
            Self::Attach | Self::Detach { .. } => Call::Detach { now, emitter },
            Self::Feed { order, .. } => Call::Feed { now, emitter, offer: oracle.offer(order) },
            Self::FeedBatch { order, count, is_mixed, .. } => {
                let order_at = |place| if is_mixed { order.at(place) } else { order };
                let count =
                    if oracle.has_long_batches { count.saturating_add(1).saturating_mul(20) } else { count };
                let offer = |place| (place != 1).then(|| oracle.offer(order_at(place).in_batch()));
                let offers = (0..=count).map(offer).collect();
                Call::FeedBatch { now, emitter, offers }
            }
            Self::FeedError { .. } => Call::FeedError { now, emitter, text: oracle.token() },
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
