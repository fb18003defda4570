//! The index: from a hash to the places of the entries that may have the key.

use hashbrown::HashTable;
use slab::Slab;

use super::entry::Entry;

/// The tag: 32 bits of a hash. The cache uses no others.
#[inline]
pub(super) const fn tag(hash: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "the high half is folded in")]
    let tag = (hash ^ (hash >> 32)) as u32;
    tag
}

/// A hash table of the places of entries. The caller passes the entries with each call.
///
/// Its capacity is twice the number of entries and one more, so it never grows. **The longest step**: removed entries
/// leave tombstones, and when these have filled the table, an insert rehashes it in place: O(entries), without
/// allocating. There are at least as many inserts between two rehashes as the cache has places. Any other step is O(1),
/// unless keys are chosen to collide.
pub(super) struct Index {
    places: HashTable<u32>,
}

impl Index {
    /// An empty index for `entries` entries. Allocates [`Index::bytes`], O(entries).
    pub(super) fn new(entries: u32) -> Self {
        let places =
            if entries == 0 { HashTable::new() } else { HashTable::with_capacity(capacity(entries)) };
        Self { places }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator. Exact where `hashbrown` has groups of 16 control bytes,
    /// as on x86_64; a few bytes too many elsewhere.
    pub(super) const fn bytes(entries: u32) -> usize {
        if entries == 0 {
            return 0;
        }
        let buckets = buckets(capacity(entries));
        // One place for each bucket, padded to a whole group; then one control byte for each bucket, and one more
        // group.
        (buckets * size_of::<u32>()).next_multiple_of(GROUP) + buckets + GROUP
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.places.allocation_size()
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
        let is_match =
            |place: &u32| entry(*place).is_some_and(|entry| entry.tag == tag && is_key(&entry.key));
        let place = *self.places.find(spread(tag), is_match)?;
        Some((place, entry(place)?))
    }

    /// Adds the entry at `place`, which must not be in the index. Expected O(1), except for a rehash.
    #[inline]
    pub(super) fn link<K, V>(&mut self, entries: &Slab<Entry<K, V>>, place: u32) {
        let hash = |place: &u32| entries.get(*place as usize).map_or(0, |entry| spread(entry.tag));
        self.places.insert_unique(hash(&place), place, hash);
    }

    /// Removes the entry at `place`. Expected O(1).
    #[inline]
    pub(super) fn unlink<K, V>(&mut self, entries: &Slab<Entry<K, V>>, place: u32) {
        let Some(entry) = entries.get(place as usize) else { return };
        match self.places.find_entry(spread(entry.tag), |other| *other == place) {
            Ok(found) => drop(found.remove()),
            Err(_) => debug_assert!(false, "every entry is in the index"),
        }
    }
}

/// The hash of a tag for the table, which takes the bucket from the low bits and the control byte from the high bits.
const fn spread(tag: u32) -> u64 {
    // Fibonacci hashing: the factor is 2^64 divided by the golden ratio.
    (tag as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32)
}

/// How many control bytes are in a group.
const GROUP: usize = 16;

/// The capacity with which the table never grows. `hashbrown` rehashes a table in place, instead of growing it, while
/// at most half of its capacity is in use.
const fn capacity(entries: u32) -> usize {
    2 * entries as usize + 1
}

/// How many buckets `hashbrown` makes for this capacity. At least an eighth of them stays empty.
const fn buckets(capacity: usize) -> usize {
    match capacity {
        0..4 => 4,
        4..8 => 8,
        8..15 => 16,
        _ => (capacity * 8 / 7).next_power_of_two(),
    }
}
