//! Values that can be lent out, and taken away for good by their owner.

use crate::lock::{Guard, Lock};

/// Holds a few values for two parties: a *user*, who takes them out to work with them and puts them back, and an
/// *owner*, who may close it at any time.
///
/// Values are only ever moved under the lock, never polled, called or dropped there: whoever gets a value back drops
/// it outside. `T` should be a pointer, so that moving it is cheap. Every call but [`close`](Self::close) is O(1).
#[derive(Debug)]
pub(crate) struct Lent<T>(Lock<Shelf<T>>);

/// What is behind the lock of a [`Lent`].
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    /// `None` for what is out.
    values: Box<[Option<T>]>,
    closed: bool,
}

impl<T> Shelf<T> {
    /// The value at `index`, if it is here: to be looked at under the lock, not to be dropped.
    pub(crate) fn get(&mut self, index: u32) -> Option<&mut T> {
        self.values.get_mut(index as usize)?.as_mut()
    }

    fn take(&mut self, index: u32) -> Option<T> {
        self.values.get_mut(index as usize)?.take()
    }
}

impl<T> Lent<T> {
    pub(crate) fn new(values: Vec<T>) -> Self {
        let values = values.into_iter().map(Some).collect();
        Self(Lock::new(Shelf { values, closed: false }))
    }

    /// The bytes that [`new`](Self::new) asks of the allocator for this many values.
    pub(crate) const fn bytes(values: usize) -> usize {
        values.saturating_mul(size_of::<Option<T>>())
    }

    /// Takes a value out; `None` when it is out already, or all were taken away.
    pub(crate) fn take(&self, index: u32) -> Option<T> {
        self.lock().take(index)
    }

    /// Puts back what was taken out; hands it out again when this was closed in the meantime.
    pub(crate) fn put_back(&self, index: u32, value: T) -> Result<(), T> {
        let mut shelf = self.lock();
        if shelf.closed {
            return Err(value);
        }
        match shelf.values.get_mut(index as usize) {
            Some(place) => {
                debug_assert!(place.is_none(), "only what was taken is put back");
                *place = Some(value);
                Ok(())
            }
            None => Err(value),
        }
    }

    /// Puts one value back and takes another out, in one hold of the lock. When this was closed in the meantime the
    /// one stays in `back`, and there is no other.
    pub(crate) fn exchange(&self, back: &mut Option<(u32, T)>, index: u32) -> Option<T> {
        let mut shelf = self.lock();
        if shelf.closed {
            return None;
        }
        if let Some((index, value)) = back.take() {
            if let Some(place) = shelf.values.get_mut(index as usize) {
                debug_assert!(place.is_none(), "only what was taken is put back");
                *place = Some(value);
            }
        }
        shelf.take(index)
    }

    /// Closes this for good, and hands out one of the values that are here: called until `None`, it empties it. What
    /// is out cannot be put back any more. O(values).
    pub(crate) fn close(&self) -> Option<T> {
        let mut shelf = self.lock();
        shelf.closed = true;
        shelf.values.iter_mut().find_map(Option::take)
    }

    /// For a longer look. Nothing that is foreign may run or be dropped until the lock is let go.
    pub(crate) fn lock(&self) -> Guard<'_, Shelf<T>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_one_hand_at_a_time() {
        let lent = Lent::new(vec![1, 10]);
        assert_eq!(lent.take(0), Some(1));
        assert_eq!((lent.take(0), lent.take(2)), (None, None));
        assert_eq!(lent.put_back(0, 2), Ok(()));
        assert_eq!(lent.take(0), Some(2));
        let mut back = Some((0, 3));
        assert_eq!((lent.exchange(&mut back, 1), back), (Some(10), None));
        assert_eq!(lent.lock().get(0).copied(), Some(3));
        assert_eq!(lent.lock().get(1), None);
    }

    #[test]
    fn closing_hands_out_what_is_here_and_bars_what_is_not() {
        let lent = Lent::new(vec![1, 2, 3]);
        assert_eq!(lent.take(1), Some(2));
        assert_eq!((lent.close(), lent.close(), lent.close()), (Some(1), Some(3), None));
        assert_eq!((lent.take(0), lent.put_back(1, 2)), (None, Err(2)));
        let mut back = Some((1, 2));
        assert_eq!((lent.exchange(&mut back, 0), back), (None, Some((1, 2))));
    }
}
