//! Where a submission begins: at a processor, at a permit, or at a completion queue.

use plimsoll_core::{Offer, Refused, Route, TaskId};

use crate::access::Access;
use crate::batch::Submitted;
use crate::carried::only_job;
use crate::completions::CompletionQueue;
use crate::handle::Handle;
use crate::options::Options;
use crate::permit::Permit;
use crate::recipient::{Inside, Recipient};
use crate::task_builder::TaskBuilder;
use crate::wait::SubmitWait;
use crate::work::AnyWork;

impl<W: AnyWork> Access<W> {
    /// Submits a job on the default terms, which are worked out already; the result goes to the handle. Never waits. O(1), no
    /// allocation.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let handle = processor.submit(21)?;
    /// assert_eq!(handle.wait()?, 42); // in async code: `handle.await?`
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job comes back with the reason: [`Full`](crate::Refusal::Full), for instance.
    #[inline]
    pub fn submit(&self, job: W::Job) -> Result<Handle<W>, Refused<W::Job>>
    where
        W::Meta: Default,
    {
        let (shared, terms) = (&self.shared, &self.shared.terms);
        let offer = Offer::new(shared.carry(job), W::Meta::default()).route(Route::Handle);
        let submitted = shared.submit(terms, |machine, now| machine.submit(now, offer, terms));
        Ok(Handle::new(shared.clone(), submitted.map_err(only_job)?))
    }

    /// Submits a job on the default terms as soon as there is room, first come first served: see
    /// [`TaskBuilder::submit_wait`].
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().queue(10).concurrency(1);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let sum = futures::executor::block_on(async {
    ///     let mut sum = 0;
    ///     for n in 0..100 {
    ///         sum += processor.submit_wait(n).await?.await?;
    ///     }
    ///     Ok::<_, Box<dyn std::error::Error>>(sum)
    /// })?;
    /// assert_eq!(sum, 9_900);
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_wait(&self, job: W::Job) -> SubmitWait<W>
    where
        W::Meta: Default,
    {
        SubmitWait::new(self.shared.clone(), job, W::Meta::default(), Ok(None))
    }

    /// A task to be submitted on terms of its own, to go with its result to a handle, to a callback, or nowhere.
    ///
    /// ```
    /// # use plimsoll::{Priority, Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let handle = processor.task(21).timeout(Duration::from_secs(1)).priority(Priority::HIGHEST).submit()?;
    /// assert_eq!(handle.wait()?, 42);
    /// processor.task(1).delay(Duration::from_millis(5)).post()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn task(&self, job: W::Job) -> TaskBuilder<'_, W>
    where
        W::Meta: Default,
    {
        self.task_with_meta(job, W::Meta::default())
    }

    /// As [`task`](Self::task), with these metadata.
    ///
    /// ```
    /// # use plimsoll::{Context, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Whose job it is, for events and logs.
    /// let processor = Processor::builder()
    ///     .spawn_on(Thread::start()?, infallible(|n: u64, cx: Context<&'static str>| async move { (cx.meta(), n * 2) }))?;
    /// assert_eq!(processor.task_with_meta(21, "ann").submit()?.wait()?, ("ann", 42));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn task_with_meta(&self, job: W::Job, meta: W::Meta) -> TaskBuilder<'_, W> {
        TaskBuilder::new(&self.shared, job, meta)
    }
}

impl<W: AnyWork> Permit<W> {
    /// Submits a job on the default terms; the result goes to the handle.
    ///
    /// ```
    /// # use plimsoll::{Processor, Refusal, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut permit = processor.try_reserve(1)?;
    /// let handle = permit.submit(21)?; // not refused for lack of room
    /// assert_eq!((handle.wait()?, permit.places()), (42, 0));
    /// assert_eq!(permit.submit(22).unwrap_err().reason, Refusal::UsedUp);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job comes back with the reason: the processor has ended, or all places are
    /// [used up](crate::Refusal::UsedUp).
    pub fn submit(&mut self, job: W::Job) -> Result<Handle<W>, Refused<W::Job>>
    where
        W::Meta: Default,
    {
        self.task(job).submit()
    }

    /// A task to be submitted with one of its places: see [`Access::task`].
    ///
    /// ```
    /// # use plimsoll::{Priority, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut permit = processor.try_reserve(1)?;
    /// permit.task(21).priority(Priority::HIGHEST).post()?;
    /// assert_eq!(permit.places(), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn task(&mut self, job: W::Job) -> TaskBuilder<'_, W>
    where
        W::Meta: Default,
    {
        self.task_with_meta(job, W::Meta::default())
    }

    /// As [`task`](Self::task), with these metadata.
    pub const fn task_with_meta(&mut self, job: W::Job, meta: W::Meta) -> TaskBuilder<'_, W> {
        TaskBuilder::with_permit(self, job, meta)
    }
}

impl<W: AnyWork> CompletionQueue<W> {
    /// Submits a job on the default terms. See [`TaskBuilder::submit_to`] for others.
    ///
    /// ```
    /// # use plimsoll::{Processor, Refusal, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let mut queue = processor.completion_queue(1)?;
    /// queue.submit(21)?;
    /// assert_eq!(queue.submit(22).unwrap_err().reason, Refusal::Untaken); // take results first
    /// let settled = futures::executor::block_on(futures::StreamExt::next(&mut queue)).ok_or("there is one")?;
    /// assert_eq!(settled.result?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The job comes back with the reason: [`Untaken`](crate::Refusal::Untaken) when the queue has as many tasks as it
    /// has room for.
    pub fn submit(&mut self, job: W::Job) -> Result<TaskId, Refused<W::Job>>
    where
        W::Meta: Default,
    {
        let shared = self.shared().clone();
        TaskBuilder::new(&shared, job, W::Meta::default()).submit_to(self)
    }

    /// Submits the jobs of an iterator on the same terms, each with the metadata that `meta` gives for it, as long as
    /// there is room: up to 64 in one hold of the machine's lock. Their results come here, in the order of settlement;
    /// metadata tell whose they are. See [`Access::post_many`]. It stops with [`Untaken`](crate::Refusal::Untaken) when
    /// as many tasks are here as there is room for.
    ///
    /// ```
    /// # use plimsoll::{Context, Options, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder()
    ///     .spawn_on(Thread::start()?, infallible(|n: u64, _: Context<u64>| async move { n * 2 }))?;
    /// let mut queue = processor.completion_queue(1_000)?;
    /// let submitted = queue.submit_many(&mut (0..1_000), &Options::default(), |n| *n); // metadata: the job itself
    /// assert_eq!((submitted.tasks, submitted.stopped), (1_000, None));
    /// futures::executor::block_on(queue.ready(1_000));
    /// while let Some(settled) = queue.try_next() {
    ///     assert_eq!(settled.result?, settled.meta * 2);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn submit_many(
        &mut self,
        jobs: &mut impl Iterator<Item = W::Job>,
        terms: &Options,
        meta: impl FnMut(&W::Job) -> W::Meta,
    ) -> Submitted<W::Job> {
        let key = self.key();
        self.batch().submit(jobs, terms, meta, move || Route::Callback(Recipient::Inside(Inside::Queue(key))))
    }
}
