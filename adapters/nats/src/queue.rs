//! The queue, as its users have it.

use std::fmt;
use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::DeleteMessageErrorKind;
use futures_util::future::try_join_all;

use crate::error::QueueError;
use crate::job::{DeadJob, Enqueued, Job, Stats};
use crate::link::Link;
use crate::source::QueueSource;
use crate::wire;

/// How many jobs travel to the server at a time.
const AT_A_TIME: usize = 256;

/// A queue on a NATS server. Clones are the same queue, and share a connection.
#[derive(Clone)]
pub struct Queue {
    link: Arc<Link>,
}

impl Queue {
    pub(crate) fn new(link: Link) -> Self {
        Self { link: Arc::new(link) }
    }

    /// Puts a job in. It is in the stream when this returns. Its payload may take the server's `max_payload` less 1 KiB, so that it
    /// can become a dead letter.
    ///
    /// # Errors
    /// [`QueueError`]. It may be in the stream even so: give it an [identity](Job::id), and put it in again.
    pub async fn enqueue(&self, job: &Job) -> Result<Enqueued, QueueError> {
        let Job { payload, id, key } = job;
        let most = self.link.most_bytes();
        if payload.len() > most {
            return Err(QueueError::TooLarge { bytes: payload.len(), most });
        }
        if id.as_ref().is_some_and(|id| !wire::is_identity(id)) {
            return Err(QueueError::Identity);
        }
        let mut headers = HeaderMap::new();
        if let Some(key) = key {
            headers.insert(wire::KEY, key.to_string());
        }
        let publish = PublishMessage::build().payload(payload.clone().into()).headers(headers);
        let publish = id.iter().fold(publish, |publish, id| publish.message_id(id));
        self.link.publish(&self.link.names.jobs, publish).await
    }

    /// Puts jobs in, 256 at a time. They are in the stream when this returns, with an answer for each, though not necessarily in
    /// this order.
    ///
    /// # Errors
    /// [`QueueError`]. Some may be in the stream even so.
    pub async fn enqueue_many(&self, jobs: &[Job]) -> Result<Vec<Enqueued>, QueueError> {
        let mut enqueued = Vec::with_capacity(jobs.len());
        for some in jobs.chunks(AT_A_TIME) {
            enqueued.extend(try_join_all(some.iter().map(|job| self.enqueue(job))).await?);
        }
        Ok(enqueued)
    }

    /// What a processor pulls from: see [`Access::source`](plimsoll::Access::source). Jobs are their payloads. Its futures have to be
    /// polled on tokio.
    pub fn source(&self) -> QueueSource<Vec<u8>> {
        self.source_with(Ok::<_, QueueError>)
    }

    /// As [`source`](Self::source), with jobs that `decode` makes of the payloads. What it can't decode is a dead letter, with the
    /// text of its error.
    pub fn source_with<J, E, D>(&self, decode: D) -> QueueSource<J>
    where
        E: fmt::Display,
        D: Fn(Vec<u8>) -> Result<J, E> + Send + Sync + 'static,
    {
        QueueSource::new(self.link.clone(), decode)
    }

    /// Dead letters, by number, from this one on and at most so many. A request for each.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn dead(&self, from: u64, most: usize) -> Result<Vec<DeadJob>, QueueError> {
        let state = self.link.state(&self.link.dead).await?;
        let mut found = Vec::new();
        let mut number = from.max(state.first_sequence);
        while found.len() < most && number <= state.last_sequence && state.messages > 0 {
            found.extend(self.link.dead_letter(number).await?);
            number += 1;
        }
        Ok(found)
    }

    /// Puts a dead letter back into the queue, as if it had never been delivered. Returns whether there was one.
    ///
    /// # Errors
    /// [`QueueError`]. It may be in both then, except for [`QueueError::TooLarge`]: not all of it was [kept](DeadJob::cut).
    pub async fn requeue(&self, number: u64) -> Result<bool, QueueError> {
        let Some(dead) = self.link.dead_letter(number).await? else { return Ok(false) };
        if let Some(bytes) = dead.cut {
            return Err(QueueError::TooLarge { bytes, most: self.link.most_bytes() });
        }
        let job = Job::new(dead.payload);
        self.enqueue(&dead.key.into_iter().fold(job, Job::key)).await?;
        self.purge(number).await
    }

    /// Removes a dead letter for good. Returns whether there was one.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn purge(&self, number: u64) -> Result<bool, QueueError> {
        match self.link.dead.delete_message(number).await {
            Ok(was_there) => Ok(was_there),
            Err(error) => match error.kind() {
                DeleteMessageErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_MESSAGE_DELETE_FAILED =>
                {
                    Ok(false)
                }
                _ => Err(QueueError::new("purge", error)),
            },
        }
    }

    /// Removes all dead letters for good, and returns how many those were.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn purge_all(&self) -> Result<u64, QueueError> {
        let purged = self.link.dead.purge().await.map_err(|error| QueueError::new("purge", error))?;
        Ok(purged.purged)
    }

    /// How many jobs there are.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        let stored = self.link.state(&self.link.jobs).await?.messages;
        let dead = self.link.state(&self.link.dead).await?.messages;
        let consumer = self.link.consumer.get_info().await;
        let consumer = consumer.map_err(|error| QueueError::new("stats", error))?;
        let out = consumer.num_ack_pending as u64;
        Ok(Stats { jobs: consumer.num_pending + out, out, dead, stored })
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("subject", &self.link.names.jobs)
            .field("lease", &self.link.lease)
            .finish_non_exhaustive()
    }
}
