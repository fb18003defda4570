//! Submitting many jobs in few holds of the machine's lock.

use std::sync::Arc;

use plimsoll_core::{Refusal, ReserveRefusal, Route};

use crate::access::Access;
use crate::completions::CompletionQueue;
use crate::engine::machine::Shared;
use crate::options::Options;
use crate::permit::{Permit, refusal_of};
use crate::task_builder::Recipient;
use crate::work::Work;

/// The most jobs that are taken in during one hold of the lock.
pub(crate) const MOST_A_HOLD: u32 = 64;

/// What became of jobs that were submitted together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Submitted<J> {
    /// How many were taken in.
    pub tasks: usize,
    /// Those that were not although there was room, and why: the processor has ended meanwhile, or their terms ask for more
    /// than there is. None of the iterator is lost.
    pub refused: Vec<J>,
    /// Why it stopped before it saw the end of the iterator, in which everything that comes then still is.
    pub stopped: Option<Refusal>,
}

impl<W: Work> Access<W> {
    /// Submits the jobs of an iterator on these terms, as long as there is room, up to 64 in one hold of the machine's lock;
    /// their results are of no interest. No job is pulled without room for it, so what is not taken in is still in the
    /// iterator. Never waits. Allocates room for 64 jobs. While it works it holds a [`Permit`] for as many as it pulls.
    ///
    /// ```
    /// # use plimsoll::{Options, Processor, Refusal, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().queue(100).concurrency(1);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u64| async {}))?;
    /// processor.pause();
    /// let mut jobs = 0..150;
    /// let submitted = processor.post_many(Options::default(), &mut jobs);
    /// assert_eq!((submitted.tasks, submitted.stopped), (100, Some(Refusal::Full)));
    /// assert_eq!(jobs.next(), Some(100));
    /// # Ok(())
    /// # }
    /// ```
    pub fn post_many(
        &self,
        options: Options<W::Meta>,
        jobs: &mut impl Iterator<Item = W::Job>,
    ) -> Submitted<W::Job> {
        let mut batch =
            Batch { shared: &self.shared, options, jobs: Vec::with_capacity(MOST_A_HOLD as usize) };
        batch.submit(jobs, usize::MAX, || Route::Nowhere)
    }
}

impl<W: Work> CompletionQueue<W> {
    /// Submits the jobs of an iterator on these terms, as long as there is room, up to 64 in one hold of the machine's lock;
    /// their results come here. See [`Access::post_many`]. It stops with [`Untaken`](Refusal::Untaken) when as many tasks
    /// are here as there is room for.
    pub fn submit_many(
        &mut self,
        options: Options<W::Meta>,
        jobs: &mut impl Iterator<Item = W::Job>,
    ) -> Submitted<W::Job> {
        let (shared, completions) = (self.shared().clone(), self.completions().clone());
        let pulled = std::mem::take(self.pulled());
        let mut batch = Batch { shared: &shared, options, jobs: pulled };
        let room = self.capacity().saturating_sub(self.len());
        let route = || Route::Callback(Recipient::Completions(completions.clone()));
        let submitted = batch.submit(jobs, room, route);
        *self.pulled() = batch.jobs;
        self.note_admitted(u32::try_from(submitted.tasks).unwrap_or(u32::MAX));
        submitted
    }
}

/// Jobs on the way from an iterator to the machine.
struct Batch<'a, W: Work> {
    shared: &'a Arc<Shared<W>>,
    options: Options<W::Meta>,
    /// Pulled, and not submitted yet: at most as many as are taken in during one hold.
    jobs: Vec<W::Job>,
}

impl<W: Work> Batch<'_, W> {
    /// Submits up to `most` jobs.
    fn submit(
        &mut self,
        jobs: &mut impl Iterator<Item = W::Job>,
        most: usize,
        mut route: impl FnMut() -> Route<Recipient<W>>,
    ) -> Submitted<W::Job> {
        let mut submitted = Submitted { tasks: 0, refused: Vec::new(), stopped: None };
        let conditions = match self.shared.defaults.with(&self.options) {
            Ok(conditions) => conditions,
            Err(reason) => return Submitted { stopped: Some(reason), ..submitted },
        };
        while submitted.stopped.is_none() {
            let wanted =
                u32::try_from(most.saturating_sub(submitted.tasks)).unwrap_or(u32::MAX).min(MOST_A_HOLD);
            if wanted == 0 {
                submitted.stopped = Some(Refusal::Untaken);
                break;
            }
            let mut permit = match reserve_some(self.shared, wanted) {
                Ok(permit) => permit,
                Err(reason) => {
                    submitted.stopped = Some(refusal_of(reason));
                    break;
                }
            };
            let places = permit.places() as usize;
            self.jobs.extend(jobs.take(places));
            let pulled = self.jobs.len();
            let offers = self.jobs.drain(..).map(|job| (job, route()));
            submitted.stopped =
                permit.offer_many(offers, self.options.meta, &conditions, &mut submitted.refused);
            submitted.tasks += pulled.saturating_sub(submitted.refused.len());
            if pulled < places {
                break;
            }
        }
        submitted
    }
}

/// A permit for up to so many tasks, at least one.
pub(crate) fn reserve_some<W: Work>(shared: &Arc<Shared<W>>, most: u32) -> Result<Permit<W>, ReserveRefusal> {
    let places = shared.read(|machine| machine.free_room()).clamp(1, most);
    match Permit::take(shared, places) {
        // Somebody else was faster.
        Err(ReserveRefusal::Full | ReserveRefusal::Backlog | ReserveRefusal::Unclaimed) if places > 1 => {
            Permit::take(shared, 1)
        }
        taken => taken,
    }
}
