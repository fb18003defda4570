//! The three queues. NATS and PostgreSQL are there if the service was built with the feature of that name.

use std::path::Path;

use futures::FutureExt;
use futures::future::BoxFuture;
use plimsoll::Access;
use plimsoll::source::{Pull, Source, SourceHandle};
use tokio::runtime::Runtime;

use super::payload::decode;
use super::{Queue, Receive, Stock};
use crate::live::{Job, Service};

/// What a job that has ended the processes that had it may be delivered at most.
const DELIVERIES: u32 = 10;
/// The name of the queue on a server.
#[cfg(any(feature = "nats", feature = "postgres"))]
const NAME: &str = "plimsoll-service";

type Attached = Result<(SourceHandle<Service>, BoxFuture<'static, u32>), String>;

pub fn redb(file: &Path) -> Result<Box<dyn Queue>, String> {
    match plimsoll_redb::Queue::open(file) {
        Ok(queue) => Ok(Box::new(queue)),
        Err(error @ plimsoll_redb::OpenError::InUse) => Err(format!(
            "{error}; a file belongs to one process at a time, and a server (nats://, postgres://) is shared"
        )),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(feature = "nats")]
pub fn nats(url: &str, runtime: &Runtime) -> Result<Box<dyn Queue>, String> {
    let options = plimsoll_nats::Options::new(NAME).create(true).lease(std::time::Duration::from_secs(10));
    let queue = runtime.block_on(plimsoll_nats::Queue::connect(url, options));
    queue.map(|queue| Box::new(queue) as _).map_err(|error| error.to_string())
}

#[cfg(not(feature = "nats"))]
pub fn nats(_: &str, _: &Runtime) -> Result<Box<dyn Queue>, String> {
    Err("this service was built without NATS: add `--features nats`".to_owned())
}

#[cfg(feature = "postgres")]
pub fn postgres(url: &str, runtime: &Runtime) -> Result<Box<dyn Queue>, String> {
    let options = plimsoll_postgres::Options::new().queue(NAME).migrate(true);
    let queue = runtime.block_on(plimsoll_postgres::Queue::connect(url, options));
    queue.map(|queue| Box::new(queue) as _).map_err(|error| error.to_string())
}

#[cfg(not(feature = "postgres"))]
pub fn postgres(_: &str, _: &Runtime) -> Result<Box<dyn Queue>, String> {
    Err("this service was built without PostgreSQL: add `--features postgres`".to_owned())
}

/// Has a processor pull from a source of whatever engine.
fn attach<S: Source<Job = Job>>(service: &Access<Service>, source: S, credit: u32) -> Attached {
    let opened = service.source(source, Pull::new().credit(credit).deliveries(DELIVERIES));
    opened.map(|(handle, puller)| (handle, puller.boxed())).map_err(|refusal| refusal.to_string())
}

/// The engines have the same calls, but for the one that counts the jobs that are left.
macro_rules! queue {
    ($engine:ident, $stats:ident => $jobs:expr) => {
        impl Queue for $engine::Queue {
            fn attach(&self, service: &Access<Service>, receive: Receive, credit: u32) -> Attached {
                let decode = move |payload: Vec<u8>| decode(&payload).map(|work| receive(work));
                attach(service, self.source_with(decode), credit)
            }

            fn put(&self, payloads: Vec<String>) -> BoxFuture<'static, Result<(), String>> {
                let queue = self.clone();
                let jobs: Vec<_> = payloads.into_iter().map($engine::Job::new).collect();
                async move { queue.enqueue_many(&jobs).await.map(drop).map_err(|error| error.to_string()) }
                    .boxed()
            }

            fn stock(&self) -> BoxFuture<'static, Result<Stock, String>> {
                let queue = self.clone();
                async move {
                    let $stats = queue.stats().await.map_err(|error| error.to_string())?;
                    Ok(Stock { jobs: $jobs, dead: $stats.dead })
                }
                .boxed()
            }
        }
    };
}

queue!(plimsoll_redb, stats => stats.jobs());
#[cfg(feature = "nats")]
queue!(plimsoll_nats, stats => stats.jobs);
#[cfg(feature = "postgres")]
queue!(plimsoll_postgres, stats => stats.jobs());
