//! A processor as a service.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use plimsoll_core::{Phase, Refusal, ReserveRefusal};
use tower_service::Service;

use super::ServiceError;
use crate::access::Access;
use crate::engine::machine::Shared;
use crate::handle::CancelOnDrop;
use crate::options::Options;
use crate::permit::{Permit, refusal_of};
use crate::readiness::Readiness;
use crate::stream::{Usual, usual};
use crate::work::AnyWork;

/// A [`Service`] that submits each request as a job. Made by [`Access::service`].
///
/// It is ready when a place is set aside for its next job, which it holds until then: see [`Permit`]. So a call is
/// never refused for lack of room. Dropping the service gives its place back. A clone has no place, and stands in no
/// line.
///
/// Its response is the result of the task. Dropping the response before that cancels the task.
///
/// `poll_ready` has an error once the processor is draining or has ended, and for nothing else, since callers discard a
/// service with an error. What keeps a service from waiting at this moment
/// ([`Limits::waiters`](crate::Limits::waiters), [`Limits::unclaimed`](crate::Limits::unclaimed)) makes it ready, too:
/// then its next call takes a place if there is one by that time, and is refused if not.
///
/// It does not keep the processor alive, which [`ProcessorService`](super::ProcessorService) does.
#[must_use = "a service does nothing unless it is called"]
pub struct JobService<W: AnyWork, F = Usual<W>> {
    shared: Arc<Shared<W>>,
    options: F,
    room: Readiness<W>,
    /// Whether it is ready without a place, for it could not wait.
    is_denied: bool,
}

impl<W: AnyWork> Access<W> {
    /// A tower service that submits each request as a job on the default terms; [`JobService::options`] sets others.
    /// See [`service`](crate::service).
    ///
    /// ```
    /// use plimsoll::{Processor, Thread, infallible};
    /// use tower::ServiceExt;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let builder = Processor::builder().queue(100).concurrency(8);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let service = processor.service();
    /// assert_eq!(service.clone().oneshot(21).await?, 42);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn service(&self) -> JobService<W>
    where
        W::Meta: Default,
    {
        JobService::with(self, usual::<W> as Usual<W>)
    }
}

impl<W: AnyWork, F> JobService<W, F> {
    /// A service of this processor.
    pub(super) fn with(access: &Access<W>, options: F) -> Self {
        Self::new(access.shared.clone(), options)
    }

    const fn new(shared: Arc<Shared<W>>, options: F) -> Self {
        Self { shared, options, room: Readiness::NotAsked, is_denied: false }
    }

    /// Sets the terms of each job, by this function: its priority, its lane, how often it is tried. Default: the
    /// default terms.
    ///
    /// ```
    /// use plimsoll::{LaneLimits, Lane, Options, Processor, Thread, infallible};
    /// use tower::ServiceExt;
    ///
    /// struct Request { tenant: u64, body: &'static str }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let processor = Processor::builder()
    ///     .lanes(LaneLimits::new(1_000))
    ///     .spawn_on(Thread::start()?, infallible(|request: Request| async move { request.body.len() }))?;
    /// // Each tenant has a fair share, and at most two requests at a time.
    /// let lane = |request: &Request| Options::default().lane(Lane::new(request.tenant).concurrency(2));
    /// let service = processor.service().options(lane);
    /// assert_eq!(service.oneshot(Request { tenant: 7, body: "hello" }).await?, 5);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn options<G>(self, options: G) -> JobService<W, G>
    where
        G: Fn(&W::Job) -> Options<W::Meta>,
    {
        JobService { shared: self.shared, options, room: self.room, is_denied: self.is_denied }
    }

    /// Whether its next call may be made: with a place, or with what is there then.
    fn is_ready(&self) -> bool {
        self.room.is_ready() || self.is_denied
    }

    fn is_open(&self) -> bool {
        self.shared.read(|machine| machine.phase()) == Phase::Open
    }

    fn closed(&mut self) -> ServiceError<W::Error> {
        self.room.give_up();
        self.is_denied = false;
        ServiceError::Refused(Refusal::Closed)
    }
}

impl<W, F> Service<W::Job> for JobService<W, F>
where
    W: AnyWork,
    F: Fn(&W::Job) -> Options<W::Meta>,
{
    type Response = W::Output;
    type Error = ServiceError<W::Error>;
    type Future = JobResponse<W>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.is_ready() {
            // The end takes the places of permits without a word.
            return Poll::Ready(if self.is_open() { Ok(()) } else { Err(self.closed()) });
        }
        match ready!(self.room.poll(&self.shared, cx)) {
            Ok(()) => {}
            Err(ReserveRefusal::Closed) => return Poll::Ready(Err(self.closed())),
            Err(_) => self.is_denied = true,
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, job: W::Job) -> JobResponse<W> {
        let permit = if std::mem::take(&mut self.is_denied) {
            // That may be long ago.
            Permit::take(&self.shared, 1).map_err(|reason| ServiceError::Refused(refusal_of(reason)))
        } else {
            self.room.take().ok_or(ServiceError::NotReady)
        };
        permit.map_or_else(JobResponse::refused, |permit| submit(permit, job, &self.options))
    }
}

fn submit<W, F>(mut permit: Permit<W>, job: W::Job, options: &F) -> JobResponse<W>
where
    W: AnyWork,
    F: Fn(&W::Job) -> Options<W::Meta>,
{
    let options = options(&job);
    match permit.task_with_meta(job, options.meta).options(options).submit() {
        Ok(handle) => JobResponse(Response::Task(handle.cancel_on_drop())),
        Err(refused) => JobResponse::refused(ServiceError::Refused(refused.reason)),
    }
}

impl<W: AnyWork, F: Clone> Clone for JobService<W, F> {
    /// It has no place, and stands in no line.
    fn clone(&self) -> Self {
        Self::new(self.shared.clone(), self.options.clone())
    }
}

impl<W: AnyWork, F> fmt::Debug for JobService<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobService").field("has_room", &self.room.is_ready()).finish_non_exhaustive()
    }
}

/// The result of the task that a [`JobService`] has made of a request. Dropping it before it is ready cancels the task:
/// a task that waits gives its place back at once, one that runs is asked to stop (see
/// [`Builder::cancel_grace`](crate::Builder::cancel_grace)). After it was ready it must not be polled again.
#[must_use = "dropping it cancels the task"]
pub struct JobResponse<W: AnyWork>(Response<W>);

enum Response<W: AnyWork> {
    Task(CancelOnDrop<W>),
    Refused(ServiceError<W::Error>),
    Taken,
}

impl<W: AnyWork> JobResponse<W> {
    pub(super) const fn refused(error: ServiceError<W::Error>) -> Self {
        Self(Response::Refused(error))
    }
}

// Nothing in it is pinned.
impl<W: AnyWork> Unpin for JobResponse<W> {}

impl<W: AnyWork> Future for JobResponse<W> {
    type Output = Result<W::Output, ServiceError<W::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.0 {
            Response::Task(handle) => ready!(Pin::new(handle).poll(cx)).map_err(ServiceError::Task),
            refused => match std::mem::replace(refused, Response::Taken) {
                Response::Refused(error) => Err(error),
                Response::Task(_) | Response::Taken => {
                    debug_assert!(false, "polled after it was ready");
                    return Poll::Pending;
                }
            },
        };
        self.0 = Response::Taken;
        Poll::Ready(answer)
    }
}

impl<W: AnyWork> fmt::Debug for JobResponse<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobResponse")
            .field("is_submitted", &matches!(self.0, Response::Task(_)))
            .finish_non_exhaustive()
    }
}
