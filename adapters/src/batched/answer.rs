//! What a batch function gets: jobs, and the place for the answer to each.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec;

use crate::context::Context;
use crate::work::AnyWork;

/// A job that waits for its batch to be run.
pub(super) struct Entry<W: AnyWork> {
    pub(super) job: W::Job,
    pub(super) context: Context<W::Meta, W::Sharing>,
}

/// The jobs of one call of a [batch function](crate::batched), in the order in which they came, at least one. It is an iterator
/// that yields each job with its [`Answer`].
///
/// What is not answered when the function's future is ready has panicked, with a message that says so. That is so for a job
/// that is still in here, too.
pub struct Batch<W: AnyWork> {
    entries: vec::IntoIter<Entry<W>>,
    answers: Arc<Answers<W>>,
    /// How many have been taken out.
    taken: usize,
}

impl<W: AnyWork> Batch<W> {
    pub(super) fn new(entries: Vec<Entry<W>>, answers: Arc<Answers<W>>) -> Self {
        Self { entries: entries.into_iter(), answers, taken: 0 }
    }

    /// The jobs that are still in here.
    pub fn jobs(&self) -> impl ExactSizeIterator<Item = &W::Job> {
        self.entries.as_slice().iter().map(|entry| &entry.job)
    }
}

impl<W: AnyWork> Iterator for Batch<W> {
    type Item = (W::Job, Answer<W>);

    fn next(&mut self) -> Option<Self::Item> {
        let Entry { job, context } = self.entries.next()?;
        let answer = Answer { context, answers: self.answers.clone(), index: self.taken };
        self.taken = self.taken.saturating_add(1);
        Some((job, answer))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<W: AnyWork> ExactSizeIterator for Batch<W> {}
impl<W: AnyWork> FusedIterator for Batch<W> {}

impl<W: AnyWork> fmt::Debug for Batch<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("jobs", &self.entries.len()).finish_non_exhaustive()
    }
}

/// The right to answer one job of a [`Batch`], once.
#[must_use = "a job that is not answered has panicked"]
pub struct Answer<W: AnyWork> {
    context: Context<W::Meta, W::Sharing>,
    answers: Arc<Answers<W>>,
    index: usize,
}

impl<W: AnyWork> Answer<W> {
    /// Sets what the job's attempt yields when the function's future is ready. An answer that is given later, elsewhere, is
    /// dropped.
    pub fn give(self, result: Result<W::Output, W::Error>) {
        self.answers.give(self.index, result);
    }

    /// The context of the job's attempt: its metadata, whether it is still wanted, what is to happen if it fails. A sleep of it
    /// ends with that attempt, whatever becomes of the rest of the batch.
    pub const fn context(&self) -> &Context<W::Meta, W::Sharing> {
        &self.context
    }
}

impl<W: AnyWork> fmt::Debug for Answer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("task", &self.context.task()).finish_non_exhaustive()
    }
}

/// The answers that were given in one batch.
pub(super) struct Answers<W: AnyWork> {
    slots: Mutex<Vec<Slot<W>>>,
}

/// The place for the answer to one job.
struct Slot<W: AnyWork> {
    /// The job's number in its round.
    number: u64,
    answer: Option<Result<W::Output, W::Error>>,
}

impl<W: AnyWork> Answers<W> {
    pub(super) const fn new() -> Self {
        Self { slots: Mutex::new(Vec::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot<W>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a place for each of these jobs. Their numbers go up.
    pub(super) fn open(&self, numbers: impl Iterator<Item = u64>) {
        self.lock().extend(numbers.map(|number| Slot { number, answer: None }));
    }

    fn give(&self, index: usize, result: Result<W::Output, W::Error>) {
        let mut slots = self.lock();
        let refused = match slots.get_mut(index) {
            Some(slot) => slot.answer.replace(result),
            None => Some(result),
        };
        // Results are foreign: they are dropped without the lock.
        drop(slots);
        drop(refused);
    }

    /// Takes the answer to the job with this number.
    pub(super) fn take(&self, number: u64) -> Option<Result<W::Output, W::Error>> {
        let mut slots = self.lock();
        let index = slots.binary_search_by_key(&number, |slot| slot.number).ok()?;
        slots.get_mut(index)?.answer.take()
    }
}
