//! A bounded in-process task processor: what it will ever hold is fixed when it is built, everything that enters
//! leaves exactly once, and it can prove both while it runs.
//!
//! It runs jobs inside your service, on tokio, on smol, on [a plain thread](Thread) or on anything that implements
//! [`Runtime`]. Underneath is the state machine of [`plimsoll-core`](machine), which has no I/O, threads or clock.
//!
//! # What it is for
//!
//! Take it when jobs come faster than they can be done, and the service has to run for weeks: webhooks to deliver, mails
//! to send, images to convert, pages to fetch, rows to write.
//!
//! - **A full queue is an answer, not a crash.** One job too many comes back with the reason, waits for room, or makes an
//!   older one give way, as you say. Memory is bounded in bytes, known before the first job.
//! - **Neighbours do not suffer.** Each host, tenant or partition can have a limit, a rate and a fair share of its own.
//! - **Attempts end.** Time-outs for waiting, for each attempt and for the whole; retries with backoff; cancellation;
//!   heartbeats. Each task has exactly one outcome, and each callback is called exactly once.
//! - **The end is the end.** A graceful shutdown finishes what was taken in, and says what was left.
//! - **Tests do not wait.** The same code runs weeks of work in a second, on a [simulated clock](runtime::sim).
//!
//! # When to take something else
//!
//! - Nothing but bounded concurrency over one stream, without retries, time-outs or accounts: `buffer_unordered`, or a
//!   semaphore, is less to learn.
//! - Pure computation that keeps all cores busy: a thread pool that steals work, such as rayon's.
//! - Tasks that depend on one another: a workflow engine.
//! - Work that must survive the process is kept by a durable queue, from which a processor takes it: see [`source`].
//!
//! # In fifteen lines
//!
//! ```
//! use plimsoll::{Drain, Processor, Retry, Thread};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let processor = Processor::builder()
//!     .queue(1_000) // one more is refused
//!     .concurrency(32)
//!     .timeout(Duration::from_secs(5)) // each attempt
//!     .retry(Retry::times(2)) // with backoff and jitter
//!     .spawn_on(Thread::start()?, |text: String| async move { text.parse::<u64>() })?;
//!
//! let handle = processor.submit("42".to_owned())?; // never waits
//! assert_eq!(handle.wait()?, 42); // in async code: `handle.await?`
//!
//! let ended = processor.shutdown(Drain::graceful(Duration::from_secs(5)));
//! let report = futures::executor::block_on(ended);
//! assert!(report.census.is_empty()); // nothing is left
//! # Ok(())
//! # }
//! ```
//!
//! On tokio it is `.spawn_on(Tokio::current(), …)` with the feature `tokio`; on smol `.spawn_on(Smol::global(), …)`, by default.
//!
//! # Six words
//!
//! | word | meaning |
//! |---|---|
//! | *task* | a job that was taken in, on its terms: priority, delay, time-outs, retries. It has an id that is never used again. |
//! | *attempt* | one call of the handler for a task. One that goes on after its task has ended is an *orphan*, and keeps its concurrency place until it stops. |
//! | *settled* | a task's outcome is fixed: completed, failed, timed out, cancelled, expired, shed or panicked. It happens once. |
//! | *permit* | room that is set aside for a task to come. What has a permit is not refused for lack of room. |
//! | *lane* | the tasks of one key, such as a host or a tenant, with a limit, a rate and a weight of their own. |
//! | *drain* | the way to the end: nothing new is taken in, what was taken in is settled, and everything is given back. |
//!
//! # How to get a deadlock
//!
//! No call of this crate waits for anything but a short lock, unless it returns a future or is named `wait`. A deadlock is
//! a circle in the code around it: something that keeps a place waits for something that needs one.
//!
//! - **A handler that awaits a task of its own processor.** It keeps its place while it waits. Once all places are kept
//!   that way, none is left for the tasks that they wait for. Give inner tasks a processor of their own, or have the
//!   outer one end and a [callback](TaskBuilder::call) go on.
//! - **A handler that waits for room in its own processor**, by [`submit_wait`](Access::submit_wait) or
//!   [`reserve`](Access::reserve): only handlers make room. Use [`submit`](Access::submit) there, and heed its refusal.
//! - **A permit that is held across an `.await`** of something that needs room itself. Reserve last, submit at once.
//! - **[`Handle::wait`] on the thread that runs the processor**, or a blocking call around [`shutdown`](Processor::shutdown) or
//!   [`idle`](Access::idle) in a callback. A handler that awaits `idle` waits for itself.
//! - **A load of a [`Cache`] that asks for its own key**: it waits for its own end.
//!
//! A schedule-to-close time-out ([`Timeouts`]) ends the first two of them. [`Health`] shows them: as many attempts run as may, and
//! nothing settles.
//!
//! # Where to go next
//!
//! | to | read |
//! |---|---|
//! | find the call for your case: handle, callback, stream, batch, source, one thread | [choosing a shape](guide::choosing_a_shape) |
//! | know what is guaranteed, size it, shut it down | [production boundaries](guide::production_boundaries) |
//! | see what others got wrong | [common mistakes](guide::common_mistakes) |
//! | replace a `JoinSet`, `buffer_unordered`, p-queue or BullMQ | [moving over](guide::moving_over) |
//! | make it faster, with figures | [tuning](guide::tuning) |
//! | copy a solution | the files in `examples`, one for each thing that people search for |
//! | run it on an executor of yours | [`Runtime`] |
//! | drive the machine by hand | [`plimsoll-core`](machine), and its guide |
//!
//! # The main types
//!
//! A [`Builder`] makes a [`Processor`], the one owner; dropping it ends everything. [`Access`] has all else that can be done, for the
//! owner and for each [`Submitter`]: submit a job by [`submit`](Access::submit), or on terms of its own by [`task`](Access::task);
//! wait for room by a [`Permit`]; get results by a [`Handle`], a callback, a [`CompletionQueue`] or a [stream](Access::process).
//! A handler is told about its attempt by a [`Context`]. None of these but the owner keeps a processor alive.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(
    clippy::result_large_err,
    reason = "what is refused comes back by value: no allocation, nothing lost"
)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod attach;
mod batch;
mod batched;
mod builder;
mod building;
mod cache;
mod carried;
mod completions;
#[cfg(any(feature = "conformance", test))]
pub mod conformance;
mod context;
#[cfg(feature = "cron")]
mod cron;
mod emitter;
mod engine;
mod events;
mod flights;
mod footprint;
#[cfg(doc)]
pub mod guide;
mod handle;
mod handler;
mod idle;
mod inspect;
mod lanes;
#[cfg_attr(not(feature = "metrics"), path = "unmetered.rs")]
mod meter;
mod observation;
mod options;
mod panics;
mod park;
mod permit;
mod probes;
mod processor;
mod readiness;
mod recipient;
pub mod runtime;
mod schedules;
#[cfg(feature = "serde")]
pub mod serialized;
#[cfg(feature = "tower")]
pub mod service;
mod settlement;
mod sharing;
mod sink;
mod sleep;
pub mod source;
mod spawn;
mod stream;
mod submit;
mod submitter;
mod subscription;
mod task_builder;
mod task_error;
mod test_context;
#[cfg(test)]
mod tests;
#[cfg_attr(not(feature = "tracing"), path = "untraced.rs")]
mod trace;
mod wait;
mod when;
mod work;

