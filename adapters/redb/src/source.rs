//! The queue as a source of a processor.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::lane_key;
use plimsoll::source::{Abilities, Decoder, Delivery, Pulled, Settling, Source};

use crate::error::QueueError;
use crate::job::Receipt;
use crate::link::Link;
use crate::mailbox::{Call, Pull};
use crate::store;

/// How long a pull waits at most, whatever it is told.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many jobs one pull takes at most.
const MOST: u32 = 1_024;

/// A worker's connection to a [`Queue`](crate::Queue). What it has pulled and not settled can be pulled again when it is dropped.
pub struct QueueSource<J> {
    link: Arc<Link>,
    number: u64,
    decoder: Decoder<J>,
}

impl<J> QueueSource<J> {
    pub(crate) fn new<E, D>(link: Arc<Link>, decode: D) -> Self
    where
        E: fmt::Display,
        D: Fn(Vec<u8>) -> Result<J, E> + Send + Sync + 'static,
    {
        let number = link.next_source();
        Self { link, number, decoder: Decoder::new(decode) }
    }

    fn delivery(&self, pulled: store::Pulled) -> Delivery<J, Receipt> {
        let store::Pulled { receipt, payload, deliveries, key } = pulled;
        let delivery = self.decoder.delivery(payload, receipt, deliveries);
        let delivery = delivery.id(lane_key(&(self.link.born, receipt.number)));
        key.into_iter().fold(delivery, Delivery::key)
    }
}

impl<J: Send + 'static> Source for QueueSource<J> {
    type Job = J;
    type Receipt = Receipt;
    type Error = QueueError;

    /// No lease: what was pulled belongs to the source as long as that exists.
    fn abilities(&self) -> Abilities {
        Abilities::new().delays(true).uncounted(true).most(MOST)
    }

    async fn pull(
        &self,
        room: NonZeroU32,
        wait: Duration,
        into: &mut Vec<Delivery<J, Receipt>>,
    ) -> Result<Pulled, QueueError> {
        let (source, room) = (self.number, room.get());
        let until = Instant::now() + wait.min(LONGEST);
        let call = self.link.call(|reply| Call::Pull(Pull { source, room, until, reply }));
        let pulled = call.await?;
        let answer = if pulled.is_empty() { Pulled::Nothing } else { Pulled::Some };
        into.extend(pulled.into_iter().map(|pulled| self.delivery(pulled)));
        Ok(answer)
    }

    async fn settle(&self, verdicts: &mut Vec<Settling<Receipt>>) -> Result<u32, QueueError> {
        let source = self.number;
        let all = verdicts.iter().map(|settling| (settling.receipt, settling.verdict)).collect();
        let stale = self.link.call(|reply| Call::Settle { source, verdicts: all, reply }).await?;
        verdicts.clear();
        Ok(stale)
    }

    async fn extend(&self, _: &[Receipt]) -> Result<(), QueueError> {
        Ok(())
    }

    async fn close(&self) {}
}

impl<J> Drop for QueueSource<J> {
    fn drop(&mut self) {
        self.link.release(self.number);
    }
}

impl<J> fmt::Debug for QueueSource<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSource").field("number", &self.number).finish_non_exhaustive()
    }
}
