//! `--source`: a durable queue outside, from which the service works off jobs, and into which its producer puts them.

mod engines;
mod payload;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use plimsoll::Access;
use plimsoll::source::SourceHandle;
use tokio::runtime::Runtime;

use crate::arrivals::Work;
use crate::live::Service;

pub use payload::encode;

/// Makes a job of a delivery's work, when that has just been pulled.
pub type Receive = Arc<dyn Fn(Work) -> crate::live::Job + Send + Sync>;

/// Where the queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file, which belongs to one process at a time.
    Redb(PathBuf),
    /// On a NATS server.
    Nats(String),
    /// In a database of PostgreSQL.
    Postgres(String),
}

impl Location {
    /// `redb:PATH`, `nats://…` or `postgres://…`.
    pub fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
        match scheme {
            "redb" => Some(Self::Redb(rest.into())),
            "nats" | "tls" => Some(Self::Nats(text.to_owned())),
            "postgres" | "postgresql" => Some(Self::Postgres(text.to_owned())),
            _ => None,
        }
    }

    /// Opens the queue.
    pub fn open(&self, runtime: &Runtime) -> Result<Box<dyn Queue>, String> {
        let opened = match self {
            Self::Redb(file) => engines::redb(file),
            Self::Nats(url) => engines::nats(url, runtime),
            Self::Postgres(url) => engines::postgres(url, runtime),
        };
        opened.map_err(|error| format!("--source: {self}: {error}"))
    }
}

impl fmt::Display for Location {
    /// Without what stands before an `@`, which may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redb(file) => write!(f, "redb:{}", file.display()),
            Self::Nats(url) | Self::Postgres(url) => match (url.split_once("://"), url.rsplit_once('@')) {
                (Some((scheme, _)), Some((_, host))) => write!(f, "{scheme}://{host}"),
                _ => f.write_str(url),
            },
        }
    }
}

/// A durable queue, as far as the service needs it.
pub trait Queue: Send + Sync {
    /// Has a processor pull from it, with up to `credit` deliveries that are not confirmed. The future pulls until the
    /// processor has drained, and says how many verdicts were not confirmed.
    fn attach(
        &self,
        service: &Access<Service>,
        receive: Receive,
        credit: u32,
    ) -> Result<(SourceHandle<Service>, BoxFuture<'static, u32>), String>;

    /// Puts jobs in. They are safe when this is done.
    fn put(&self, payloads: Vec<String>) -> BoxFuture<'static, Result<(), String>>;

    /// What is in it.
    fn stock(&self) -> BoxFuture<'static, Result<Stock, String>>;
}

/// What is in a queue, whoever has put it there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    /// Jobs that are neither done nor dead.
    pub jobs: u64,
    /// Dead letters.
    pub dead: u64,
}

/// The line on what is in a queue, if that has said so.
pub fn left(queue: &str, stock: Option<Stock>) -> String {
    stock.map_or_else(
        || format!("left     unknown: {queue} does not say"),
        |Stock { jobs, dead }| {
            format!("left     {jobs} jobs and {dead} dead letters in {queue}, of all processes")
        },
    )
}

/// The runtime for the queue's own calls, whatever the processor runs on: NATS and PostgreSQL need tokio.
pub fn runtime() -> Result<Runtime, String> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|error| format!("tokio: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_and_shown_without_its_password() {
        for (text, shown) in [
            ("redb:a/b.redb", "redb:a/b.redb"),
            ("redb:C:\\a", "redb:C:\\a"),
            ("nats://me:se@cret@host:4222", "nats://host:4222"),
            ("nats://host", "nats://host"),
            ("postgres://me:secret@host/db", "postgres://host/db"),
            ("postgresql://host/db", "postgresql://host/db"),
        ] {
            assert_eq!(Location::read(text).map(|location| location.to_string()).as_deref(), Some(shown));
        }
        for text in ["", "redb", "redb:", "jobs.redb", "http://host", "nats"] {
            assert_eq!(Location::read(text), None, "{text}");
        }
    }

    #[cfg(not(feature = "nats"))]
    #[test]
    fn what_was_left_out_says_how_to_have_it() {
        let error = Location::Nats("nats://host".to_owned()).open(&runtime().unwrap()).map(drop);
        let expected = "--source: nats://host: this service was built without NATS: add `--features nats`";
        assert_eq!(error, Err(expected.to_owned()));
    }
}