/// The state machine under this crate, to be driven by hand.
pub use plimsoll_core as machine;

pub use access::Access;
pub use attach::EmitterHandle;
pub use batch::Submitted;
pub use batched::{Answer, Batch, BatchedAttempt, BatchedHandler, Batching, batched};
pub use builder::{Builder, Cloning, Mode, Once};
pub use building::{EngineFuture, LocalEngineFuture};
pub use cache::{Cache, CacheRefusal};
pub use completions::{CompletionQueue, Ready};
pub use context::{Context, SnoozeRefusal};
#[cfg(feature = "cron")]
pub use cron::{Cron, CronError};
pub use emitter::{BatchListener, Emitter, ErrorListener, TaskListener};
pub use events::{Events, Registration};
pub use footprint::Footprint;
pub use handle::{CancelOnDrop, Handle};
pub use handler::{Handler, InfallibleHandler, NeverFails, Run, TypedHandler, infallible, running, typed};
pub use idle::Idle;
pub use inspect::Inspection;
pub use lanes::lane_key;
#[cfg(feature = "metrics")]
pub use meter::DURATION_BOUNDS;
pub use options::Options;
pub use panics::PanicMessage;
pub use permit::{Permit, Reserve};
pub use probes::{NotLive, NotReady};
pub use processor::{Processor, Report, Shutdown};
pub use recipient::Callback;
#[cfg(feature = "smol")]
pub use runtime::smol::{Smol, SmolLocal};
pub use runtime::thread::Thread;
#[cfg(feature = "tokio")]
pub use runtime::tokio::{Tokio, TokioLocal};
pub use runtime::{LocalRuntime, Runtime, Threads, Timer, since_start};
pub use schedules::ScheduleHandle;
pub use settlement::Settlement;
pub use sharing::{AnyThread, Erase, Local, Sharing};
pub use sink::JobSink;
pub use sleep::Sleep;
pub use spawn::{Spawned, SpawnedJob};
pub use stream::{Process, ProcessOrdered, StreamRefusal, Usual};
pub use submitter::Submitter;
pub use subscription::{Notice, Subscription};
pub use task_builder::{RefusedCall, TaskBuilder};
pub use task_error::{TaskError, TaskResult};
pub use wait::SubmitWait;
pub use when::{Due, ScheduleStats, When};
pub use work::{AnyWork, LocalWork, SendWork, Work};

pub use plimsoll_core::{
    Account, AttachRefusal, AttemptId, BuildError, ByOutcome, ByRefusal, CacheLimits, CacheStats,
    CancelError, CancelReason, Cancelled, Census, Drain, EmitterId, ErrorKind, Event, Fed, FeedRefusal,
    Health, Hold, HoldRefusal, Instant, InvalidLimits, Jitter, Lane, LaneLimits, LaneView, LastError, Ledger,
    Limits, Message, Missed, OutcomeKind, Overflow, Overlap, Phase, Policy, Priority, PriorityRefusal,
    Progress, Rate, Refusal, Refused, Remains, ReserveRefusal, ResultLimits, Retry, Schedule, ScheduleId,
    ScheduleRefusal, Scope, SleepRefusal, Stage, SubscribeRefusal, TaskId, TaskView, Timeouts, Times, Totals,
    Unique,
};

/// The README's example, compiled.
#[cfg(all(doctest, feature = "smol"))]
#[doc = include_str!("../README.md")]
mod readme {}
