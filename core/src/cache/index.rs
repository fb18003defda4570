//! From a hash to the entries that may have the key.

use hashbrown::HashTable;
use slab::Slab;

use super::entry::Entry;

/// The 32 bits of a hash that the cache works with.
#[inline]
pub(super) const fn tag(hash: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "the high half is folded in")]
    let tag = (hash ^ (hash >> 32)) as u32;
    tag
}

/// A hash table of the places of entries. The caller passes the entries with each call.
///
/// It is made for twice as many as there may be and one more, and so it never grows. **The longest step**: what was removed
/// leaves marks, and once in many inserts, of as many at least as there are entries, all places are sorted in anew, O(entries)
/// without allocating. Otherwise a step takes O(1), unless keys are chosen to collide.
pub(super) struct Index {
    places: HashTable<u32>,
}

impl Index {
    /// Allocates [`Index::bytes`].
    pub(super) fn new(entries: u32) -> Self {
        let places =
            if entries == 0 { HashTable::new() } else { HashTable::with_capacity(capacity(entries)) };
        Self { places }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator: exactly where `hashbrown` looks at 16 control bytes at a time, as
    /// on x86_64, and a few more than that elsewhere.
    pub(super) const fn bytes(entries: u32) -> usize {
        if entries == 0 {
            return 0;
        }
        let buckets = buckets(capacity(entries));
        // A place each, padded to a group of control bytes, of which there is one each and a group more.
        (buckets * size_of::<u32>()).next_multiple_of(GROUP) + buckets + GROUP
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.places.allocation_size()
    }

    /// The entry with this tag whose key `is` says yes to, and its place. Expected O(1).
    #[inline]
    pub(super) fn find<'a, K, V>(
        &self,
        entries: &'a Slab<Entry<K, V>>,
        tag: u32,
        mut is: impl FnMut(&K) -> bool,
    ) -> Option<(u32, &'a Entry<K, V>)> {
        let entry = |place: u32| entries.get(place as usize);
        let is_it = |place: &u32| entry(*place).is_some_and(|entry| entry.tag == tag && is(&entry.key));
        let place = *self.places.find(spread(tag), is_it)?;
        Some((place, entry(place)?))
    }

    /// Notes the entry at `place`, which is not here yet.
    #[inline]
    pub(super) fn link<K, V>(&mut self, entries: &Slab<Entry<K, V>>, place: u32) {
        let hash = |place: &u32| entries.get(*place as usize).map_or(0, |entry| spread(entry.tag));
        self.places.insert_unique(hash(&place), place, hash);
    }

    /// Forgets the entry at `place`. Expected O(1).
    #[inline]
    pub(super) fn unlink<K, V>(&mut self, entries: &Slab<Entry<K, V>>, place: u32) {
        let Some(entry) = entries.get(place as usize) else { return };
        match self.places.find_entry(spread(entry.tag), |other| *other == place) {
            Ok(found) => drop(found.remove()),
            Err(_) => debug_assert!(false, "every entry is here"),
        }
    }
}

/// The hash of a tag: the table takes the place from its low bits and tells neighbours apart by its high ones.
const fn spread(tag: u32) -> u64 {
    // Multiplied by 2^64 divided by the golden ratio.
    (tag as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32)
}

/// How many control bytes are looked at together.
const GROUP: usize = 16;

/// For how many a table has to be made so that it never grows: one that is full of marks is sorted anew in its place as long as
/// not more than half of it is in use.
const fn capacity(entries: u32) -> usize {
    2 * entries as usize + 1
}

/// How many buckets `hashbrown` makes for so many: an eighth of them stays empty.
const fn buckets(capacity: usize) -> usize {
    match capacity {
        0..4 => 4,
        4..8 => 8,
        8..15 => 16,
        _ => (capacity * 8 / 7).next_power_of_two(),
    }
}
