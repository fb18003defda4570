//! From a hash to the slots that may have the key.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Hashes keys for one cache: foldhash from a fixed seed, so that the same run has the same hashes. `Copy`, so that a
/// host can hash before it takes its lock.
///
/// Keys from an untrusted source may be chosen to collide once the seed is known; draw the seed at start for those.
#[derive(Clone, Copy)]
pub struct CacheHasher {
    seed: u64,
}

impl CacheHasher {
    pub(super) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The hash that the methods of the cache ask for beside `key`. Runs the key's own `Hash`.
    pub fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        FixedState::with_seed(self.seed).hash_one(key)
    }
}

/// Does not show the seed.
impl fmt::Debug for CacheHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheHasher").finish_non_exhaustive()
    }
}

/// A table of slot indices, for at most `entries` of them at a time, which never allocates after [`Index::new`].
///
/// A removal may leave a tombstone. When these have used up the room, `hashbrown` rehashes in place if at most half of
/// its capacity is in use, and grows otherwise. So the table is built for `2 * entries + 1`, and a removal comes before
/// the insert that needs its place: at most half is ever in use, and it never grows. **The longest step** is that rehash,
/// O(entries), over fewer than `5 * entries + 4` buckets; at least `entries` inserts lie between two of them.
pub(super) struct Index {
    table: HashTable<u32>,
}

impl Index {
    /// Allocates [`Index::bytes`].
    pub(super) fn new(entries: u32) -> Self {
        Self { table: HashTable::with_capacity(built_for(entries)) }
    }

    /// The first index with this hash that `is` says yes to. Expected O(1).
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.table.find(hash, |&index| is(index)).copied()
    }

    /// Adds `index`, which is not in the table. `hash_of` gives the hash of any index that is in it.
    pub(super) fn insert(&mut self, hash: u64, index: u32, hash_of: impl Fn(u32) -> u64) {
        self.table.insert_unique(hash, index, |&other| hash_of(other));
    }

    /// Takes `index` out. Expected O(1).
    pub(super) fn remove(&mut self, hash: u64, index: u32) {
        let found = self.table.find_entry(hash, |&other| other == index);
        debug_assert!(found.is_ok(), "every entry is in the index");
        if let Ok(found) = found {
            found.remove();
        }
    }

    /// The bytes asked of the allocator for `entries`: exact where a group is 16 bytes (SSE2), elsewhere an upper bound.
    pub(super) const fn bytes(entries: u32) -> usize {
        match built_for(entries) {
            0 => 0,
            capacity => table_bytes(buckets(capacity)),
        }
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.table.allocation_size()
    }
}

/// The capacity that is asked of `hashbrown`.
const fn built_for(entries: u32) -> usize {
    match entries {
        0 => 0,
        _ => (entries as usize).saturating_mul(2).saturating_add(1),
    }
}

/// How many buckets `hashbrown` makes for `capacity`: a power of two of which at most 7/8 are used, or all but one of up
/// to eight.
const fn buckets(capacity: usize) -> usize {
    match capacity {
        0..=3 => 4,
        4..=7 => 8,
        _ => match (capacity.saturating_mul(8) / 7).checked_next_power_of_two() {
            Some(buckets) => buckets,
            None => usize::MAX,
        },
    }
}

/// The `u32`s of the buckets padded to a group of 16 control bytes, then a control byte for each, and one group more.
const fn table_bytes(buckets: usize) -> usize {
    const GROUP: usize = 16;
    let indices = buckets.saturating_mul(size_of::<u32>()).saturating_add(GROUP - 1) & !(GROUP - 1);
    indices.saturating_add(buckets).saturating_add(GROUP)
}
