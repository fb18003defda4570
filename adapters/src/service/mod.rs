//! Processors as [tower](https://docs.rs/tower) services, and services behind processors.
//!
//! | you have | you want | take |
//! |---|---|---|
//! | a processor | a service that submits to it | [`Access::service`](crate::Access::service): a [`JobService`] |
//! | a service, in a stack of layers | bounds, accounts, time-outs, retries around it | [`ProcessorLayer`]: a [`ProcessorService`] |
//! | a service | the same, and the owner in your own hands, to watch it and to shut it down | [`calling`] as the handler, then `Access::service` |
//! | a processor | a service that owns it | [`ProcessorService::new`] |
//!
//! A server with 64 requests under way at most, and 1,000 that wait, of which each tenant has a fair share. Requests
//! that wait for longer than a second are shed, and those that take longer than ten are stopped:
//!
//! ```
//! use plimsoll::service::{BoxError, ProcessorLayer, ServiceError};
//! use plimsoll::{Lane, LaneLimits, Options, Processor, TaskError, Thread, Timeouts};
//! use std::time::Duration;
//! use tower::{Service, ServiceBuilder, ServiceExt};
//!
//! struct Request { tenant: u64, path: String }
//! type Response = (u16, String);
//!
//! async fn answer(request: Request) -> Result<Response, BoxError> {
//!     if request.path == "/" { Ok((200, "welcome".into())) } else { Err("no such page".into()) }
//! }
//!
//! /// As in axum's `HandleErrorLayer`, say.
//! fn describe(error: BoxError) -> Response {
//!     match error.downcast_ref::<ServiceError>() {
//!         Some(ServiceError::Task(TaskError::TimedOut)) => (504, "it took too long".into()),
//!         Some(ServiceError::Task(TaskError::Panicked(_))) | None => (500, error.to_string()),
//!         Some(_) => (503, "try again later".into()),
//!     }
//! }
//!
//! # fn main() -> Result<(), BoxError> {
//! # let thread = Thread::start()?;
//! # futures::executor::block_on(async {
//! let second = Duration::from_secs(1);
//! let timeouts = Timeouts { schedule_to_start: Some(second), start_to_close: Some(10 * second), ..Timeouts::NONE };
//! let builder = Processor::builder().queue(1_000).concurrency(64).lanes(LaneLimits::new(10_000)).timeouts(timeouts);
//! let processor = ProcessorLayer::new(builder, thread)
//!     .options(|request: &Request| Options::default().lane(Lane::new(request.tenant)));
//!
//! let server = ServiceBuilder::new().layer(processor).service_fn(answer);
//!
//! // A clone for each connection. On each, `ready` waits for a place before a request is called.
//! let mut connection = server.clone();
//! let response = connection.ready().await?.call(Request { tenant: 7, path: "/".into() }).await;
//! assert_eq!(response.unwrap_or_else(describe), (200, "welcome".into()));
//!
//! let response = connection.ready().await?.call(Request { tenant: 8, path: "/nowhere".into() }).await;
//! assert_eq!(response.unwrap_or_else(describe), (500, "no such page".into()));
//! assert_eq!(server.processor()?.totals().settled.failed, 1);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! A service whose sockets or timers are tokio's needs a processor on tokio (`Tokio::current()`): on another runtime its
//! calls panic. It has to be `Clone + Send + Sync`; one in a box is, as a `BoxCloneSyncService`. To say that an error is not
//! to be tried again, take a closure in the place of [`calling`], which calls the service and then
//! [`Context::no_retry`](crate::Context::no_retry).
//!
//! # What being ready means
//!
//! A service is ready when it holds a place: room for one task in the queue, which nobody else can use
//! ([`Permit`](crate::Permit)). That makes the load felt where it comes from: a caller that waits for `poll_ready`
//! accepts no further request. `call` uses the place, and the task then waits for its turn like any other. So:
//!
//! - **Call soon, or drop the service.** A place that is held is missing elsewhere. If all places are held by services
//!   that wait for something else (the next request of a connection, or each other), nothing can start. Layers that
//!   make a service ready in advance, and connections that do so while they are idle, need a queue with as many places
//!   as there are of them. [`Health::permits`](crate::Health::permits) counts the places that are held.
//! - **A service that waits has to be polled on.** One that was pending and is then left alone may be granted the place
//!   that came free, and keeps it until it is dropped. Waiters are served in the order of their arrival, so it also
//!   holds back those behind it. A caller that gives up drops the service.
//! - **Take responses.** A response that nobody polls keeps its slot ([`Limits::unclaimed`](crate::Limits::unclaimed)).
//! - **Don't call a service from a job of its own processor**, and wait: jobs that wait for jobs need places of which
//!   all may be taken by jobs that wait.
//! - **Put no [`ProcessorService`] into its own requests or inner service.** It would keep the processor alive that
//!   keeps it. What they submit further jobs by is a [`Submitter`](crate::Submitter) or
//!   [`Access::service`](crate::Access::service), which keep nothing alive.
//!
//! A refusal is no error of `poll_ready`, because callers of a service that had one discard it. See [`JobService`].
//!
//! # What a response means
//!
//! It is the result of the task, and dropping it cancels the task, whether that waits or runs: so a client that hangs
//! up costs nothing more, and so does a time-out of a layer above. A job that must be done in any case is better
//! [posted](crate::TaskBuilder::post), or submitted by a spawned future.
//!
//! # The order of layers
//!
//! Layers above a processor see the time in the queue, and those below each attempt. A time-out below is one of an
//! attempt, as is `start_to_close`; a rate limit below counts each attempt. A concurrency limit below that is lower
//! than that of the processor has attempts wait in concurrency places: then lower the latter instead.

mod error;
mod handler;
mod jobs;
mod layer;

pub use error::{BoxError, ServiceError};
pub use handler::{Call, Calls, ServiceHandler, calling};
pub use jobs::{JobResponse, JobService};
pub use layer::{ProcessorLayer, ProcessorResponse, ProcessorService};
