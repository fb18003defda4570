//! Opening a queue: the streams and the consumer are made, or checked.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config as StreamConfig, ConsumerErrorKind, RetentionPolicy, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr};

use crate::error::OpenError;
use crate::link::{Link, Names};
use crate::queue::Queue;

/// How a queue is opened.
///
/// ```
/// use plimsoll_nats::Options;
/// use std::time::Duration;
///
/// let options = Options::new("mails").create(true).lease(Duration::from_secs(60)).timeout(Duration::from_secs(2));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Options {
    pub(crate) name: String,
    consumer: String,
    create: bool,
    lease: Duration,
    pub(crate) timeout: Duration,
}

impl Options {
    /// The queue with this name: that of its stream. Its subject is the name with `.jobs` behind it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            consumer: "workers".to_owned(),
            create: false,
            lease: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
        }
    }

    /// Sets the name of the durable consumer. Default: `workers`.
    pub fn consumer(self, name: impl Into<String>) -> Self {
        Self { consumer: name.into(), ..self }
    }

    /// Sets whether the streams and the consumer are made if they are not there. Default: no, that is an error.
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// Sets the lease of deliveries (the `ack_wait`) of a consumer that is made. One that is there has its own. Default: 30 s.
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// Sets after how long a call that the server does not answer is an error. Default: 5 s.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

impl Queue {
    /// Connects to a server, and opens a queue there. A user and a password may stand in the URL. What more there is to say to a server, TLS and keys for instance, is
    /// [`async_nats`]' to say: then [`open`](Self::open) with its client.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(url: &str, options: Options) -> Result<Self, OpenError> {
        let address: ServerAddr =
            url.parse().map_err(|error| OpenError::Unreachable(format!("{url}: {error}")))?;
        let connect =
            ConnectOptions::new().request_timeout(Some(options.timeout)).connection_timeout(options.timeout);
        let connect = match (address.username(), address.password()) {
            (Some(user), Some(password)) => connect.user_and_password(user.to_owned(), password.to_owned()),
            _ => connect,
        };
        let client = connect.connect(address).await.map_err(|error| match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                OpenError::Credentials
            }
            _ => OpenError::Unreachable(error.to_string()),
        })?;
        Self::open(client, options).await
    }

    /// Opens a queue with a client that is connected.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(client: Client, options: Options) -> Result<Self, OpenError> {
        let mut context = jetstream::new(client.clone());
        context.set_timeout(options.timeout);
        let names = Names::new(&options.name);
        let limits = RetentionPolicy::Limits;
        let jobs = stream(&context, &options, &options.name, &names.jobs, RetentionPolicy::WorkQueue).await?;
        let dead = stream(&context, &options, &names.dead_stream, &names.dead, limits).await?;
        let (consumer, config) = consumer(&jobs, &options).await?;
        if !matches!(config.ack_policy, AckPolicy::Explicit) {
            return Err(OpenError::Unsuitable("its acknowledgements are not explicit".to_owned()));
        }
        let most_deliveries = u32::try_from(config.max_deliver).ok().filter(|most| *most > 0);
        let identity = (names.jobs.clone(), jobs.cached_info().created.unix_timestamp());
        let (lease, timeout) = (config.ack_wait, options.timeout);
        Ok(Self::new(Link {
            client,
            context,
            names,
            jobs,
            dead,
            consumer,
            lease,
            timeout,
            most_deliveries,
            identity,
        }))
    }
}

/// A stream, which is made if it is not there and may be.
async fn stream(
    context: &Context,
    options: &Options,
    name: &str,
    subject: &str,
    retention: RetentionPolicy,
) -> Result<Stream, OpenError> {
    match context.get_stream(name).await {
        Ok(stream) => return Ok(stream),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {}
            GetStreamErrorKind::Request => return Err(OpenError::Unreachable(error.to_string())),
            _ => return Err(OpenError::Server(error.to_string())),
        },
    }
    if !options.create {
        return Err(OpenError::Missing(format!("stream {name}")));
    }
    let subjects = vec![subject.to_owned()];
    let config = StreamConfig { name: name.to_owned(), subjects, retention, ..StreamConfig::default() };
    context.get_or_create_stream(config).await.map_err(|error| OpenError::Server(error.to_string()))
}

async fn consumer(
    jobs: &Stream,
    options: &Options,
) -> Result<(PullConsumer, async_nats::jetstream::consumer::Config), OpenError> {
    let mut found = jobs.get_consumer::<pull::Config>(&options.consumer).await;
    if found.is_err() && options.create {
        let config = pull::Config {
            durable_name: Some(options.consumer.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: options.lease,
            // What is out is bounded by the credit of the workers.
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        match jobs.create_consumer(config).await {
            Ok(consumer) => found = Ok(consumer),
            Err(error) => {
                return Err(match error.kind() {
                    ConsumerErrorKind::TimedOut => OpenError::Unreachable(error.to_string()),
                    _ => OpenError::Server(error.to_string()),
                });
            }
        }
    }
    let consumer = found.map_err(|error| {
        let text = error.to_string();
        if text.contains("pull") {
            OpenError::Unsuitable(text)
        } else {
            OpenError::Missing(format!("consumer {}", options.consumer))
        }
    })?;
    let config = consumer.cached_info().config.clone();
    Ok((consumer, config))
}
