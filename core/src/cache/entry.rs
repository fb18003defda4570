//! An entry of the cache.

use super::Inserted;

pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    /// Stored, so that a removal does not run the key's code.
    pub(super) tag: u32,
}

/// A type with the layout of a slot of `slab`, for its size.
#[allow(dead_code, reason = "never built, only measured")]
pub(super) enum Slot<T> {
    Vacant(usize),
    Occupied(T),
}

impl<K, V> Entry<K, V> {
    pub(super) const fn new(key: K, value: V, tag: u32) -> Self {
        Self { key, value, tag }
    }

    pub(super) fn into_pair(self) -> (K, V) {
        (self.key, self.value)
    }

    /// Hands back the entry of a refused insert.
    pub(super) fn refused(self) -> Inserted<K, V> {
        Inserted::Refused(self.key, self.value)
    }
}
