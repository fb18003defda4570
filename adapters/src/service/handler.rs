//! A service as a handler.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use crate::context::Context;
use crate::handler::Handler;
use crate::sharing::Sharing;

/// The work of a processor that calls a service: its jobs are the requests, its outputs the responses.
pub type Calls<S, Req> = fn(Req) -> Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>;

/// A handler that calls a service with each job. For a processor of which you keep the owner, to watch it and to shut
/// it down; [`Access::service`](crate::Access::service) makes a service of it again.
///
/// Each attempt has a clone of the service to itself: it waits until that clone is ready, and then calls it. So a
/// service that has to be polled before each call gets that, and one that is ready for one caller at a time is shared
/// as its `Clone` says. An attempt that waits has a concurrency place, and its time-outs count. Errors of `poll_ready`
/// are those of the attempt, which is tried again if the terms say so: with a further clone, never with one that has
/// had an error.
///
/// ```
/// use plimsoll::service::calling;
/// use plimsoll::{Drain, Processor, Retry, Thread};
/// use std::time::Duration;
/// use tower::{ServiceExt, service_fn};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # futures::executor::block_on(async {
/// let inner = service_fn(async |text: String| text.parse::<u32>());
/// let processor = Processor::builder()
///     .concurrency(8)
///     .timeout(Duration::from_secs(10))
///     .retry(Retry::times(2))
///     .spawn_on(Thread::start()?, calling(inner))?;
///
/// let service = processor.service();
/// assert_eq!(service.oneshot("42".into()).await?, 42);
/// let report = processor.shutdown(Drain::graceful(Duration::from_secs(30))).await;
/// assert_eq!(report.totals.settled.completed, 1);
/// # Ok(())
/// # })
/// # }
/// ```
pub const fn calling<S>(service: S) -> ServiceHandler<S> {
    ServiceHandler(service)
}

/// Made by [`calling`].
#[derive(Clone, Copy)]
pub struct ServiceHandler<S>(S);

impl<S, Req, T: Sharing> Handler<Calls<S, Req>, (Req,), T> for ServiceHandler<S>
where
    S: Service<Req> + Clone,
{
    type Future = Call<S, Req>;

    fn call(&self, request: Req, _: impl FnOnce() -> Context<(), T>) -> Call<S, Req> {
        Call { state: State::Waiting { service: self.0.clone(), request: Some(request) } }
    }
}

impl<S> fmt::Debug for ServiceHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceHandler")
    }
}

pin_project! {
    /// The future of an attempt of a [`ServiceHandler`].
    #[must_use = "a future does nothing unless it is polled"]
    pub struct Call<S, Req> where S: Service<Req> {
        #[pin]
        state: State<S, Req, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Req, F> {
        Waiting { service: S, request: Option<Req> },
        Called { #[pin] response: F },
    }
}

impl<S: Service<Req>, Req> Future for Call<S, Req> {
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        if let StateProjection::Waiting { service, request } = state.as_mut().project() {
            ready!(service.poll_ready(cx))?;
            // It is there until the state is another one, unless `call` has panicked.
            let Some(request) = request.take() else { return Poll::Pending };
            let response = service.call(request);
            state.set(State::Called { response });
        }
        match state.project() {
            StateProjection::Called { response } => response.poll(cx),
            StateProjection::Waiting { .. } => Poll::Pending,
        }
    }
}

impl<S: Service<Req>, Req> fmt::Debug for Call<S, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_called = matches!(self.state, State::Called { .. });
        f.debug_struct("Call").field("is_called", &is_called).finish_non_exhaustive()
    }
}
