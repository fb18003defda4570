//! What a slot of the cache holds.

use crate::list::{Linked, Links};
use crate::time::Instant;

/// The lane of the list that the policy keeps.
pub(super) const ORDER: usize = 0;

/// The lane of the list in order of writing. The time to live is the same for all, so its front expires first.
pub(super) const WRITTEN: usize = 1;

pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    /// Kept, so that neither a rehash nor a removal runs the key's code.
    pub(super) hash: u64,
    pub(super) written: Instant,
    order: Links,
    in_written: Links,
}

impl<K, V> Entry<K, V> {
    pub(super) fn new(key: K, value: V, hash: u64, written: Instant) -> Self {
        Self { key, value, hash, written, order: Links::default(), in_written: Links::default() }
    }

    pub(super) fn into_pair(self) -> (K, V) {
        (self.key, self.value)
    }
}

impl<K, V> Linked<ORDER> for Entry<K, V> {
    fn links(&mut self) -> &mut Links {
        &mut self.order
    }

    fn links_ref(&self) -> &Links {
        &self.order
    }
}

impl<K, V> Linked<WRITTEN> for Entry<K, V> {
    fn links(&mut self) -> &mut Links {
        &mut self.in_written
    }

    fn links_ref(&self) -> &Links {
        &self.in_written
    }
}
