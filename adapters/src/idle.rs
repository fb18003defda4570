//! The workers that sleep and could take work.

/// A set of workers: the one that came last is taken first, for its memory is warm. Every call is O(1), and only `new`
/// allocates.
#[derive(Debug)]
pub(crate) struct Idle {
    stack: Vec<u32>,
    /// Where each worker stands in the stack, if it does.
    places: Box<[Option<u32>]>,
}

impl Idle {
    pub(crate) fn new(workers: u32) -> Self {
        let workers = workers as usize;
        Self { stack: Vec::with_capacity(workers), places: vec![None; workers].into_boxed_slice() }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(workers: u32) -> usize {
        (workers as usize).saturating_mul(size_of::<u32>() + size_of::<Option<u32>>())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.stack.is_empty()
    }

    /// How many are in it.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.stack.len()).unwrap_or(u32::MAX)
    }

    /// Adds a worker that is not in it.
    pub(crate) fn push(&mut self, worker: u32) {
        let place = u32::try_from(self.stack.len()).ok();
        if let Some(slot) = self.places.get_mut(worker as usize).filter(|slot| slot.is_none()) {
            *slot = place;
            self.stack.push(worker);
        }
    }

    /// Takes out the worker that came last.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        let worker = self.stack.last().copied()?;
        self.remove(worker);
        Some(worker)
    }

    /// Takes a worker out, wherever it stands.
    pub(crate) fn remove(&mut self, worker: u32) {
        let Some(place) = self.places.get_mut(worker as usize).and_then(Option::take) else { return };
        if (place as usize) < self.stack.len() {
            self.stack.swap_remove(place as usize);
        }
        if let Some(moved) =
            self.stack.get(place as usize).and_then(|moved| self.places.get_mut(*moved as usize))
        {
            *moved = Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_is_in_it_once_and_leaves_from_anywhere() {
        let mut idle = Idle::new(4);
        for worker in [2, 0, 3, 1, 3, 9] {
            idle.push(worker);
        }
        idle.remove(0);
        idle.remove(0);
        assert_eq!([idle.pop(), idle.pop(), idle.pop(), idle.pop()], [Some(3), Some(1), Some(2), None]);
        idle.push(0);
        assert_eq!((idle.pop(), idle.pop()), (Some(0), None));
    }
}
