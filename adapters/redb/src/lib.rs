//! A durable queue in one file, as a [source](plimsoll::source) of plimsoll: jobs survive the process. The engine is
//! [redb](https://www.redb.org), and needs no server.
//!
//! ```
//! use plimsoll::source::{Pull, SourceLimits};
//! use plimsoll::{Drain, Processor, Retry, Smol};
//! use plimsoll_redb::{Job, Queue};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("jobs.redb");
//! let queue = Queue::open(path)?;
//! let processor = Processor::builder()
//!     .sources(SourceLimits::new(1))
//!     .retry(Retry::times(4).on_timeout(true).on_panic(true)) // what fails more often is a dead letter
//!     .spawn_on(Smol::global(), |job: Vec<u8>| async move { String::from_utf8(job).map(|text| text.len()) })?;
//! let (_source, puller) = processor.source(queue.source(), Pull::new())?;
//! let puller = smol::spawn(puller);
//!
//! smol::block_on(async {
//!     queue.enqueue(&Job::new("https://example.org")).await?; // it is on disk when this returns
//!     while queue.stats().await?.jobs() > 0 {
//!         smol::Timer::after(Duration::from_millis(10)).await; // a service waits for its SIGTERM instead
//!     }
//!     processor.shutdown(Drain::graceful(Duration::from_secs(10))).await; // pulls no more
//!     assert_eq!(puller.await, 0); // every verdict is on disk, too
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # What is promised
//!
//! - What [`enqueue`](Queue::enqueue) has returned for is on disk. Whatever comes while one commit is written goes into the next
//!   one together, so there is no window to tune: the busier the queue, the larger the groups.
//! - At least once. A process that dies between a task's outcome and the commit of its verdict does the job again. Each delivery
//!   is counted on disk before it is handed out, so a job that ends its process is found out
//!   ([`Pull::deliveries`](plimsoll::source::Pull::deliveries)).
//! - Jobs of one priority are delivered in the order in which they were put in. One that is to be delivered again after a delay
//!   comes when that has passed.
//! - One process has the file. A second one is refused: [`OpenError::InUse`].
//! - When the disk is full, or the file can't be written for another reason, calls return an error, and nothing that was
//!   confirmed is lost. The next call tries again.
//!
//! # Cost
//!
//! One thread for each open queue, which does all reading and writing. Memory: redb's cache ([`Options::cache`]), at most 1,024
//! calls that wait for the thread, and an entry for each delivery that is out.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod job;
mod link;
mod mailbox;
mod options;
mod queue;
mod source;
mod store;
mod writer;

pub use error::{OpenError, QueueError};
pub use job::{DeadJob, Enqueued, Job, Receipt, Stats};
pub use options::Options;
pub use queue::Queue;
pub use source::QueueSource;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
