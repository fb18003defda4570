//! The places: where attempts lie while no worker has them in hand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use super::lock::Locking;
use crate::sharing::{AnyThread, Kinds};

/// A place, with the cell in which its attempts live one after the other. `C` should be a pointer, so that it is cheap to
/// move.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place<C> {
    pub(super) index: u32,
    pub(super) cell: C,
}

/// All places, for two parties: the *workers*, who take places in hand and give them back, and the *owner*, who may close
/// this at any time and gets all that are here.
///
/// Cells are only ever moved under the lock, never polled, called or dropped there.
pub(super) struct Places<C, S: Kinds = AnyThread> {
    shelf: S::Lock<Shelf<C>>,
    /// How many lie in the queue, for a look without the lock.
    ready: AtomicU32,
}

/// What guards the places.
type ShelfLock<C, S> = <S as Kinds>::Lock<Shelf<C>>;

/// The places while they are held.
type Guard<'a, C, S> = <ShelfLock<C, S> as Locking<Shelf<C>>>::Guard<'a>;

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Shelf<C> {
    /// The cells of the places that are not in hand, nor in the queue.
    cells: Box<[Option<C>]>,
    /// The places without an attempt.
    free: Vec<u32>,
    /// Places whose attempts workers know to be ready, in the order in which they are to be polled.
    pub(super) ready: VecDeque<Place<C>>,
    closed: bool,
}

impl<C, S: Kinds> Places<C, S> {
    /// All places are free; the first one is taken first.
    pub(super) fn new(cells: impl ExactSizeIterator<Item = C>) -> Self {
        // Of this size from the start: bytes asked for are counted.
        let mut free = Vec::with_capacity(cells.len());
        free.extend((0..u32::try_from(cells.len()).unwrap_or(u32::MAX)).rev());
        let ready = VecDeque::with_capacity(cells.len());
        let shelf = Shelf { cells: cells.map(Some).collect(), free, ready, closed: false };
        Self { shelf: Locking::new(shelf), ready: AtomicU32::new(0) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator for each cell.
    pub(super) const BYTES_EACH: usize = size_of::<Option<C>>() + size_of::<u32>() + size_of::<Place<C>>();

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, C, S> {
        self.shelf.lock()
    }

    /// Releases the lock after the queue was changed.
    #[inline]
    pub(super) fn unlock(&self, shelf: Guard<'_, C, S>) {
        self.ready.store(u32::try_from(shelf.ready.len()).unwrap_or(u32::MAX), Ordering::Relaxed);
        drop(shelf);
    }

    /// How many places lie in the queue. Without the lock it may be out of date by the holds that are going on.
    #[inline]
    pub(super) fn count_ready(&self) -> u32 {
        self.ready.load(Ordering::Relaxed)
    }

    /// Takes the cell of one place, if it is here. O(places).
    pub(super) fn take(&self, place: u32) -> Option<C> {
        let mut shelf = self.lock();
        let cell = shelf.take(place);
        if cell.is_some() {
            return cell;
        }
        let position = shelf.ready.iter().position(|ready| ready.index == place);
        let ready = position.and_then(|position| shelf.ready.remove(position));
        self.unlock(shelf);
        ready.map(|place| place.cell)
    }

    /// Closes this for good, and hands out one of the cells that are here: called until `None`, it empties it. A cell in
    /// hand cannot be put back any more. O(places).
    pub(super) fn close(&self) -> Option<C> {
        let mut shelf = self.lock();
        shelf.closed = true;
        let ready = shelf.ready.pop_front().map(|place| place.cell);
        ready.or_else(|| shelf.cells.iter_mut().find_map(Option::take))
    }

    /// How many cells are in hand. O(places).
    pub(super) fn count_in_hand(&self) -> usize {
        let shelf = self.lock();
        let gone = shelf.cells.iter().filter(|cell| cell.is_none()).count();
        gone.saturating_sub(shelf.ready.len())
    }
}

impl<C> Shelf<C> {
    /// Whether no cell can be put back any more.
    #[inline]
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    #[inline]
    pub(super) fn take(&mut self, place: u32) -> Option<C> {
        self.cells.get_mut(place as usize)?.take()
    }

    /// Puts back a place that was taken. Not to be called once this is closed.
    #[inline]
    pub(super) fn put(&mut self, place: Place<C>) {
        debug_assert!(!self.closed, "a closed shelf takes nothing back");
        if let Some(slot) = self.cells.get_mut(place.index as usize) {
            debug_assert!(slot.is_none(), "only what was taken is put back");
            *slot = Some(place.cell);
        }
    }

    /// Takes a free place.
    #[inline]
    pub(super) fn take_free(&mut self) -> Option<Place<C>> {
        let index = self.free.pop()?;
        let cell = self.take(index);
        debug_assert!(cell.is_some() || self.closed, "a free place has its cell");
        Some(Place { index, cell: cell? })
    }

    /// Puts back a place without an attempt.
    #[inline]
    pub(super) fn put_free(&mut self, place: Place<C>) {
        self.free.push(place.index);
        self.put(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn place(index: u32, cell: i32) -> Place<i32> {
        Place { index, cell }
    }

    #[test]
    fn a_cell_is_in_one_hand_at_a_time() {
        let places = Places::<_>::new([1, 10].into_iter());
        assert_eq!(places.lock().take_free(), Some(place(0, 1)));
        assert_eq!((places.take(0), places.take(2)), (None, None));
        places.lock().put(place(0, 2));
        assert_eq!(places.take(0), Some(2));
        places.lock().put_free(place(0, 3));
        assert_eq!(places.lock().take_free(), Some(place(0, 3)));
        assert_eq!(places.lock().take_free(), Some(place(1, 10)));
        assert_eq!(places.lock().take_free(), None);
        assert_eq!(places.count_in_hand(), 2);
        let mut shelf = places.lock();
        shelf.ready.push_back(place(1, 11));
        places.unlock(shelf);
        assert_eq!((places.count_in_hand(), places.count_ready()), (1, 1));
        assert_eq!((places.take(1), places.take(1), places.count_ready()), (Some(11), None, 0));
    }

    #[test]
    fn closing_hands_out_the_cells_that_are_here() {
        let places = Places::<_>::new([1, 2, 3, 4].into_iter());
        assert_eq!(places.take(1), Some(2));
        assert_eq!(places.take(3), Some(4));
        places.lock().ready.push_back(place(3, 5));
        assert_eq!(
            (places.close(), places.close(), places.close(), places.close()),
            (Some(5), Some(1), Some(3), None)
        );
        assert!(places.lock().is_closed());
        assert_eq!(places.take(0), None);
        assert_eq!(places.lock().take_free(), None);
    }
}
