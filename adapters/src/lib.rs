//! A bounded in-process task processor: what it will ever hold is fixed when it is built, everything that enters
//! leaves exactly once, and it can prove both while it runs.
//!
//! This crate runs the state machine of [`plimsoll-core`](machine) on smol, on tokio, on
//! [a plain thread](Thread), or on anything that implements [`Runtime`].
//!
//! ```
//! use plimsoll::{Drain, Processor, Thread};
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let processor = Processor::builder()
//!     .queue(1_000)
//!     .concurrency(32)
//!     .spawn_on(Thread::start()?, |text: String| async move { text.parse::<u64>() })?;
//!
//! let handle = processor.submit("42".into())?;
//! assert_eq!(futures::executor::block_on(handle)?, 42);
//!
//! let report = futures::executor::block_on(processor.shutdown(Drain::graceful(Duration::from_secs(5))));
//! assert!(report.census.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # Who owns what
//!
//! [`Processor`] is the one owner. A [`Submitter`] gives the same [`Access`], is cheap to clone and cannot keep the processor
//! alive; neither can a [`Handle`], a [`Subscription`], an [`EmitterHandle`] or a [`Context`], wherever they are stored,
//! the processor's own jobs included. When the owner is dropped, or [`shutdown`](Processor::shutdown) is done, every
//! task is settled, every callback called, and everything that the processor held is dropped: jobs, futures, handler,
//! listeners, cache and timer. What a worker has in hand at that moment, on this thread or on another, is dropped when the
//! poll that is going on returns: one attempt on a runtime with several threads, those that are ready on one thread. This does
//! not need the runtime, which may have stopped before.
//!
//! After a graceful end two things are left: outcomes that belong to living handles, and unread events that belong to
//! living subscriptions. They go with them.
//!
//! A runtime that ends before its processor does drops the processor's futures. Then the processor ends too, on the thread
//! that drops them: callbacks are called, what is not settled is cancelled, outcomes that were fixed are still delivered,
//! and everybody who waits is told.
//!
//! # How it runs
//!
//! A fixed number of *workers* is spawned once: one on a runtime with one thread, else one for each attempt that may run at
//! the same time, up to 257. Attempts live one after the other in *places*, which belong to no worker: a task costs no
//! allocation and no spawn. A worker takes new attempts and ready ones in turn, each kind in its order, so that no handler
//! starves another. On several threads it takes one at a time ([`Builder::prefetch`]): a handler that blocks its thread
//! delays no other, as if it had been spawned on its own. On one thread a handler that computes delays all others for so
//! long; their time-outs count from the call of their handlers, and what was done in time is never reported as late. A worker
//! notices that handlers have become slow when it reads the clock next, after 32 polls at most; from then on it lets other
//! tasks run after each that takes longer than a millisecond.
//!
//! One *timekeeper* owns the one timer of the runtime that a processor uses. It runs no code of yours. Callbacks, wakers,
//! clones and drops of your values never run under a lock of this crate, so all of them may call back into the processor.
//! (The `Eq` of a cache key is the exception; see [`Cache`].)
//!
//! A panic in a handler settles its task as [`TaskError::Panicked`] and hurts no other. What panics after the outcome is
//! fixed (a callback, a payload's `Drop`) is caught and counted in [`Totals::late_panics`]. With `panic = "abort"`
//! none of that can be promised.
//!
//! Jobs, outputs, errors and the handler's futures are `Send + 'static`; in a processor of [`Local`] work, which stays on one
//! thread ([`Builder::spawn_local_on`]), they need not be `Send`.

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
mod handle;
mod handler;
mod idle;
mod inspect;
mod lanes;
mod options;
mod panics;
mod park;
mod permit;
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
mod wait;
mod when;
mod work;

/// The state machine under this crate, for those who want to drive it by hand.
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
pub use options::Options;
pub use panics::PanicMessage;
pub use permit::{Permit, Reserve};
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
    Account, AttachRefusal, AttemptId, BuildError, ByOutcome, CacheLimits, CacheStats, CancelError,
    CancelReason, Cancelled, Census, Drain, EmitterId, ErrorKind, Event, Fed, FeedRefusal, Health, Hold,
    HoldRefusal, Instant, InvalidLimits, Jitter, Lane, LaneLimits, LaneView, LastError, Ledger, Limits,
    Message, Missed, OutcomeKind, Overflow, Overlap, Phase, Policy, Priority, PriorityRefusal, Progress,
    Rate, Refusal, Refused, Remains, ReserveRefusal, ResultLimits, Retry, Schedule, ScheduleId,
    ScheduleRefusal, Scope, SleepRefusal, Stage, SubscribeRefusal, TaskId, TaskView, Timeouts, Times, Totals,
    Unique,
};

/// The README's example, compiled.
#[cfg(all(doctest, feature = "smol"))]
#[doc = include_str!("../README.md")]
mod readme {}
