//! An index: from a hash to the numbers of the entries that may have the key.

use hashbrown::HashTable;

/// A hash table of the numbers of entries. The caller keeps the entries, and passes what is asked of them with each call.
///
/// Its capacity is twice the number of entries and one more, so it never grows. **The longest step**: removed entries
/// leave tombstones, and when these have filled the table, an insert rehashes it in place: O(entries), without
/// allocating. There are at least as many inserts between two rehashes as there are places. Any other step is O(1),
/// unless keys are chosen to collide.
#[derive(Debug)]
pub(crate) struct Index {
    numbers: HashTable<u32>,
}

impl Index {
    /// An empty index for `entries` entries. Allocates [`Index::bytes`], O(entries).
    pub(crate) fn new(entries: u32) -> Self {
        let numbers =
            if entries == 0 { HashTable::new() } else { HashTable::with_capacity(capacity(entries)) };
        Self { numbers }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator. Exact where `hashbrown` has groups of 16 control bytes,
    /// as on x86_64; a few bytes too many elsewhere. `usize::MAX` for more than can be addressed.
    pub(crate) const fn bytes(entries: u32) -> usize {
        if entries == 0 {
            return 0;
        }
        // One place for each bucket, which makes whole groups; then one control byte for each bucket, and one more group.
        buckets(capacity(entries)).saturating_mul(size_of::<u32>() + 1).saturating_add(GROUP)
    }

    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.numbers.allocation_size()
    }

    /// The number with this hash for which `is_it` is true. Expected O(1).
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.numbers.find(spread(hash), |number| is_it(*number)).copied()
    }

    /// Adds a number, which must not be in the index. `hash_of` gives the hash of every number. Expected O(1), except
    /// for a rehash.
    #[inline]
    pub(crate) fn link(&mut self, number: u32, hash_of: impl Fn(u32) -> u64) {
        let hash = |number: &u32| spread(hash_of(*number));
        self.numbers.insert_unique(hash(&number), number, hash);
    }

    /// Removes a number with this hash. Expected O(1).
    #[inline]
    pub(crate) fn unlink(&mut self, number: u32, hash: u64) {
        match self.numbers.find_entry(spread(hash), |other| *other == number) {
            Ok(found) => drop(found.remove()),
            Err(_) => debug_assert!(false, "every entry is in the index"),
        }
    }
}

/// The hash for the table, which takes the bucket from the low bits and the control byte from the high bits.
const fn spread(hash: u64) -> u64 {
    // Fibonacci hashing: the factor is 2^64 divided by the golden ratio.
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32)
}

/// How many control bytes are in a group.
const GROUP: usize = 16;

/// The capacity with which the table never grows. `hashbrown` rehashes a table in place, instead of growing it, while
/// at most half of its capacity is in use.
const fn capacity(entries: u32) -> usize {
    (entries as usize).saturating_mul(2).saturating_add(1)
}

/// How many buckets `hashbrown` makes for this capacity, or `usize::MAX` if it can't. At least an eighth of them stays
/// empty.
const fn buckets(capacity: usize) -> usize {
    match capacity {
        0..4 => 4,
        4..8 => 8,
        8..15 => 16,
        _ => match (capacity.saturating_mul(8) / 7).checked_next_power_of_two() {
            Some(buckets) if capacity <= usize::MAX / 8 => buckets,
            _ => usize::MAX,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn more_than_can_be_addressed_is_no_overflow() {
        let bytes = Index::bytes(u32::MAX);
        assert_eq!(bytes == usize::MAX, usize::BITS == 32, "{bytes}");
    }

    #[test]
    fn it_never_grows_and_finds_what_is_there() {
        for entries in [1_u32, 7, 100, 1_000] {
            let (mut rng, mut index) = (fastrand::Rng::with_seed(entries.into()), Index::new(entries));
            let before = index.allocated();
            assert!(before <= Index::bytes(entries), "{before} for {entries}");
            let mut keys: Vec<u64> = (0..u64::from(entries)).collect();
            (0..entries).for_each(|number| index.link(number, |number| keys[number as usize]));
            // Removed numbers leave tombstones, until the table is rehashed.
            for _ in 0..40 * entries {
                let number = rng.u32(..entries);
                index.unlink(number, keys[number as usize]);
                assert_eq!(index.find(keys[number as usize], |other| other == number), None);
                keys[number as usize] = rng.u64(..) << rng.u32(..40);
                index.link(number, |number| keys[number as usize]);
                let other = rng.u32(..entries);
                assert_eq!(index.find(keys[other as usize], |found| found == other), Some(other));
            }
            assert_eq!(index.allocated(), before);
        }
    }
}
