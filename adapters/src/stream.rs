//! Streams of jobs, and of their results.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;
use plimsoll_core::{BuildError, Refusal, Refused, ReserveRefusal};

use crate::access::Access;
use crate::completions::CompletionQueue;
use crate::engine::machine::{MOST_A_HOLD, Shared};
use crate::handle::Handle;
use crate::options::Options;
use crate::permit::{Permit, Reserve, refusal_of};
use crate::settlement::Settlement;
use crate::task_builder::TaskBuilder;
use crate::work::AnyWork;

/// Why a job of a stream was refused, with the job; or why the rest was not processed, with the job that was pulled last, if
/// there was one.
pub type StreamRefusal<W> = Refused<Option<<W as AnyWork>::Job>>;

impl<W: AnyWork> Access<W> {
    /// Processes a stream of jobs on the default terms, at most `limit` of them at a time: a stream of their settlements, in
    /// the order in which they are settled.
    ///
    /// No job is pulled without room for it, so a processor that is busy holds the stream back. It works while it is polled;
    /// polling it again later loses nothing. Dropping it drops the stream and the results; tasks that were submitted go on.
    /// A stream that has nothing yet holds no room.
    ///
    /// A job that is refused for its own terms, such as its lane or its key, comes back as an item, and the others go on. If the
    /// rest cannot be processed, for the processor has ended, or too many others wait for room, the last item says so, and the
    /// stream of jobs is dropped: give `&mut` of it to keep what it still has.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use plimsoll::{Processor, Thread, infallible};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut results = processor.process(futures::stream::iter(1..=1_000), 100)?;
    /// let mut sum = 0;
    /// while let Some(settled) = results.next().await {
    ///     sum += settled.map_err(|refused| refused.reason)?.result?;
    /// }
    /// assert_eq!(sum, 1_001_000);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// [`Process::options`] sets the terms of each job. Allocates room for `limit` results, twice.
    ///
    /// A full [lane](crate::Lane) is not waited for: its jobs come back as above. Jobs for several lanes, of which one may be slow,
    /// take a stream for each lane, with a `limit` of a few more than its concurrency, and no more than
    /// [`LaneLimits::queue`](crate::LaneLimits::queue): then a lane that is slow holds back its own stream, and no other.
    ///
    /// # Errors
    /// [`BuildError::Memory`]: it has room for `limit` results.
    pub fn process<S>(&self, jobs: S, limit: u32) -> Result<Process<S, W>, BuildError>
    where
        S: Stream<Item = W::Job>,
        W::Meta: Default,
    {
        Ok(Process {
            feed: Feed::new(jobs, self.shared.clone(), usual::<W> as Usual<W>),
            queue: self.completion_queue(limit.max(1))?,
            refused: None,
        })
    }

    /// As [`process`](Self::process), with the items in the order of the jobs. One that takes long holds those behind it
    /// back, and the stream once `limit` of them wait. The results are in the processor until they are taken here: one that is
    /// aborted has an error in place of each.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread};
    /// # use futures::StreamExt;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |text: &'static str| async move { text.parse::<u32>() })?;
    /// let mut results = processor.process_ordered(futures::stream::iter(["1", "two", "3"]), 8)?;
    /// let mut seen = Vec::new();
    /// while let Some(settled) = results.next().await {
    ///     seen.push(settled.map_err(|refused| refused.reason)?.result.ok());
    /// }
    /// assert_eq!(seen, [Some(1), None, Some(3)]);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BuildError::Memory`]: it has room for `limit` handles or jobs that were refused.
    pub fn process_ordered<S>(&self, jobs: S, limit: u32) -> Result<ProcessOrdered<S, W>, BuildError>
    where
        S: Stream<Item = W::Job>,
        W::Meta: Default,
    {
        let (limit, mut line) = (limit.max(1), VecDeque::new());
        let bytes = (limit as usize).saturating_mul(size_of::<Taken<W>>());
        line.try_reserve_exact(limit as usize).map_err(|_| BuildError::Memory { bytes })?;
        let feed = Feed::new(jobs, self.shared.clone(), usual::<W> as Usual<W>);
        Ok(ProcessOrdered { feed, line, limit })
    }
}

/// What gives each job of a stream its terms, where nothing else was said: the default ones.
pub type Usual<W> = fn(&<W as AnyWork>::Job) -> Options<<W as AnyWork>::Meta>;

pub(crate) fn usual<W: AnyWork<Meta: Default>>(_: &W::Job) -> Options<W::Meta> {
    Options::default()
}

