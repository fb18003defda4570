//! Where results wait for their completion queues: beside the machine, under its lock, so that a result is put there in the
//! hold that fixes it, and needs no lock of its own.

use std::collections::VecDeque;
use std::task::Waker;

use plimsoll_core::BuildError;
use slab::Slab;

use crate::settlement::Settlement;
use crate::work::AnyWork;

/// Names a completion queue to the machine, as long as it is there or one of its tasks is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueKey(u32);

/// The results of all completion queues that were not taken yet.
pub(super) struct Completions<W: AnyWork> {
    queues: Slab<Inbox<W>>,
}

/// What the machine keeps for one completion queue.
enum Inbox<W: AnyWork> {
    Open(Left<W>),
    /// The queue was dropped; so many of its tasks are not settled. It is kept until they are, so that none of them comes to
    /// a later queue in its place.
    Closed {
        unsettled: u32,
    },
}

struct Left<W: AnyWork> {
    /// In the order of settlement. It never grows: there is room for every task of the queue.
    settled: VecDeque<Settlement<W>>,
    /// Of the future that waits for results, to be woken when there are `wanted`.
    waker: Option<Waker>,
    wanted: usize,
}

/// A list with room for so many results.
pub(crate) fn list_of<W: AnyWork>(capacity: u32) -> Result<VecDeque<Settlement<W>>, BuildError> {
    let mut list = VecDeque::new();
    let bytes = (capacity as usize).saturating_mul(size_of::<Settlement<W>>());
    list.try_reserve_exact(capacity as usize).map_err(|_| BuildError::Memory { bytes })?;
    Ok(list)
}

impl<W: AnyWork> Completions<W> {
    pub(super) const fn new() -> Self {
        Self { queues: Slab::new() }
    }

    /// Leaves a result: the waker to be woken, if a future has waited for it. It comes back if nobody will take it, to be
    /// dropped without a lock.
    #[inline]
    pub(super) fn push(
        &mut self,
        key: QueueKey,
        settled: Settlement<W>,
    ) -> Result<Option<Waker>, Settlement<W>> {
        let Some(Inbox::Open(left)) = self.queues.get_mut(key.0 as usize) else {
            self.note_unwanted(key);
            return Err(settled);
        };
        left.settled.push_back(settled);
        let is_due = left.waker.is_some() && left.settled.len() >= left.wanted;
        Ok(if is_due { left.waker.take() } else { None })
    }

    /// Makes a place for the results of a completion queue, with this list.
    pub(super) fn open(&mut self, settled: VecDeque<Settlement<W>>) -> QueueKey {
        let key = self.queues.insert(Inbox::Open(Left { settled, waker: None, wanted: 1 }));
        // There is no memory for more queues than a `u32` counts.
        QueueKey(u32::try_from(key).unwrap_or(u32::MAX))
    }

    /// Whether `wanted` results of a queue are there; then all of them are taken if this list is empty, in exchange for it. If
    /// not, `waker` is left, to be woken when they are. The waker that is not needed comes back.
    pub(super) fn take(
        &mut self,
        QueueKey(key): QueueKey,
        list: &mut VecDeque<Settlement<W>>,
        wanted: usize,
        waker: Option<Waker>,
    ) -> (bool, Option<Waker>) {
        let Some(Inbox::Open(left)) = self.queues.get_mut(key as usize) else { return (true, waker) };
        if left.settled.len() >= wanted {
            if list.is_empty() {
                std::mem::swap(list, &mut left.settled);
            }
            return (true, waker);
        }
        left.wanted = wanted;
        match waker {
            Some(waker) => (false, left.waker.replace(waker)),
            None => (false, None),
        }
    }

    /// How many queues there are, those that were dropped and have tasks that are not settled included.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    /// A task of a queue that was dropped is settled.
    #[cold]
    fn note_unwanted(&mut self, QueueKey(key): QueueKey) {
        let Some(Inbox::Closed { unsettled }) = self.queues.get_mut(key as usize) else {
            debug_assert!(false, "a queue is kept until its tasks are settled");
            return;
        };
        *unsettled = unsettled.saturating_sub(1);
        if *unsettled == 0 {
            self.queues.try_remove(key as usize);
        }
    }

    /// From now on nobody takes results of a queue with so many tasks, but for those that were taken: what is left, and the
    /// waker.
    pub(super) fn close(
        &mut self,
        QueueKey(key): QueueKey,
        tasks: usize,
    ) -> (VecDeque<Settlement<W>>, Option<Waker>) {
        let Some(Inbox::Open(Left { settled, waker, .. })) = self
            .queues
            .get_mut(key as usize)
            .map(|inbox| std::mem::replace(inbox, Inbox::Closed { unsettled: 0 }))
        else {
            return (VecDeque::new(), None);
        };
        let unsettled = u32::try_from(tasks.saturating_sub(settled.len())).unwrap_or(u32::MAX);
        if unsettled == 0 {
            self.queues.try_remove(key as usize);
        } else if let Some(inbox) = self.queues.get_mut(key as usize) {
            *inbox = Inbox::Closed { unsettled };
        }
        (settled, waker)
    }
}
