//! The queue, as its users have it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{DeleteMessageErrorKind, RawMessageErrorKind, Stream};
use async_nats::{Client, HeaderMap};
use futures_util::future::try_join_all;

use crate::error::QueueError;
use crate::job::{DeadJob, Enqueued, Job, Stats};
use crate::source::QueueSource;
use crate::wire::{self, Letter};

/// What the headers of a dead letter may take of the server's `max_payload`.
const HEADERS: usize = 1_024;

/// How many jobs travel to the server at a time.
const AT_A_TIME: usize = 256;

/// A queue on a NATS server. Clones are the same queue, and share a connection.
#[derive(Clone)]
pub struct Queue {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) client: Client,
    context: Context,
    names: Names,
    jobs: Stream,
    dead: Stream,
    pub(crate) consumer: PullConsumer,
    pub(crate) lease: Duration,
    pub(crate) timeout: Duration,
    /// How often the server delivers at most.
    pub(crate) most_deliveries: Option<u32>,
    /// What tells a job from one with its number in another stream: the name of this one, and when it was made.
    pub(crate) identity: (String, i64),
}

/// The names that follow from that of a queue.
pub(crate) struct Names {
    pub(crate) jobs: String,
    pub(crate) dead_stream: String,
    pub(crate) dead: String,
}

impl Names {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            jobs: format!("{name}.jobs"),
            dead_stream: format!("{name}-dead"),
            dead: format!("{name}-dead.jobs"),
        }
    }
}

impl Queue {
    pub(crate) fn new(
        client: Client,
        context: Context,
        names: Names,
        (jobs, dead): (Stream, Stream),
        consumer: PullConsumer,
        (lease, timeout, most_deliveries): (Duration, Duration, Option<u32>),
    ) -> Self {
        let created = jobs.cached_info().created.unix_timestamp();
        let identity = (names.jobs.clone(), created);
        let inner =
            Inner { client, context, names, jobs, dead, consumer, lease, timeout, most_deliveries, identity };
        Self { inner: Arc::new(inner) }
    }

    /// Puts a job in. It is in the stream when this returns. Its payload may take the server's `max_payload` less 1 KiB, so that it
    /// can become a dead letter.
    ///
    /// # Errors
    /// [`QueueError`]. It may be in the stream even so: give it an [identity](Job::id), and put it in again.
    pub async fn enqueue(&self, job: &Job) -> Result<Enqueued, QueueError> {
        let Job { payload, id, key } = job;
        let most = self.inner.most_bytes();
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
        self.inner.publish(&self.inner.names.jobs, publish).await
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
        QueueSource::new(self.clone(), decode)
    }

    /// Dead letters, by number, from this one on and at most so many. A request for each.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn dead(&self, from: u64, most: usize) -> Result<Vec<DeadJob>, QueueError> {
        let state = self.inner.state(&self.inner.dead).await?;
        let mut found = Vec::new();
        let mut number = from.max(state.first_sequence);
        while found.len() < most && number <= state.last_sequence && state.messages > 0 {
            found.extend(self.inner.dead_letter(number).await?);
            number += 1;
        }
        Ok(found)
    }

    /// Puts a dead letter back into the queue, as if it had never been delivered. Returns whether there was one.
    ///
    /// # Errors
    /// [`QueueError`]. It may be in both then, except for [`QueueError::TooLarge`]: not all of it was [kept](DeadJob::cut).
    pub async fn requeue(&self, number: u64) -> Result<bool, QueueError> {
        let Some(dead) = self.inner.dead_letter(number).await? else { return Ok(false) };
        if let Some(bytes) = dead.cut {
            return Err(QueueError::TooLarge { bytes, most: self.inner.most_bytes() });
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
        match self.inner.dead.delete_message(number).await {
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
        let purged = self.inner.dead.purge().await.map_err(|error| QueueError::new("purge", error))?;
        Ok(purged.purged)
    }

    /// How many jobs there are.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        let stored = self.inner.state(&self.inner.jobs).await?.messages;
        let dead = self.inner.state(&self.inner.dead).await?.messages;
        let consumer = self.inner.consumer.get_info().await;
        let consumer = consumer.map_err(|error| QueueError::new("stats", error))?;
        let out = consumer.num_ack_pending as u64;
        Ok(Stats { jobs: consumer.num_pending + out, out, dead, stored })
    }
}

impl Inner {
    async fn state(&self, stream: &Stream) -> Result<async_nats::jetstream::stream::State, QueueError> {
        Ok(stream.get_info().await.map_err(|error| QueueError::new("stats", error))?.state)
    }

    /// How many bytes a payload may have, so that it fits into a dead letter, too.
    fn most_bytes(&self) -> usize {
        self.client.server_info().max_payload.saturating_sub(HEADERS)
    }

    /// What is sent while there is no connection would be kept, and reach the server long after anybody waits for the answer.
    pub(crate) fn check_connection(&self) -> Result<(), QueueError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            _ => Err(QueueError::Failed("there is no connection to the server".to_owned())),
        }
    }

    /// The dead letter with this number, unless it was taken out.
    async fn dead_letter(&self, number: u64) -> Result<Option<DeadJob>, QueueError> {
        let raw = match self.dead.get_raw_message(number).await {
            Ok(raw) => raw,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(QueueError::new("dead", error)),
        };
        let letter = Letter::read(|name| raw.headers.get(name).map(|value| value.as_str()));
        let Letter { why, message, deliveries, key, cut } = letter;
        Ok(Some(DeadJob { number, payload: raw.payload.to_vec(), why, message, deliveries, key, cut }))
    }

    async fn publish(&self, subject: &str, publish: PublishMessage) -> Result<Enqueued, QueueError> {
        let failed = |error: async_nats::jetstream::context::PublishError| {
            let what =
                if error.kind() == PublishErrorKind::TimedOut { "enqueue, unanswered" } else { "enqueue" };
            QueueError::new(what, error)
        };
        self.check_connection()?;
        let sent = self.context.send_publish(subject.to_owned(), publish).await.map_err(failed)?;
        let ack = sent.await.map_err(failed)?;
        Ok(if ack.duplicate { Enqueued::Known } else { Enqueued::New(ack.sequence) })
    }

    /// Keeps a job aside. One that was kept aside already, because the server was away before it heard that, is not kept twice.
    pub(crate) async fn bury(
        &self,
        receipt: &crate::source::Receipt,
        why: &str,
        message: &str,
    ) -> Result<(), QueueError> {
        let (why, message) = (why.to_owned(), message.to_owned());
        // A stranger may have published more than fits beside the headers: better a part of it than a job that is never over.
        let (whole, most) = (&receipt.payload, self.most_bytes());
        let kept = whole.slice(..whole.len().min(most));
        let cut = (kept.len() < whole.len()).then_some(whole.len());
        let letter = Letter { why, message, deliveries: receipt.deliveries, key: receipt.key, cut };
        let mut headers = HeaderMap::new();
        for (name, value) in letter.headers() {
            headers.insert(name, value);
        }
        let publish = PublishMessage::build().payload(kept).headers(headers);
        let publish = publish.message_id(format!("{}-{}", self.names.jobs, receipt.number));
        self.publish(&self.names.dead, publish).await.map(drop)
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("subject", &self.inner.names.jobs)
            .field("lease", &self.inner.lease)
            .finish_non_exhaustive()
    }
}
