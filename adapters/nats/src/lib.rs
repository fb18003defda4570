//! NATS JetStream as a [source](plimsoll::source) of plimsoll: jobs survive the process, and any number of workers on any number of
//! machines share them.
//!
//! ```no_run
//! use plimsoll::source::{Pull, SourceLimits};
//! use plimsoll::{Drain, Processor, Retry, Tokio};
//! use plimsoll_nats::{Job, Options, Queue};
//! use std::time::Duration;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let queue = Queue::connect("nats://localhost:4222", Options::new("mails").create(true)).await?;
//! let processor = Processor::builder()
//!     .sources(SourceLimits::new(1))
//!     .retry(Retry::times(4).on_timeout(true).on_panic(true)) // what fails more often is a dead letter
//!     .spawn_on(Tokio::current(), |job: Vec<u8>| async move { String::from_utf8(job).map(|text| text.len()) })?;
//! let (_source, puller) = processor.source(queue.source(), Pull::new())?;
//! let puller = tokio::spawn(puller);
//!
//! queue.enqueue(&Job::new("hello")).await?; // the server has it in its stream when this returns
//! while queue.stats().await?.jobs > 0 {
//!     tokio::time::sleep(Duration::from_millis(10)).await; // a service waits for its SIGTERM instead
//! }
//! processor.shutdown(Drain::graceful(Duration::from_secs(10))).await; // pulls no more
//! assert_eq!(puller.await?, 0);
//! # Ok(())
//! # }
//! ```
//!
//! A queue is a stream with work-queue retention, and one durable pull consumer of it. A second stream, with `-dead` behind the
//! name, keeps dead letters. [`Options::create`] makes all three, if they are not there; otherwise they have to be.
//!
//! # What is promised
//!
//! - A job that [`enqueue`](Queue::enqueue) has returned for is in the stream. When the server has it on disk is the server's
//!   affair (`sync_interval`): a process that is killed loses nothing, a machine that loses its power may.
//! - At least once. Verdicts are confirmed by the server (`double_ack`) before the machine forgets them.
//! - **Fencing is weak.** The server takes an acknowledgement for the job, not for the delivery. So a receipt whose lease has run
//!   out *by the clock of this worker* is not sent, and counted as stale. A worker that was stopped for longer than its lease
//!   between that look at the clock and the server's receipt can still settle what another one has by then.
//! - The server counts every delivery, and can take none back uncounted. So what a drain hands back counts. Give
//!   [`Pull::deliveries`](plimsoll::source::Pull::deliveries) room for that.
//! - Jobs come in the order of the stream; one that is delivered again comes when it is due.
//! - The client reconnects by itself. While it is not connected, calls fail after [`Options::timeout`], and the puller leaves the
//!   engine alone for a while.
//!
//! # Cost
//!
//! A request for each verdict and each renewal, all of one batch at a time, and one or two for each pull.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod job;
mod link;
mod open;
mod queue;
mod source;
mod wire;

pub use error::{OpenError, QueueError};
pub use job::{DeadJob, Enqueued, Job, Receipt, Stats};
pub use open::Options;
pub use queue::Queue;
pub use source::QueueSource;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