pin_project! {
    /// Processes a stream of jobs. See [`Access::process`].
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct Process<S, W, F = Usual<W>> where W: AnyWork {
        #[pin]
        feed: Feed<S, W, F>,
        queue: CompletionQueue<W>,
        // A job that was refused for its own terms, until that was told. Results are told first, and meanwhile none is pulled.
        refused: Option<Refused<W::Job>>,
    }
}

pin_project! {
    /// Processes a stream of jobs in its order. See [`Access::process_ordered`].
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct ProcessOrdered<S, W, F = Usual<W>> where W: AnyWork {
        #[pin]
        feed: Feed<S, W, F>,
        // The jobs that were pulled, in order.
        line: VecDeque<Taken<W>>,
        limit: u32,
    }
}

/// What has become of a job of an ordered stream: its task, or a refusal of its own.
type Taken<W> = Result<Handle<W>, Refused<<W as AnyWork>::Job>>;

impl<S, W: AnyWork, F> Process<S, W, F> {
    /// Sets the terms of each job, by this function; the metadata tell whose a result is. Default: the default terms.
    ///
    /// ```
    /// # use plimsoll::{Context, Options, Processor, Thread};
    /// # use futures::StreamExt;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # futures::executor::block_on(async {
    /// let processor = Processor::builder()
    ///     .spawn_on(Thread::start()?, |text: &'static str, _: Context<usize>| async move { text.parse::<u32>() })?;
    /// let lines = futures::stream::iter(["1", "two"].into_iter());
    /// let mut results = processor.process(lines, 8)?.options(|text| Options::new(text.len())); // the metadata
    /// let mut letters = 0;
    /// while let Some(settled) = results.next().await {
    ///     letters += settled.map_err(|refused| refused.reason)?.meta;
    /// }
    /// assert_eq!(letters, 4);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn options<G>(self, options: G) -> Process<S, W, G>
    where
        G: Fn(&W::Job) -> Options<W::Meta>,
    {
        Process { feed: self.feed.with(options), queue: self.queue, refused: self.refused }
    }
}

impl<S, W: AnyWork, F> ProcessOrdered<S, W, F> {
    /// Sets the terms of each job, by this function. Default: the default terms.
    pub fn options<G>(self, options: G) -> ProcessOrdered<S, W, G>
    where
        G: Fn(&W::Job) -> Options<W::Meta>,
    {
        ProcessOrdered { feed: self.feed.with(options), line: self.line, limit: self.limit }
    }
}

impl<S, W, F> Stream for Process<S, W, F>
where
    S: Stream<Item = W::Job>,
    W: AnyWork,
    F: Fn(&W::Job) -> Options<W::Meta>,
{
    type Item = Result<Settlement<W>, StreamRefusal<W>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let room = this.queue.capacity().saturating_sub(this.queue.len());
        let most = if this.refused.is_some() { 0 } else { room };
        let fed = this.feed.as_mut().poll_feed(cx, most, |task| match task.submit_to(this.queue) {
            Err(job) if job.reason != Refusal::Closed => {
                *this.refused = Some(job);
                Ok(false)
            }
            submitted => submitted.map(|_| true),
        });
        let settled = Pin::new(this.queue).poll_next(cx);
        if let Poll::Ready(Some(settled)) = settled {
            return Poll::Ready(Some(Ok(settled)));
        }
        if let Some(refused) = this.refused.take() {
            return Poll::Ready(Some(Err(refused.map(Some))));
        }
        ready!(settled);
        this.feed.end(fed)
    }
}

impl<S, W, F> Stream for ProcessOrdered<S, W, F>
where
    S: Stream<Item = W::Job>,
    W: AnyWork,
    F: Fn(&W::Job) -> Options<W::Meta>,
{
    type Item = Result<Settlement<W>, StreamRefusal<W>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let room = (*this.limit as usize).saturating_sub(this.line.len());
        let fed = this.feed.as_mut().poll_feed(cx, room, |task| match task.submit() {
            Err(last) if last.reason == Refusal::Closed => Err(last),
            taken => {
                this.line.push_back(taken);
                Ok(true)
            }
        });
        if let Some(Ok(task)) = this.line.front_mut() {
            let settled = ready!(task.poll_settlement(cx));
            this.line.pop_front();
            // Aborted: the results are gone.
            return Poll::Ready(Some(settled.ok_or_else(|| Refused::new(Refusal::Closed, None))));
        }
        match this.line.pop_front() {
            Some(Err(refused)) => Poll::Ready(Some(Err(refused.map(Some)))),
            _ => this.feed.end(fed),
        }
    }
}

