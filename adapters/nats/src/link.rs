//! The connection behind queues and sources.

use std::convert::Infallible;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::{Client, HeaderMap};
use tokio::time::sleep;

use crate::error::QueueError;
use crate::job::{DeadJob, Enqueued, Receipt};
use crate::wire::Letter;

/// What the headers of a dead letter may take of the server's `max_payload`.
const HEADERS: usize = 1_024;

/// A pull that wakes a consumer and takes nothing from it: it is over after a millisecond, no message fits into it, and
/// nobody listens for its answer.
const NUDGE: &str = r#"{"batch":1,"max_bytes":1,"expires":1000000}"#;

/// How long a pull goes without a nudge: an answer usually takes less. And how long after each.
const BEFORE_NUDGES: Duration = Duration::from_millis(100);
const BETWEEN_NUDGES: Duration = Duration::from_millis(20);

/// A connection, with the streams and the consumer of a queue.
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) context: Context,
    pub(crate) names: Names,
    pub(crate) jobs: Stream,
    pub(crate) dead: Stream,
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

impl Link {
    pub(crate) async fn state(
        &self,
        stream: &Stream,
    ) -> Result<async_nats::jetstream::stream::State, QueueError> {
        Ok(stream.get_info().await.map_err(|error| QueueError::new("stats", error))?.state)
    }

    /// How many bytes a payload may have, so that it fits into a dead letter, too.
    pub(crate) fn most_bytes(&self) -> usize {
        self.client.server_info().max_payload.saturating_sub(HEADERS)
    }

    /// What is sent while there is no connection would be kept, and reach the server long after anybody waits for the answer.
    pub(crate) fn check_connection(&self) -> Result<(), QueueError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            _ => Err(QueueError::Failed("there is no connection to the server".to_owned())),
        }
    }

    /// Wakes the consumer again and again, without end, while a pull has no answer. After a crash nats-server 2.9 may list jobs as
    /// pending that were acknowledged and removed. Each time that such a job is due again, the consumer looks for it, finds
    /// nothing, and sleeps until the next event, even with a pull at hand.
    pub(crate) async fn nudge(&self) -> Infallible {
        let consumer = self.consumer.cached_info();
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", consumer.stream_name, consumer.name);
        sleep(BEFORE_NUDGES).await;
        loop {
            if self.check_connection().is_ok() {
                let inbox = self.client.new_inbox();
                let _ = self.client.publish_with_reply(subject.clone(), inbox, NUDGE.into()).await;
            }
            sleep(BETWEEN_NUDGES).await;
        }
    }

    /// The dead letter with this number, unless it was taken out.
    pub(crate) async fn dead_letter(&self, number: u64) -> Result<Option<DeadJob>, QueueError> {
        let raw = match self.dead.get_raw_message(number).await {
            Ok(raw) => raw,
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(QueueError::new("dead", error)),
        };
        let letter = Letter::read(|name| raw.headers.get(name).map(|value| value.as_str()));
        let Letter { why, message, deliveries, key, cut } = letter;
        Ok(Some(DeadJob { number, payload: raw.payload.to_vec(), why, message, deliveries, key, cut }))
    }

    pub(crate) async fn publish(
        &self,
        subject: &str,
        publish: PublishMessage,
    ) -> Result<Enqueued, QueueError> {
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
    pub(crate) async fn bury(&self, receipt: &Receipt, why: &str, message: &str) -> Result<(), QueueError> {
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
