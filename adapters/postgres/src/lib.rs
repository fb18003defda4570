//! A durable queue in PostgreSQL, as a [source](plimsoll::source) of plimsoll: jobs survive the process, and workers on many
//! machines share them. They can be put in within the transaction that is the reason for them.
//!
//! ```no_run
//! use plimsoll::source::{Pull, SourceLimits};
//! use plimsoll::{Drain, Processor, Retry, Tokio};
//! use plimsoll_postgres::{Job, Options, Queue};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = Queue::connect("host=localhost user=app dbname=app", Options::new().migrate(true)).await?;
//! let processor = Processor::builder()
//!     .sources(SourceLimits::new(1))
//!     .retry(Retry::times(4).on_timeout(true).on_panic(true)) // what fails more often is a dead letter
//!     .spawn_on(Tokio::current(), |job: Vec<u8>| async move { String::from_utf8(job).map(|text| text.len()) })?;
//! let (_source, puller) = processor.source(queue.source(), Pull::new())?;
//! let puller = tokio::spawn(puller);
//!
//! queue.enqueue(&Job::new("https://example.org")).await?; // it is committed when this returns
//! while queue.stats().await?.jobs() > 0 {
//!     tokio::time::sleep(Duration::from_millis(10)).await; // a service waits for its SIGTERM instead
//! }
//! processor.shutdown(Drain::graceful(Duration::from_secs(10))).await; // pulls no more
//! assert_eq!(puller.await?, 0); // every verdict is committed, too
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - What [`enqueue`](Queue::enqueue) has returned for is committed. With [`enqueue_in`](Queue::enqueue_in) a job is there exactly
//!   if the caller's transaction is committed.
//! - At least once. A job is delivered again when its lease has run out: because the worker has died, or has not reached the server
//!   for that long. Each delivery has a token of its own. A verdict with an earlier token changes nothing, and is counted as stale.
//! - Deliveries are counted before they are handed out, so a job that ends its process is found out
//!   ([`Pull::deliveries`](plimsoll::source::Pull::deliveries)).
//! - Jobs are delivered by priority, and those of one priority by number. Numbers are given when a job is put in, and not when its
//!   transaction is committed. While a backlog is worked off, a source looks at the front of the queue only now and then: a job with
//!   a higher priority may come after some with a lower one, which are pulled in ten times the time of one pull, and in a second at
//!   most.
//! - All times are those of the server's clock. The clocks of workers have no meaning.
//! - When the server is away, does not answer, or ends connections, calls return an error in [time](Options::time_out), and the next
//!   call connects again. Nothing that was committed is lost.
//!
//! # Tables
//!
//! [`migrate`] makes the schema `plimsoll` with the tables `jobs`, `dead` and `migrations`. A role that is to put jobs in or to pull
//! them needs `USAGE` on the schema, `SELECT, INSERT, UPDATE, DELETE` on `jobs` and `dead`, `SELECT` on `migrations`, and `USAGE` on
//! the sequences.
//!
//! The server has to be PostgreSQL 12 or later, with a database in UTF-8. A connection pooler between has to keep sessions together
//! (`pool_mode = session`), because of prepared statements and `LISTEN`.
//!
//! # Cost
//!
//! - One connection for each [`Queue`] and one for each of its sources.
//! - One commit for each pull that brings something, each batch of verdicts and each renewal: larger [credits](plimsoll::source::Pull)
//!   make fewer of them.
//! - A pull that waits is woken by a notification, and looks each [second](Options::poll) otherwise. Of many workers that wait, all
//!   look.
//! - Jobs that are out or delayed and come before one that can be delivered are passed over in an index, one by one: 50 ns each on the
//!   machine that this was written on, so 50 ms for a million of them. Give such jobs a lower [priority](Job::priority), or a queue of
//!   their own.
//! - Rows are removed for good by `VACUUM`. The table is set so that autovacuum looks after it early. A transaction of anybody's
//!   that stays open for long keeps the old rows, and makes pulls slow.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod job;
mod link;
mod options;
mod progress;
mod queue;
mod schema;
mod source;
mod sql;
mod wire;

pub use error::{OpenError, QueueError};
pub use job::{DeadJob, Enqueued, Job, Receipt, Stats};
pub use options::Options;
pub use queue::Queue;
pub use schema::migrate;
pub use source::QueueSource;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
