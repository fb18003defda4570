//! Where a submission begins: at a processor, at a permit, or at a completion queue.

use plimsoll_core::{Offer, Refused, Route, TaskId};

use crate::access::Access;
use crate::batch::Submitted;
use crate::completions::CompletionQueue;
use crate::handle::Handle;
use crate::options::Options;
use crate::permit::Permit;
use crate::recipient::{Inside, Recipient};
use crate::task_builder::{TaskBuilder, only_job};
use crate::wait::SubmitWait;
use crate::work::AnyWork;

impl<W: AnyWork> Access<W> {
    /// Submits a job on the default terms, which are worked out already; the result goes to the handle. Never waits. O(1), no
    /// allocation.
    ///
    /// # Errors
    /// The job comes back with the reason: [`Full`](crate::Refusal::Full), for instance.
    #[inline]
    pub fn submit(&self, job: W::Job) -> Result<Handle<W>, Refused<W::Job>>
    where
        W::Meta: Default,
    {
        let (shared, terms) = (&self.shared, &self.shared.terms);
        let offer = Offer::new(job, W::Meta::default()).route(Route::Handle);
        let submitted = shared.submit(terms, |machine, now| machine.submit(now, offer, terms));
        Ok(Handle::new(shared.clone(), submitted.map_err(only_job)?))
    }

    /// Submits a job on the default terms as soon as there is room, first come first served: see
    /// [`TaskBuilder::submit_wait`].
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
    pub const fn task_with_meta(&self, job: W::Job, meta: W::Meta) -> TaskBuilder<'_, W> {
        TaskBuilder::new(&self.shared, job, meta)
    }
}

impl<W: AnyWork> Permit<W> {
    /// Submits a job on the default terms; the result goes to the handle.
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
