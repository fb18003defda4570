//! What can go wrong.

use std::error::Error;
use std::fmt;

/// A queue could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// Nobody answers there, or not as a NATS server: see whether it runs, and with JetStream.
    Unreachable(String),
    /// The server does not accept these credentials.
    Credentials,
    /// There is no such stream or consumer: make it, or let [`Options::create`](crate::Options::create) do so.
    Missing(String),
    /// The consumer is no durable pull consumer with explicit acknowledgements: use another name.
    Unsuitable(String),
    /// The server refuses: see what it says.
    Server(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(what) => write!(f, "no NATS server with JetStream answers: {what}"),
            Self::Credentials => f.write_str("the NATS server does not accept the credentials"),
            Self::Missing(what) => write!(f, "there is no {what}: make it, or open with `create`"),
            Self::Unsuitable(what) => write!(f, "the consumer can't be used: {what}"),
            Self::Server(what) => write!(f, "the NATS server refuses: {what}"),
        }
    }
}

impl Error for OpenError {}

/// A call of a queue failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// The payload is larger than the server's `max_payload` less what a dead letter adds: keep it elsewhere and put in where, or let
    /// the server take more. Nothing was put in.
    TooLarge {
        /// The job's.
        bytes: usize,
        /// That are allowed.
        most: usize,
    },
    /// The identity is empty, has more than [`Job::LONGEST_ID`](crate::Job::LONGEST_ID) bytes, a line break, or white space at an end:
    /// use a hash of it. Nothing was put in.
    Identity,
    /// The server is away or refuses: see what it says, and try again. Whether the call has taken effect is not known.
    Failed(String),
}

impl QueueError {
    pub(crate) fn new(what: &str, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { bytes, most } => write!(f, "a job of {bytes} bytes, of {most} that are allowed"),
            Self::Identity => {
                f.write_str("an identity that is empty, too long, has a line break, or white space at an end")
            }
            Self::Failed(what) => f.write_str(what),
        }
    }
}

impl Error for QueueError {}
