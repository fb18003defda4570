//! The queue as a source of a processor.

use std::fmt;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_nats::Request;
use async_nats::jetstream::{AckKind, Message as Jet};
use futures_util::StreamExt;
use futures_util::future::{Either, join_all, select};
use plimsoll::lane_key;
use plimsoll::source::{Abilities, Decoder, Delivery, Pulled, Settling, Source, Verdict};
use tokio::time::timeout;

use crate::error::QueueError;
use crate::job::Receipt;
use crate::link::Link;
use crate::wire;

/// How long a pull waits at most, whatever it is told.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How many jobs one pull takes at most: what the server allows by default.
const MOST: u32 = 512;

/// A worker's part of a [`Queue`](crate::Queue).
pub struct QueueSource<J> {
    link: Arc<Link>,
    decoder: Decoder<J>,
    since: Instant,
}

impl<J> QueueSource<J> {
    pub(crate) fn new<E, D>(link: Arc<Link>, decode: D) -> Self
    where
        E: fmt::Display,
        D: Fn(Vec<u8>) -> Result<J, E> + Send + Sync + 'static,
    {
        Self { link, decoder: Decoder::new(decode), since: Instant::now() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn leased_until(&self) -> u64 {
        self.now().saturating_add(u64::try_from(self.link.lease.as_millis()).unwrap_or(u64::MAX))
    }

    fn is_leased(&self, receipt: &Receipt) -> bool {
        receipt.leased_until.load(Ordering::Relaxed) > self.now()
    }

    /// Up to so many jobs. Without a wait those that are there now.
    async fn fetch(
        &self,
        room: u32,
        wait: Option<Duration>,
        into: &mut Vec<Delivery<J, Receipt>>,
    ) -> Result<(), QueueError> {
        let failed = |error: &dyn fmt::Display| QueueError::new("pull", error);
        let link = &self.link;
        let most = room as usize;
        let fetching = async {
            let messages = match wait {
                // Ends with what is there.
                None => link.consumer.fetch().max_messages(most).messages().await,
                // Ends with the last of so many, or with the time.
                Some(wait) => link.consumer.batch().max_messages(most).expires(wait).messages().await,
            };
            let mut messages = messages.map_err(|error| failed(&error))?;
            while let Some(message) = messages.next().await {
                self.take_in(message.map_err(|error| failed(&error))?, into)?;
            }
            Ok(())
        };
        let limit = wait.unwrap_or_default() + link.timeout;
        let fetching = timeout(limit, fetching);
        // Only a pull that does not wait is answered at once.
        let fetched = match wait {
            None => match select(pin!(fetching), pin!(link.nudge())).await {
                Either::Left((fetched, _)) => fetched,
                Either::Right((never, _)) => match never {},
            },
            Some(_) => fetching.await,
        };
        fetched.map_err(|_| failed(&"the server does not answer"))?
    }

    fn take_in(&self, message: Jet, into: &mut Vec<Delivery<J, Receipt>>) -> Result<(), QueueError> {
        let info = message.info().map_err(|error| QueueError::new("pull", error))?;
        let (number, deliveries) = (info.stream_sequence, u32::try_from(info.delivered).unwrap_or(u32::MAX));
        let headers = message.headers.as_ref();
        let key = headers.and_then(|headers| headers.get(wire::KEY)).and_then(|key| wire::key(key.as_str()));
        let Some(reply) = message.reply.clone() else {
            return Err(QueueError::new("pull", "a message without an address for its acknowledgement"));
        };
        let leased_until = Arc::new(AtomicU64::new(self.leased_until()));
        let payload = message.payload.clone();
        let bytes = payload.to_vec();
        let receipt = Receipt { reply, payload, number, deliveries, key, leased_until };
        let delivery = self.decoder.delivery(bytes, receipt, deliveries);
        let delivery = delivery.id(lane_key(&(&self.link.identity, number)));
        into.push(key.into_iter().fold(delivery, Delivery::key));
        Ok(())
    }

    /// Tells the server a verdict, and waits until it has confirmed that. Returns whether it was stale.
    async fn tell(&self, receipt: &Receipt, verdict: &Verdict) -> Result<bool, QueueError> {
        if !self.is_leased(receipt) {
            return Ok(true);
        }
        let link = &self.link;
        let is_last = link.most_deliveries.is_some_and(|most| receipt.deliveries >= most);
        let kind = match verdict {
            // The server would keep it and deliver it no more.
            Verdict::Again { .. } if is_last => {
                link.bury(receipt, "delivered as often as the consumer allows", "").await?;
                AckKind::Term
            }
            Verdict::Again { after, .. } => AckKind::Nak(Some(*after).filter(|after| !after.is_zero())),
            Verdict::Dead { why, message } => {
                link.bury(receipt, &why.to_string(), message.as_str()).await?;
                AckKind::Term
            }
            _ => AckKind::Ack,
        };
        self.ask(receipt, kind).await.map(|()| false)
    }

    /// Sends an acknowledgement, and waits until the server has confirmed that.
    async fn ask(&self, receipt: &Receipt, kind: AckKind) -> Result<(), QueueError> {
        let link = &self.link;
        link.check_connection()?;
        let request = Request::new().payload(kind.into()).timeout(Some(link.timeout));
        let answer = link.client.send_request(receipt.reply.clone(), request).await;
        answer.map(drop).map_err(|error| QueueError::new("acknowledgement", error))
    }
}

impl<J: Send + 'static> Source for QueueSource<J> {
    type Job = J;
    type Receipt = Receipt;
    type Error = QueueError;

    fn abilities(&self) -> Abilities {
        Abilities::new().lease(self.link.lease).delays(true).most(MOST)
    }

    async fn pull(
        &self,
        room: NonZeroU32,
        wait: Duration,
        into: &mut Vec<Delivery<J, Receipt>>,
    ) -> Result<Pulled, QueueError> {
        let before = into.len();
        let until = Instant::now() + wait.min(LONGEST);
        self.fetch(room.get(), None, into).await?;
        let left = until.saturating_duration_since(Instant::now());
        if into.len() == before && left > Duration::from_millis(1) {
            // One ends the wait; what has come with it is there for the next pull.
            self.fetch(1, Some(left), into).await?;
        }
        Ok(if into.len() > before { Pulled::Some } else { Pulled::Nothing })
    }

    async fn settle(&self, verdicts: &mut Vec<Settling<Receipt>>) -> Result<u32, QueueError> {
        let told = join_all(verdicts.iter().map(|one| self.tell(&one.receipt, &one.verdict))).await;
        let error = told.iter().find_map(|told| told.as_ref().err().cloned());
        let stale = told.iter().filter(|told| matches!(told, Ok(true))).count();
        // An error tells no count, so with one the stale verdicts stay, and are counted the next time.
        let is_confirmed = |told: Result<bool, _>| told.is_ok_and(|is_stale| !is_stale || error.is_none());
        let mut told = told.into_iter();
        verdicts.retain(|_| !told.next().is_some_and(is_confirmed));
        error.map_or(Ok(u32::try_from(stale).unwrap_or(u32::MAX)), Err)
    }

    async fn extend(&self, held: &[Receipt]) -> Result<(), QueueError> {
        let until = self.leased_until();
        // One whose lease has run out may be somebody else's by now: the server would renew it all the same.
        let renewed = held.iter().filter(|receipt| self.is_leased(receipt)).map(|receipt| async move {
            self.ask(receipt, AckKind::Progress).await?;
            if self.is_leased(receipt) {
                receipt.leased_until.store(until, Ordering::Relaxed);
            }
            Ok(())
        });
        join_all(renewed).await.into_iter().collect::<Result<(), _>>()
    }

    async fn close(&self) {}
}

impl<J> fmt::Debug for QueueSource<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSource").field("subject", &self.link.names.jobs).finish_non_exhaustive()
    }
}
