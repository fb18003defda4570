//! The queue as a source of a processor.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plimsoll::lane_key;
use plimsoll::source::{Abilities, Decoder, Delivery, Pulled, Settling, Source};
use tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;

use crate::error::QueueError;
use crate::job::Receipt;
use crate::link::{Link, Prepared};
use crate::options::Options;
use crate::progress::Progress;
use crate::sql::{self, Verdicts};
use crate::wire::{self, Place};

/// How many jobs one pull takes at most.
const MOST: u32 = 1_024;

/// How long a pull waits at least, where a job can be delivered that another puller is about to take.
const SHORTEST: Duration = Duration::from_millis(5);

/// A worker's connection to a [`Queue`](crate::Queue), made when it is needed and made again when it was lost. What it has pulled
/// and not settled is delivered again when the [lease](crate::Options::lease) has run out.
pub struct QueueSource<J> {
    link: Link,
    decoder: Decoder<J>,
    progress: Mutex<Progress>,
}

impl<J> QueueSource<J> {
    pub(crate) fn new<E, D>(link: Link, decode: D) -> Self
    where
        E: fmt::Display,
        D: Fn(Vec<u8>) -> Result<J, E> + Send + Sync + 'static,
    {
        Self { link, decoder: Decoder::new(decode), progress: Mutex::default() }
    }

    fn delivery(&self, pulled: sql::Pulled) -> Delivery<J, Receipt> {
        let sql::Pulled { receipt, payload, deliveries, key, .. } = pulled;
        let delivery = self.decoder.delivery(payload, receipt, deliveries);
        let Options { schema, queue, .. } = &self.link.setup.options;
        let delivery = delivery.id(lane_key(&(schema, queue, receipt.number)));
        key.into_iter().fold(delivery, Delivery::key)
    }

    /// Takes jobs, as many as there are and there is room for.
    async fn take(&self, room: u32) -> Result<Vec<sql::Pulled>, QueueError> {
        let from = self.progress().next_place();
        let started = Instant::now();
        let mut taken = self.take_from(from, room).await?;
        self.progress().note(from, started, &taken, room);
        if taken.is_empty() && from != wire::START {
            // There may be jobs before.
            let started = Instant::now();
            taken = self.take_from(wire::START, room).await?;
            self.progress().note(wire::START, started, &taken, room);
        }
        Ok(taken)
    }

    async fn take_from(&self, place: Place, room: u32) -> Result<Vec<sql::Pulled>, QueueError> {
        let setup = &*self.link.setup;
        let Options { queue, lease, .. } = &setup.options;
        let (room, lease) = (i64::from(room), wire::micros(*lease));
        let taken = self.link.call(|session| async move {
            let parameters: [&(dyn ToSql + Sync); 5] = [queue, &room, &lease, &place.0, &place.1];
            let rows = session.query(setup, Prepared::Pull, &parameters).await?;
            rows.iter().map(sql::Pulled::of).collect::<Result<Vec<_>, _>>()
        });
        let mut taken = taken.await?;
        // An update returns rows in any order.
        taken.sort_unstable_by_key(|pulled| pulled.place);
        Ok(taken)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For how long there is nothing to take, unless something is put in.
    async fn until_next(&self) -> Result<Duration, QueueError> {
        let setup = &*self.link.setup;
        let Options { queue, poll, .. } = &setup.options;
        let next = self.link.call(|session| async move {
            let rows = session.query(setup, Prepared::Next, &[queue]).await?;
            rows.first().map_or(Ok(None), |row| row.try_get::<_, Option<i64>>(0))
        });
        let next = next.await?.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        Ok(next.map_or(*poll, |next| next.max(SHORTEST).min(*poll)))
    }
}

impl<J: Send + 'static> Source for QueueSource<J> {
    type Job = J;
    type Receipt = Receipt;
    type Error = QueueError;

    fn abilities(&self) -> Abilities {
        let lease = self.link.setup.options.lease;
        Abilities::new().lease(lease).delays(true).uncounted(true).most(MOST)
    }

    async fn pull(
        &self,
        room: NonZeroU32,
        wait: Duration,
        into: &mut Vec<Delivery<J, Receipt>>,
    ) -> Result<Pulled, QueueError> {
        let started = Instant::now();
        loop {
            let taken = self.take(room.get()).await?;
            if !taken.is_empty() {
                into.extend(taken.into_iter().map(|pulled| self.delivery(pulled)));
                return Ok(Pulled::Some);
            }
            let left = wait.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Ok(Pulled::Nothing);
            }
            let pause = self.until_next().await?.min(left);
            // Whichever it is, it is time to look again.
            drop(timeout(pause, self.link.wake.notified()).await);
        }
    }

    async fn settle(&self, verdicts: &mut Vec<Settling<Receipt>>) -> Result<u32, QueueError> {
        let setup = &*self.link.setup;
        let Options { queue, schema, notifies, .. } = &setup.options;
        let columns = Verdicts::of(verdicts);
        let parameters = &columns.parameters(queue, schema, notifies);
        let applied = self.link.call(|session| async move {
            let rows = session.query(setup, Prepared::Settle, parameters).await?;
            rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0))
        });
        let applied = u32::try_from(applied.await?).unwrap_or(u32::MAX);
        verdicts.retain(|settling| !sql::is_known(settling));
        if columns.has_again() {
            // The pull that waits knows nothing of these jobs.
            self.link.wake.notify_one();
        }
        Ok(columns.told().saturating_sub(applied))
    }

    async fn extend(&self, held: &[Receipt]) -> Result<(), QueueError> {
        let setup = &*self.link.setup;
        let lease = wire::micros(setup.options.lease);
        let numbers: &Vec<i64> = &held.iter().map(|receipt| receipt.number).collect();
        let tokens: &Vec<i64> = &held.iter().map(|receipt| receipt.token).collect();
        let extended = self.link.call(|session| async move {
            session.query(setup, Prepared::Extend, &[numbers, tokens, &lease]).await
        });
        extended.await.map(drop)
    }

    async fn close(&self) {
        self.link.close().await;
    }
}

impl<J> fmt::Debug for QueueSource<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSource").field("options", &self.link.setup.options).finish_non_exhaustive()
    }
}
