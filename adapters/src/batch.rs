//! Submitting many jobs in few holds of the machine's lock.

use std::sync::Arc;

use plimsoll_core::{Refusal, ReserveRefusal, Route};

use crate::access::Access;
use crate::completions::CompletionQueue;
use crate::engine::machine::Shared;
use crate::offer::Offer;
use crate::options::Options;
use crate::permit::{Permit, refusal_of};
use crate::recipient::Recipient;
use crate::work::AnyWork;

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

impl<W: AnyWork> Access<W> {
    /// Submits the jobs of an iterator, each on the terms that `options` gives for it, as long as there is room: up to 64 in
    /// one hold of the machine's lock. Their results are of no interest.
    ///
    /// No job is pulled without room for it, so what is not taken in is still in the iterator. Never waits. While it works it
    /// holds a [`Permit`] for as many as it pulls. Allocates room for 64 jobs. If the iterator or `options` panics, up to 64 jobs
    /// that were pulled by then are dropped.
    ///
    /// ```
    /// # use plimsoll::{Options, Processor, Refusal, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().queue(100).concurrency(1);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u64| async {}))?;
    /// processor.pause();
    /// let mut jobs = 0..150;
    /// let submitted = processor.post_many(&mut jobs, |_| Options::default());
    /// assert_eq!((submitted.tasks, submitted.stopped), (100, Some(Refusal::Full)));
    /// assert_eq!(jobs.next(), Some(100));
    /// # Ok(())
    /// # }
    /// ```
    pub fn post_many(
        &self,
        jobs: &mut impl Iterator<Item = W::Job>,
        options: impl Fn(&W::Job) -> Options<W::Meta>,
    ) -> Submitted<W::Job> {
        let mut batch = Batch::new(&self.shared, Vec::with_capacity(MOST_A_HOLD as usize));
        batch.submit(jobs, usize::MAX, options, || Route::Nowhere)
    }
}

impl<W: AnyWork> CompletionQueue<W> {
    /// Submits the jobs of an iterator, each on the terms that `options` gives for it, as long as there is room: up to 64 in
    /// one hold of the machine's lock. Their results come here, in the order of settlement; metadata tell whose they are. See
    /// [`Access::post_many`]. It stops with [`Untaken`](Refusal::Untaken) when as many tasks are here as there is room for.
    pub fn submit_many(
        &mut self,
        jobs: &mut impl Iterator<Item = W::Job>,
        options: impl Fn(&W::Job) -> Options<W::Meta>,
    ) -> Submitted<W::Job> {
        let (shared, completions) = (self.shared().clone(), self.completions().clone());
        let mut batch = Batch::new(&shared, std::mem::take(self.offers()));
        let room = self.capacity().saturating_sub(self.len());
        let route = || Route::Callback(Recipient::Completions(completions.clone()));
        let submitted = batch.submit(jobs, room, options, route);
        *self.offers() = batch.offers;
        self.note_admitted(u32::try_from(submitted.tasks).unwrap_or(u32::MAX));
        submitted
    }
}

/// Jobs on the way from an iterator to the machine.
struct Batch<'a, W: AnyWork> {
    shared: &'a Arc<Shared<W>>,
    /// Pulled, and not submitted yet: at most as many as are taken in during one hold.
    offers: Vec<Offer<W>>,
}

impl<'a, W: AnyWork> Batch<'a, W> {
    const fn new(shared: &'a Arc<Shared<W>>, offers: Vec<Offer<W>>) -> Self {
        Self { shared, offers }
    }

    /// Submits up to `most` jobs.
    fn submit(
        &mut self,
        jobs: &mut impl Iterator<Item = W::Job>,
        most: usize,
        options: impl Fn(&W::Job) -> Options<W::Meta>,
        route: impl Fn() -> Route<Recipient<W>>,
    ) -> Submitted<W::Job> {
        let mut submitted = Submitted { tasks: 0, refused: Vec::new(), stopped: None };
        while submitted.stopped.is_none() {
            let wanted = u32::try_from(most.saturating_sub(submitted.tasks)).unwrap_or(u32::MAX);
            if wanted == 0 {
                submitted.stopped = Some(Refusal::Untaken);
                break;
            }
            let mut permit = match reserve_some(self.shared, wanted.min(MOST_A_HOLD)) {
                Ok(permit) => permit,
                Err(reason) => {
                    submitted.stopped = Some(refusal_of(reason));
                    break;
                }
            };
            let is_last = self.pull(jobs, permit.places() as usize, &options, &mut submitted);
            let before = permit.places();
            let reason = permit.offer_many(self.offers.drain(..), &route, &mut submitted.refused);
            submitted.stopped = submitted.stopped.or(reason);
            submitted.tasks += before.saturating_sub(permit.places()) as usize;
            if is_last {
                break;
            }
        }
        submitted
    }

    /// Pulls up to `most` jobs and works out their terms: whether that were all there are.
    fn pull(
        &mut self,
        jobs: &mut impl Iterator<Item = W::Job>,
        most: usize,
        options: &impl Fn(&W::Job) -> Options<W::Meta>,
        submitted: &mut Submitted<W::Job>,
    ) -> bool {
        for _ in 0..most {
            let Some(job) = jobs.next() else { return true };
            let options = options(&job);
            match self.shared.defaults.with(&options) {
                Ok(conditions) => self.offers.push(Offer { job, meta: options.meta, conditions }),
                Err(reason) => {
                    submitted.refused.push(job);
                    submitted.stopped = Some(reason);
                    break;
                }
            }
        }
        false
    }
}

/// A permit for up to so many tasks, at least one.
pub(crate) fn reserve_some<W: AnyWork>(
    shared: &Arc<Shared<W>>,
    most: u32,
) -> Result<Permit<W>, ReserveRefusal> {
    let places = shared.read(|machine| machine.free_room()).clamp(1, most);
    match Permit::take(shared, places) {
        // Somebody else was faster.
        Err(ReserveRefusal::Full | ReserveRefusal::Backlog | ReserveRefusal::Unclaimed) if places > 1 => {
            Permit::take(shared, 1)
        }
        taken => taken,
    }
}
