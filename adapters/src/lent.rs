//! A place whose value can be lent out, and emptied for good by its owner.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Holds one value for two parties: a *user*, who takes it out to work with it and puts it back, and an *owner*, who
/// may close the place at any time.
///
/// Values are only ever moved under the lock, never polled, called or dropped there: whoever gets a value back drops
/// it outside. `T` should be a pointer, so that moving it is cheap. Every call is O(1).
#[derive(Debug)]
pub(crate) struct Lent<T>(Mutex<Place<T>>);

#[derive(Debug)]
enum Place<T> {
    Here(T),
    Away,
    Closed,
}

impl<T> Lent<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(Mutex::new(Place::Here(value)))
    }

    /// Takes the value out; `None` when it is out already, or when the place is closed.
    pub(crate) fn take(&self) -> Option<T> {
        let mut place = self.lock();
        match std::mem::replace(&mut *place, Place::Away) {
            Place::Here(value) => Some(value),
            Place::Away => None,
            Place::Closed => {
                *place = Place::Closed;
                None
            }
        }
    }

    /// Puts back what [`take`](Self::take) gave; hands it out again when the place was closed in the meantime.
    pub(crate) fn put_back(&self, value: T) -> Result<(), T> {
        let mut place = self.lock();
        if matches!(*place, Place::Away) {
            *place = Place::Here(value);
            return Ok(());
        }
        debug_assert!(matches!(*place, Place::Closed), "only what was taken is put back");
        Err(value)
    }

    /// Closes the place for good, and hands out the value if it is here. If it is out, putting it back will fail.
    pub(crate) fn close(&self) -> Option<T> {
        match std::mem::replace(&mut *self.lock(), Place::Closed) {
            Place::Here(value) => Some(value),
            Place::Away | Place::Closed => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_one_hand_at_a_time() {
        let lent = Lent::new(1);
        assert_eq!(lent.take(), Some(1));
        assert_eq!(lent.take(), None);
        assert_eq!(lent.put_back(2), Ok(()));
        assert_eq!(lent.take(), Some(2));
    }

    #[test]
    fn closing_hands_out_what_is_here_and_bars_what_is_not() {
        let here = Lent::new(1);
        assert_eq!(here.close(), Some(1));
        assert_eq!((here.take(), here.close()), (None, None));
        assert_eq!(here.put_back(2), Err(2));

        let away = Lent::new(1);
        assert_eq!(away.take(), Some(1));
        assert_eq!(away.close(), None);
        assert_eq!(away.put_back(1), Err(1));
        assert_eq!(away.take(), None);
    }
}
