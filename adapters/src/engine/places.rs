//! The places: where attempts lie while no worker has them in hand.

use super::lock::{Guard, Lock};

/// The cells of all places, for two parties: the *workers*, who take cells in hand and give them back, and the *owner*,
/// who may close this at any time and gets all that is here.
///
/// Cells are only ever moved under the lock, never polled, called or dropped there. `C` should be a pointer, so that
/// moving it is cheap. Every call but [`close`](Self::close) is O(1).
#[derive(Debug)]
pub(super) struct Places<C>(Lock<Shelf<C>>);

/// What the lock guards.
#[derive(Debug)]
pub(super) struct Shelf<C> {
    /// `None` for a cell in hand.
    cells: Box<[Option<C>]>,
    /// The places without an attempt.
    free: Vec<u32>,
    closed: bool,
}

impl<C> Places<C> {
    /// All places are free; the first one is taken first.
    pub(super) fn new(cells: impl ExactSizeIterator<Item = C>) -> Self {
        // Of this size from the start: bytes asked for are counted.
        let mut free = Vec::with_capacity(cells.len());
        free.extend((0..u32::try_from(cells.len()).unwrap_or(u32::MAX)).rev());
        Self(Lock::new(Shelf { cells: cells.map(Some).collect(), free, closed: false }))
    }

    /// The bytes that [`new`](Self::new) asks of the allocator for each cell.
    pub(super) const BYTES_EACH: usize = size_of::<Option<C>>() + size_of::<u32>();

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, Shelf<C>> {
        self.0.lock()
    }

    /// Takes the cell of one place, if it is here.
    pub(super) fn take(&self, place: u32) -> Option<C> {
        self.lock().take(place)
    }

    /// Closes this for good, and hands out one of the cells that are here: called until `None`, it empties it. A cell in
    /// hand cannot be put back any more. O(places).
    pub(super) fn close(&self) -> Option<C> {
        let mut shelf = self.lock();
        shelf.closed = true;
        shelf.cells.iter_mut().find_map(Option::take)
    }

    /// How many cells are in hand. O(places).
    pub(super) fn count_in_hand(&self) -> usize {
        self.lock().cells.iter().filter(|cell| cell.is_none()).count()
    }
}

impl<C> Shelf<C> {
    /// Whether no cell can be put back any more.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    #[inline]
    pub(super) fn take(&mut self, place: u32) -> Option<C> {
        self.cells.get_mut(place as usize)?.take()
    }

    /// Puts back a cell that was taken. Not to be called once this is closed.
    #[inline]
    pub(super) fn put(&mut self, place: u32, cell: C) {
        debug_assert!(!self.closed, "a closed shelf takes nothing back");
        if let Some(slot) = self.cells.get_mut(place as usize) {
            debug_assert!(slot.is_none(), "only what was taken is put back");
            *slot = Some(cell);
        }
    }

    /// Takes a free place with its cell.
    #[inline]
    pub(super) fn take_free(&mut self) -> Option<(u32, C)> {
        let place = self.free.pop()?;
        let cell = self.take(place);
        debug_assert!(cell.is_some() || self.closed, "a free place has its cell");
        Some((place, cell?))
    }

    /// Puts back a cell without an attempt.
    #[inline]
    pub(super) fn put_free(&mut self, place: u32, cell: C) {
        self.put(place, cell);
        self.free.push(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_in_one_hand_at_a_time() {
        let places = Places::new([1, 10].into_iter());
        assert_eq!(places.lock().take_free(), Some((0, 1)));
        assert_eq!((places.take(0), places.take(2)), (None, None));
        places.lock().put(0, 2);
        assert_eq!(places.take(0), Some(2));
        places.lock().put_free(0, 3);
        assert_eq!(places.lock().take_free(), Some((0, 3)));
        assert_eq!(places.lock().take_free(), Some((1, 10)));
        assert_eq!(places.lock().take_free(), None);
        assert_eq!(places.count_in_hand(), 2);
    }

    #[test]
    fn closing_hands_out_the_cells_that_are_here() {
        let places = Places::new([1, 2, 3].into_iter());
        assert_eq!(places.take(1), Some(2));
        assert_eq!((places.close(), places.close(), places.close()), (Some(1), Some(3), None));
        assert!(places.lock().is_closed());
        assert_eq!(places.take(0), None);
        assert_eq!(places.lock().take_free(), None);
    }
}