pin_project! {
    /// Pulls jobs out of a stream as long as there is room for them.
    struct Feed<S, W, F> where W: AnyWork {
        // Until it has ended, or the rest is refused.
        #[pin]
        jobs: Option<S>,
        shared: Arc<Shared<W>>,
        options: F,
        // While it waits for room.
        reserve: Option<Reserve<W>>,
        // Why the rest is refused, until that was told.
        refused: Option<StreamRefusal<W>>,
    }
}

impl<S, W: AnyWork, F> Feed<S, W, F> {
    const fn new(jobs: S, shared: Arc<Shared<W>>, options: F) -> Self {
        Self { jobs: Some(jobs), shared, options, reserve: None, refused: None }
    }

    fn with<G>(self, options: G) -> Feed<S, W, G> {
        let Self { jobs, shared, reserve, refused, .. } = self;
        Feed { jobs, shared, options, reserve, refused }
    }

    /// What comes after the last result: whether all is done.
    fn end<T>(self: Pin<&mut Self>, fed: Poll<()>) -> Poll<Option<Result<T, StreamRefusal<W>>>> {
        ready!(fed);
        Poll::Ready(self.project().refused.take().map(Err))
    }
}

impl<S, W, F> Feed<S, W, F>
where
    S: Stream<Item = W::Job>,
    W: AnyWork,
    F: Fn(&W::Job) -> Options<W::Meta>,
{
    /// Submits up to `most` jobs, by a function that says whether to go on; its error is that of the rest. Ready when there are
    /// no more to be submitted; pending when it waits for a job or for room, has submitted as many, or is not to go on.
    fn poll_feed(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        most: usize,
        mut submit: impl FnMut(TaskBuilder<'_, W>) -> Result<bool, Refused<W::Job>>,
    ) -> Poll<()> {
        let mut this = self.project();
        // While the stream has nothing, it is given back.
        let mut permit: Option<Permit<W>> = None;
        let mut left = most;
        while let Some(jobs) = this.jobs.as_mut().as_pin_mut() {
            if left == 0 {
                return Poll::Pending;
            }
            let refused = match permit.as_mut().filter(|permit| permit.places() > 0) {
                None => match ready!(poll_room(this.reserve, this.shared, left, cx)) {
                    Ok(granted) => {
                        permit = Some(granted);
                        continue;
                    }
                    Err(reason) => Some(Refused::new(refusal_of(reason), None)),
                },
                Some(permit) => match ready!(jobs.poll_next(cx)) {
                    Some(job) => {
                        let options = (this.options)(&job);
                        let task = permit.task_with_meta(job, options.meta).options(options);
                        match submit(task) {
                            Ok(true) => None,
                            Ok(false) => return Poll::Pending,
                            Err(refused) => Some(refused.map(Some)),
                        }
                    }
                    None => {
                        this.jobs.set(None);
                        break;
                    }
                },
            };
            left -= 1;
            if refused.is_some() {
                *this.refused = refused;
                this.jobs.set(None);
            }
        }
        Poll::Ready(())
    }
}

/// Waits for room for up to so many jobs, at least one.
fn poll_room<W: AnyWork>(
    waiting: &mut Option<Reserve<W>>,
    shared: &Arc<Shared<W>>,
    most: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<Permit<W>, ReserveRefusal>> {
    if waiting.is_none() {
        let most = u32::try_from(most).unwrap_or(u32::MAX).min(MOST_A_HOLD);
        match Permit::take_some(shared, NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN)) {
            Err(ReserveRefusal::Full | ReserveRefusal::Backlog) => {}
            reserved => return Poll::Ready(reserved),
        }
    }
    let reserve = waiting.get_or_insert_with(|| Reserve::new(shared.clone(), 1));
    let reserved = ready!(Pin::new(reserve).poll(cx));
    *waiting = None;
    Poll::Ready(reserved)
}

impl<S, W: AnyWork, F> fmt::Debug for Process<S, W, F> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("queue", &self.queue)
            .field("waits_for_room", &self.feed.reserve.is_some())
            .finish_non_exhaustive()
    }
}

impl<S, W: AnyWork, F> fmt::Debug for ProcessOrdered<S, W, F> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessOrdered")
            .field("len", &self.line.len())
            .field("limit", &self.limit)
            .field("waits_for_room", &self.feed.reserve.is_some())
            .finish_non_exhaustive()
    }
}
