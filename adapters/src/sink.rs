//! A sink of jobs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use plimsoll_core::{Refusal, Refused};

use crate::access::Access;
use crate::engine::machine::Shared;
use crate::options::Options;
use crate::permit::{Permit, Reserve, refusal_of};
use crate::work::AnyWork;

/// A [`Sink`] of jobs whose results are of no interest. Made by [`Access::sink`].
///
/// It is ready when there is room for one job, which it holds until that comes: see [`Permit`]. Flushing and closing it do not
/// wait for tasks, which [`Access::idle`] does; closing it gives its room back. An error has the job where one was given.
#[must_use = "a sink does nothing unless jobs are sent to it"]
pub struct JobSink<W: AnyWork> {
    shared: Arc<Shared<W>>,
    options: Options<W::Meta>,
    permit: Option<Permit<W>>,
    reserve: Option<Reserve<W>>,
}

impl<W: AnyWork> Access<W> {
    /// A sink that submits each job on these terms as soon as there is room.
    ///
    /// ```
    /// use futures::{SinkExt, StreamExt};
    /// use plimsoll::{Options, Processor, Thread, infallible};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let builder = Processor::builder().queue(10).concurrency(2);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u64| async {}))?;
    /// let jobs = futures::stream::iter(0..1_000).map(Ok);
    /// jobs.forward(processor.sink(Options::default())).await?;
    /// processor.idle().await;
    /// assert_eq!(processor.totals().settled.completed, 1_000);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn sink(&self, options: Options<W::Meta>) -> JobSink<W> {
        JobSink { shared: self.shared.clone(), options, permit: None, reserve: None }
    }
}

// Nothing in it is pinned.
impl<W: AnyWork> Unpin for JobSink<W> {}

impl<W: AnyWork> Sink<W::Job> for JobSink<W> {
    type Error = Refused<Option<W::Job>>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = &mut *self;
        if this.permit.is_some() {
            return Poll::Ready(Ok(()));
        }
        let reserve = this.reserve.get_or_insert_with(|| Reserve::new(this.shared.clone(), 1));
        let reserved = ready!(Pin::new(reserve).poll(cx));
        this.reserve = None;
        Poll::Ready(match reserved {
            Ok(permit) => {
                this.permit = Some(permit);
                Ok(())
            }
            Err(reason) => Err(Refused::new(refusal_of(reason), None)),
        })
    }

    fn start_send(mut self: Pin<&mut Self>, job: W::Job) -> Result<(), Self::Error> {
        let Some(mut permit) = self.permit.take() else {
            // It was not ready.
            return Err(Refused::new(Refusal::UsedUp, Some(job)));
        };
        let posted = permit.task_with_meta(job, self.options.meta).options(self.options).post();
        posted.map(drop).map_err(|refused| refused.map(Some))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        (self.permit, self.reserve) = (None, None);
        Poll::Ready(Ok(()))
    }
}

impl<W: AnyWork> fmt::Debug for JobSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSink").field("has_room", &self.permit.is_some()).finish_non_exhaustive()
    }
}
