//! Completion queues, from the outside of the lock.

use std::collections::VecDeque;
use std::task::Waker;

use super::completions::QueueKey;
use super::machine::Shared;
use crate::settlement::Settlement;
use crate::work::AnyWork;

impl<W: AnyWork> Shared<W> {
    /// Makes a place for the results of a completion queue, with this list.
    pub(crate) fn open_queue(&self, settled: VecDeque<Settlement<W>>) -> QueueKey {
        self.lock().completions.open(settled)
    }

    /// Whether `wanted` results of a queue are there: see [`Completions::take`](super::completions::Completions::take).
    pub(crate) fn take_results(
        &self,
        key: QueueKey,
        list: &mut VecDeque<Settlement<W>>,
        wanted: usize,
        waker: Option<Waker>,
    ) -> (bool, Option<Waker>) {
        self.lock().completions.take(key, list, wanted, waker)
    }

    /// Ends a queue with so many tasks whose results were not taken: the results that are there, and the waker.
    pub(crate) fn close_queue(
        &self,
        key: QueueKey,
        tasks: usize,
    ) -> (VecDeque<Settlement<W>>, Option<Waker>) {
        self.lock().completions.close(key, tasks)
    }

    /// How many queues there are, those that were dropped and have tasks that are not settled included.
    #[cfg(test)]
    pub(crate) fn count_queues(&self) -> usize {
        self.lock().completions.len()
    }

    /// Leaves a settlement that was shown to the hook.
    pub(super) fn complete(
        &self,
        key: QueueKey,
        settled: Settlement<W>,
    ) -> Result<Option<Waker>, Settlement<W>> {
        self.lock().completions.push(key, settled)
    }
}
