//! From a hash to the entries that may have the key.

use alloc::vec;
use alloc::vec::Vec;

use super::chain::NIL;
use super::entry::Entry;

/// The 32 bits of a hash that the cache works with.
#[inline]
pub(super) const fn tag(hash: u64) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "the high half is folded in")]
    let tag = (hash ^ (hash >> 32)) as u32;
    tag
}

/// A hash table with separate chaining (Knuth, The Art of Computer Programming, vol. 3, section 6.4) through the
/// entries themselves. Whoever holds it passes the entries with each call.
///
/// A removal leaves nothing behind, nothing is ever rehashed, and the table never grows. There are at least four
/// times as many buckets as entries, so that whether a bucket is empty mostly says whether the key is there: on
/// average at most a quarter of an entry is looked at in vain. **The longest step** is the longest bucket, O(log n /
/// log log n) of n entries with high probability, unless keys are chosen to collide.
pub(super) struct Index {
    /// The first entry of each bucket.
    buckets: Vec<u32>,
    mask: u32,
}

impl Index {
    /// Allocates [`Index::bytes`].
    pub(super) fn new(entries: u32) -> Self {
        let buckets = buckets(entries);
        Self {
            buckets: vec![NIL; buckets],
            mask: u32::try_from(buckets.saturating_sub(1)).unwrap_or(u32::MAX),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(entries: u32) -> usize {
        buckets(entries).saturating_mul(size_of::<u32>())
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.buckets.capacity() * size_of::<u32>()
    }

    /// The entry with this tag whose key `is` says yes to, and its index. Expected O(1).
    #[inline]
    pub(super) fn find<'a, K, V>(
        &self,
        entries: &'a [Entry<K, V>],
        tag: u32,
        mut is: impl FnMut(&K) -> bool,
    ) -> Option<(u32, &'a Entry<K, V>)> {
        let mut at = *self.buckets.get((tag & self.mask) as usize)?;
        while let Some(entry) = entries.get(at as usize) {
            if entry.tag == tag && is(&entry.key) {
                return Some((at, entry));
            }
            at = entry.next;
        }
        None
    }

    /// Links the entry at `index`, which is in no bucket. O(1).
    #[inline]
    pub(super) fn link<K, V>(&mut self, entries: &mut [Entry<K, V>], index: u32) {
        let Some(entry) = entries.get_mut(index as usize) else { return };
        if let Some(bucket) = self.buckets.get_mut((entry.tag & self.mask) as usize) {
            entry.next = core::mem::replace(bucket, index);
        }
    }

    /// Unlinks the entry at `index`. Expected O(1).
    #[inline]
    pub(super) fn unlink<K, V>(&mut self, entries: &mut [Entry<K, V>], index: u32) {
        if let Some(&Entry { tag, next, .. }) = entries.get(index as usize) {
            self.redirect(entries, tag, index, next);
        }
    }

    /// The entry that was at `from` is at `to`. Expected O(1).
    pub(super) fn moved<K, V>(&mut self, entries: &mut [Entry<K, V>], from: u32, to: u32) {
        if let Some(&Entry { tag, .. }) = entries.get(to as usize) {
            self.redirect(entries, tag, from, to);
        }
    }

    /// Makes what leads to `from` in the bucket of `tag` lead to `to`.
    #[inline]
    fn redirect<K, V>(&mut self, entries: &mut [Entry<K, V>], tag: u32, from: u32, to: u32) {
        let Some(bucket) = self.buckets.get_mut((tag & self.mask) as usize) else { return };
        if *bucket == from {
            *bucket = to;
            return;
        }
        let mut at = *bucket;
        while let Some(entry) = entries.get_mut(at as usize) {
            if entry.next == from {
                entry.next = to;
                return;
            }
            at = entry.next;
        }
        debug_assert!(false, "every entry is in its bucket");
    }
}

/// How many buckets: a power of two, at least four times the entries as long as a tag tells so many apart; none for
/// none.
const fn buckets(entries: u32) -> usize {
    match entries {
        0 => 0,
        1..=MOST_FOURFOLD => (entries as usize * 4).next_power_of_two(),
        _ => 1 << 31,
    }
}

/// Four times this are buckets that 32 bits still count.
const MOST_FOURFOLD: u32 = 1 << 29;
