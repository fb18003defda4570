//! Where attempts find the batch that is being collected.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::Batching;
use super::answer::{Batch, Entry};
use super::round::{Round, Seat};
use crate::panics::{Panic, catch};
use crate::work::AnyWork;

/// The part of the handler that its attempts share.
pub(super) struct Collector<W: AnyWork, C, F> {
    pub(super) batching: Batching,
    function: C,
    /// A round collects exactly as long as it is here. This lock comes before that of the round.
    open: Mutex<Option<Arc<Round<W, F>>>>,
}

impl<W, C, F> Collector<W, C, F>
where
    W: AnyWork,
{
    pub(super) const fn new(batching: Batching, function: C) -> Self {
        Self { batching, function, open: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Round<W, F>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a job into the round that collects. If that is full now, it is closed, and its jobs are to be run.
    pub(super) fn join(&self, entry: Entry<W>, waker: Waker) -> (Seat<W, F>, Option<Vec<Entry<W>>>) {
        let context = entry.context.clone();
        let due = self.batching.due(&context);
        let mut open = self.lock();
        let round = open.get_or_insert_with(Round::new).clone();
        let (number, jobs) = round.join(entry, waker, due);
        let is_full = jobs >= self.batching.most;
        let entries = if is_full { round.close(number) } else { None };
        if is_full {
            *open = None;
        }
        drop(open);
        (Seat::new(round, number, context), entries)
    }

    /// Closes this round, if it still collects: its jobs are to be run. The member that closes it drives it.
    pub(super) fn close(&self, seat: &Seat<W, F>) -> Option<Vec<Entry<W>>> {
        let mut open = self.lock();
        if !open.as_ref().is_some_and(|open| Arc::ptr_eq(open, &seat.round)) {
            return None;
        }
        *open = None;
        seat.round.close(seat.number)
    }

    /// Calls the batch function.
    pub(super) fn call(&self, entries: Vec<Entry<W>>, round: &Round<W, F>) -> Result<Pin<Box<F>>, Panic>
    where
        C: Fn(Batch<W>) -> F,
    {
        let batch = Batch::new(entries, round.answers.clone());
        catch(|| Box::pin((self.function)(batch)))
    }
}
