//! What a place of the cache holds.

use super::Inserted;
use super::chain::NIL;

pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    /// Kept, so that neither a removal nor a move runs the key's code.
    pub(super) tag: u32,
    /// The next entry of the same bucket of the index.
    pub(super) next: u32,
}

impl<K, V> Entry<K, V> {
    pub(super) const fn new(key: K, value: V, tag: u32) -> Self {
        Self { key, value, tag, next: NIL }
    }

    pub(super) fn into_pair(self) -> (K, V) {
        (self.key, self.value)
    }

    /// What becomes of an entry that found no place.
    pub(super) fn refused(self) -> Inserted<K, V> {
        Inserted::Refused(self.key, self.value)
    }
}
