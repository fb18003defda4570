//! Any service behind a processor.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll_core::BuildError;
use tower_layer::Layer;
use tower_service::Service;

use super::{BoxError, Calls, JobResponse, JobService, ServiceError, calling};
use crate::access::Access;
use crate::builder::{Builder, Mode, Once};
use crate::options::Options;
use crate::processor::Processor;
use crate::runtime::Runtime;
use crate::stream::{Usual, usual};
use crate::work::{AnyWork, SendWork};

/// Puts a service behind a processor of its own: as `tower::buffer` does, but with the limits, accounts, priorities,
/// time-outs and retries of a processor. See [`service`](crate::service) for an example.
///
/// The inner service is called as [`calling`] says, from attempts that are spawned on the runtime. It has to be `Clone`
/// and `Sync`; one in a box is, as a `BoxCloneSyncService`. Errors are a [`BoxError`]: those of the inner service as
/// they are, any other a [`ServiceError`].
///
/// Each call of [`layer`](Layer::layer) builds a processor. axum's `Router::layer` calls it once for each route: to
/// have one processor for a whole router, put the layer around that. The processor lives as long as a clone of the
/// service or a response does, and is aborted after that. All processors of a layer have the [name](Builder::name) of
/// its builder, and so are not told apart by metrics and spans: for that, make a layer for each.
///
/// The builder can't be used up by that; but a [cache](Builder::cache) goes to the processor that is built first, and
/// others have none.
pub struct ProcessorLayer<Req, U, R = Once, F = fn(&Req) -> Options> {
    builder: Builder<R>,
    runtime: U,
    options: F,
    request: PhantomData<fn(Req)>,
}

impl<Req, U, R> ProcessorLayer<Req, U, R> {
    /// Processors like this, on this runtime. Nothing is built or spawned yet.
    pub fn new(builder: Builder<R>, runtime: U) -> Self {
        Self { builder, runtime, options: |_| Options::default(), request: PhantomData }
    }
}

impl<Req, U, R, F> ProcessorLayer<Req, U, R, F> {
    /// Sets the terms of each request: see [`JobService::options`].
    pub fn options<G>(self, options: G) -> ProcessorLayer<Req, U, R, G>
    where
        G: Fn(&Req) -> Options,
    {
        ProcessorLayer { builder: self.builder, runtime: self.runtime, options, request: PhantomData }
    }
}

impl<S, Req, U, R, F> Layer<S> for ProcessorLayer<Req, U, R, F>
where
    S: Service<Req, Future: Send> + Clone + Send + Sync + 'static,
    Calls<S, Req>: SendWork<Job = Req, Meta = ()>,
    Req: 'static,
    U: Runtime + Clone,
    R: Mode<Req>,
    F: Fn(&Req) -> Options + Clone,
{
    type Service = ProcessorService<Calls<S, Req>, F>;

    /// Builds and spawns a processor. If it can't be built, `poll_ready` of the service says why: a [`BuildError`].
    fn layer(&self, inner: S) -> Self::Service {
        let builder = self.builder.clone().without_taken_cache();
        let built = builder.spawn_on(self.runtime.clone(), calling(inner));
        ProcessorService(built.map(|processor| Running::new(processor, self.options.clone())))
    }
}

impl<Req, U: Clone, R, F: Clone> Clone for ProcessorLayer<Req, U, R, F> {
    fn clone(&self) -> Self {
        let Self { builder, runtime, options, request } = self;
        Self {
            builder: builder.clone(),
            runtime: runtime.clone(),
            options: options.clone(),
            request: *request,
        }
    }
}

impl<Req, U, R, F> fmt::Debug for ProcessorLayer<Req, U, R, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorLayer").field("builder", &self.builder).finish_non_exhaustive()
    }
}

/// A [`JobService`] that, together with its clones and their responses, owns its processor. Made by [`ProcessorLayer`],
/// or [of a processor](Self::new).
///
/// When the last of them is dropped, the processor is aborted. Nobody awaits anything of it then. A clone in a request
/// or in the inner service would keep the processor alive that holds it, and so itself, for ever: a job that submits
/// further ones takes a [`Submitter`](crate::Submitter) or a [`JobService`] ([`Access::service`]).
#[must_use = "dropping it aborts the processor"]
pub struct ProcessorService<W: AnyWork, F = Usual<W>>(Result<Running<W, F>, BuildError>);

struct Running<W: AnyWork, F> {
    // Dropped first: its place goes back to a processor that is alive.
    jobs: JobService<W, F>,
    owner: Arc<Processor<W>>,
}

impl<W: AnyWork, F> Running<W, F> {
    fn new(processor: Processor<W>, options: F) -> Self
    where
        F: Fn(&W::Job) -> Options<W::Meta>,
    {
        Self { jobs: JobService::with(&processor, options), owner: Arc::new(processor) }
    }
}

impl<W: AnyWork<Meta: Default>> ProcessorService<W> {
    /// A service of this processor, which it owns from now on. Requests have the default terms.
    pub fn new(processor: Processor<W>) -> Self {
        Self(Ok(Running::new(processor, usual::<W>)))
    }
}

impl<W: AnyWork, F> ProcessorService<W, F> {
    /// Access to the processor: to watch it, to steer it, to submit further jobs.
    ///
    /// # Errors
    /// There is none, since it could not be built.
    pub fn processor(&self) -> Result<&Access<W>, BuildError> {
        match &self.0 {
            Ok(running) => Ok(&running.owner),
            Err(error) => Err(*error),
        }
    }
}

impl<W, F> Service<W::Job> for ProcessorService<W, F>
where
    W: AnyWork<Error: Into<BoxError>>,
    F: Fn(&W::Job) -> Options<W::Meta>,
{
    type Response = W::Output;
    type Error = BoxError;
    type Future = ProcessorResponse<W>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Ok(running) => running.jobs.poll_ready(cx).map_err(ServiceError::into_box_error),
            Err(error) => Poll::Ready(Err((*error).into())),
        }
    }

    fn call(&mut self, job: W::Job) -> ProcessorResponse<W> {
        let (response, owner) = match &mut self.0 {
            Ok(running) => (running.jobs.call(job), Some(running.owner.clone())),
            Err(_) => (JobResponse::refused(ServiceError::NotReady), None),
        };
        ProcessorResponse { response, owner }
    }
}

impl<W: AnyWork, F: Clone> Clone for ProcessorService<W, F> {
    /// It has no place, and stands in no line.
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Ok(Running { jobs, owner }) => Ok(Running { jobs: jobs.clone(), owner: owner.clone() }),
            Err(error) => Err(*error),
        })
    }
}

impl<W: AnyWork, F> fmt::Debug for ProcessorService<W, F> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessorService").field(&self.processor()).finish()
    }
}

/// The response of a [`ProcessorService`]. Dropping it before it is ready cancels the task, as with a [`JobResponse`].
#[must_use = "dropping it cancels the task"]
pub struct ProcessorResponse<W: AnyWork> {
    // Dropped first, so that the task is cancelled in a processor that is alive.
    response: JobResponse<W>,
    owner: Option<Arc<Processor<W>>>,
}

// Nothing in it is pinned.
impl<W: AnyWork> Unpin for ProcessorResponse<W> {}

impl<W: AnyWork<Error: Into<BoxError>>> Future for ProcessorResponse<W> {
    type Output = Result<W::Output, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.response).poll(cx).map_err(ServiceError::into_box_error)
    }
}

impl<W: AnyWork> fmt::Debug for ProcessorResponse<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorResponse")
            .field("response", &self.response)
            .field("is_built", &self.owner.is_some())
            .finish()
    }
}
