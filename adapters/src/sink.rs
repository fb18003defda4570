//! A sink of jobs.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_sink::Sink;
use plimsoll_core::{Refusal, Refused};

use crate::access::Access;
use crate::engine::machine::Shared;
use crate::options::Options;
use crate::permit::refusal_of;
use crate::readiness::Readiness;
use crate::work::AnyWork;

/// A [`Sink`] of jobs whose results are of no interest. Made by [`Access::sink`].
///
/// It is ready when there is room for one job, which it holds until that comes: see [`Permit`](crate::Permit). Flushing
/// and closing it do not wait for tasks, which [`Access::idle`] does; closing it gives its room back. An error has the
/// job where one was given.
#[must_use = "a sink does nothing unless jobs are sent to it"]
pub struct JobSink<W: AnyWork> {
    shared: Arc<Shared<W>>,
    options: Options<W::Meta>,
    room: Readiness<W>,
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
        JobSink { shared: self.shared.clone(), options, room: Readiness::NotAsked }
    }
}

// Nothing in it is pinned.
impl<W: AnyWork> Unpin for JobSink<W> {}

impl<W: AnyWork> Sink<W::Job> for JobSink<W> {
    type Error = Refused<Option<W::Job>>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = &mut *self;
        this.room.poll(&this.shared, cx).map_err(|reason| Refused::new(refusal_of(reason), None))
    }

    fn start_send(mut self: Pin<&mut Self>, job: W::Job) -> Result<(), Self::Error> {
        let Some(mut permit) = self.room.take() else {
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
        self.room.give_up();
        Poll::Ready(Ok(()))
    }
}

impl<W: AnyWork> fmt::Debug for JobSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSink").field("has_room", &self.room.is_ready()).finish_non_exhaustive()
    }
}
