//! Submitting many jobs in few holds of the machine's lock.

use std::num::NonZeroU32;
use std::sync::Arc;

use plimsoll_core::{BuildError, Refusal, Route, Terms};

use crate::access::Access;
use crate::carried::Carried;
use crate::engine::machine::{MOST_A_HOLD, Shared};
use crate::options::Options;
use crate::permit::{Permit, refusal_of};
use crate::recipient::Recipient;
use crate::work::AnyWork;

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
    /// Submits the jobs of an iterator on the same terms, each with the metadata that `meta` gives for it, as long as there is
    /// room: up to 64 in one hold of the machine's lock. Their results are of no interest.
    ///
    /// No job is pulled without room for it, so what is not taken in is still in the iterator. Never waits. While it works it
    /// holds a [`Permit`] for as many as it pulls; the iterator's own upper bound of what is left is taken at its word. Allocates
    /// room for 64 jobs. If the iterator or `meta` panics, up to 64
    /// jobs that were pulled by then are dropped.
    ///
    /// ```
    /// # use plimsoll::{Options, Processor, Refusal, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let builder = Processor::builder().queue(100).concurrency(1);
    /// let processor = builder.spawn_on(Thread::start()?, infallible(|_: u64| async {}))?;
    /// processor.pause();
    /// let mut jobs = 0..150;
    /// let submitted = processor.post_many(&mut jobs, &Options::default(), |_| ());
    /// assert_eq!((submitted.tasks, submitted.stopped), (100, Some(Refusal::Full)));
    /// assert_eq!(jobs.next(), Some(100));
    /// # Ok(())
    /// # }
    /// ```
    pub fn post_many(
        &self,
        jobs: &mut impl Iterator<Item = W::Job>,
        options: &Options,
        meta: impl FnMut(&W::Job) -> W::Meta,
    ) -> Submitted<W::Job> {
        let (mut pulled, mut tasks) = (Vec::with_capacity(MOST_A_HOLD as usize), 0);
        Batch::new(&self.shared, &mut pulled, u32::MAX, &mut tasks)
            .submit(jobs, options, meta, || Route::Nowhere)
    }
}

/// Jobs that were pulled, with their metadata: at most as many as are taken in during one hold.
pub(crate) type Pulled<W> = Vec<(Carried<<W as AnyWork>::Job>, <W as AnyWork>::Meta)>;

/// Room for as many as are pulled at a time, where there are never more than these.
pub(crate) fn room_to_pull<W: AnyWork>(most: u32) -> Result<Pulled<W>, BuildError> {
    let (mut pulled, most) = (Vec::new(), most.min(MOST_A_HOLD) as usize);
    let bytes = most.saturating_mul(size_of::<(Carried<W::Job>, W::Meta)>());
    pulled.try_reserve_exact(most).map_err(|_| BuildError::Memory { bytes })?;
    Ok(pulled)
}

/// Jobs on the way from an iterator to the machine.
pub(crate) struct Batch<'a, W: AnyWork> {
    shared: &'a Arc<Shared<W>>,
    /// Empty before and after.
    pulled: &'a mut Pulled<W>,
    /// How many tasks may be submitted.
    most: u32,
    /// Counts those that were, after each hold, so that it is right whatever the iterator does.
    tasks: &'a mut u32,
}

impl<'a, W: AnyWork> Batch<'a, W> {
    pub(crate) const fn new(
        shared: &'a Arc<Shared<W>>,
        pulled: &'a mut Pulled<W>,
        most: u32,
        tasks: &'a mut u32,
    ) -> Self {
        Self { shared, pulled, most, tasks }
    }

    /// Submits as many as there is room for.
    pub(crate) fn submit(
        mut self,
        jobs: &mut impl Iterator<Item = W::Job>,
        options: &Options,
        mut meta: impl FnMut(&W::Job) -> W::Meta,
        route: impl Fn() -> Route<Recipient<W>> + Copy,
    ) -> Submitted<W::Job> {
        let mut submitted = Submitted { tasks: 0, refused: Vec::new(), stopped: None };
        match self.shared.defaults.with(options) {
            Ok(terms) => while self.submit_some(jobs, &terms, &mut meta, route, &mut submitted) {},
            Err(reason) => submitted.stopped = Some(reason),
        }
        submitted
    }

    /// Submits what one hold takes in: whether to go on.
    fn submit_some(
        &mut self,
        jobs: &mut impl Iterator<Item = W::Job>,
        terms: &Terms,
        meta: &mut impl FnMut(&W::Job) -> W::Meta,
        route: impl Fn() -> Route<Recipient<W>> + Copy,
        submitted: &mut Submitted<W::Job>,
    ) -> bool {
        let left = jobs.size_hint().1.map_or(u32::MAX, |left| u32::try_from(left).unwrap_or(u32::MAX));
        if left == 0 {
            return false;
        }
        let Some(wanted) = NonZeroU32::new(self.most.min(left).min(MOST_A_HOLD)) else {
            submitted.stopped = Some(Refusal::Untaken);
            return false;
        };
        let mut permit = match Permit::take_some(self.shared, wanted) {
            Ok(permit) => permit,
            Err(reason) => {
                submitted.stopped = Some(refusal_of(reason));
                return false;
            }
        };
        // Not in its place, so that it is empty again if the iterator panics.
        let mut pulled = std::mem::take(self.pulled);
        let places = permit.places();
        pulled.extend(jobs.by_ref().take(places as usize).map(|job| {
            let meta = meta(&job);
            (self.shared.carry(job), meta)
        }));
        let was_last = pulled.len() < places as usize;
        let mut refused = Vec::new();
        submitted.stopped = permit.offer_many(pulled.drain(..), route, terms, &mut refused);
        submitted.refused.extend(refused.into_iter().map(Carried::into_job));
        *self.pulled = pulled;
        let tasks = places.saturating_sub(permit.places());
        self.most = self.most.saturating_sub(tasks);
        *self.tasks = self.tasks.saturating_add(tasks);
        submitted.tasks = submitted.tasks.saturating_add(tasks as usize);
        !was_last && submitted.stopped.is_none()
    }
}
