//! The index of the cache: from a tag to the places of the entries that may have the key.

use slab::Slab;

use super::entry::Entry;
use crate::index::Index;

/// The tag: 32 bits of a hash. The cache uses no others.
#[inline]
pub(super) const fn tag(hash: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "the high half is folded in")]
    let tag = (hash ^ (hash >> 32)) as u32;
    tag
}

/// An [`Index`] by tag. The caller passes the entries with each call.
pub(super) struct Tags(Index);

impl Tags {
    /// An empty index for `entries` entries. Allocates [`Tags::bytes`], O(entries).
    pub(super) fn new(entries: u32) -> Self {
        Self(Index::new(entries))
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(super) const fn bytes(entries: u32) -> usize {
        Index::bytes(entries)
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.0.allocated()
    }

    /// The place of the entry that has this tag and a key for which `is_key` is true, and the entry. Expected O(1).
    #[inline]
    pub(super) fn find<'a, K, V>(
        &self,
        entries: &'a Slab<Entry<K, V>>,
        tag: u32,
        mut is_key: impl FnMut(&K) -> bool,
    ) -> Option<(u32, &'a Entry<K, V>)> {
        let entry = |place: u32| entries.get(place as usize);
        let is_match = |place: u32| entry(place).is_some_and(|entry| entry.tag == tag && is_key(&entry.key));
        let place = self.0.find(tag.into(), is_match)?;
        Some((place, entry(place)?))
    }

    /// Adds the entry at `place`, which must not be in the index. Expected O(1), except for a rehash.
    #[inline]
    pub(super) fn link<K, V>(&mut self, entries: &Slab<Entry<K, V>>, place: u32) {
        self.0.link(place, |place| entries.get(place as usize).map_or(0, |entry| entry.tag.into()));
    }

    /// Removes the entry at `place`. Expected O(1).
    #[inline]
    pub(super) fn unlink<K, V>(&mut self, entries: &Slab<Entry<K, V>>, place: u32) {
        if let Some(entry) = entries.get(place as usize) {
            self.0.unlink(place, entry.tag.into());
        }
    }
}
