//! A cache with a bounded number of entries, a bounded weight and a bounded age.
//!
//! The caller computes hashes with the cache's own [`CacheHasher`] and passes them in. So the only code of the caller
//! that runs in here is `Eq` of a key, and that before any change. Every key and value that is moved in comes out by
//! value, exactly once.
//!
//! # Time to live and time to idle
//!
//! An entry has expired when the time since its last write has reached the time to live, or the time since its last
//! write or counted read the time to idle ("expire after write" and "expire after access" elsewhere). From then on it is
//! treated as absent: a read is a miss, and an insert of its key counts as a new one. It keeps its place until
//! [`sweep`](Cache::sweep), or an insert that needs its place or its weight, frees it. No timer is armed for it. A clock
//! that goes backwards is treated as standing still.
//!
//! # Weight
//!
//! With [`CacheLimits::weight`], each entry has the weight that it was inserted with, and their sum is at no moment above
//! the limit. An insert may have to wait for several evictions, and each hands out one entry: so call
//! [`make_room`](Cache::make_room) until `None`, and then [`insert_weighted`](Cache::insert_weighted).

mod age;
mod cache_mut;
mod entry;
mod ghost;
mod hasher;
mod index;
mod insert;
mod limits;
mod policy;
mod report;
mod s3fifo;
#[cfg(test)]
mod tests;
mod weight;

use core::borrow::Borrow;
use core::fmt;

use slab::Slab;

use crate::time::Instant;
use age::Expiry;
use entry::{Entry, Slot};
use index::{Tags, tag};
use policy::Order;
use weight::Weights;

pub use cache_mut::CacheMut;
pub use hasher::CacheHasher;
pub use limits::CacheLimits;
pub use policy::Policy;
pub use report::{CacheStats, Inserted};

/// A bounded map from keys to values. A full cache evicts by [`Policy`], and entries expire by age or when they are not
/// read.
///
/// [`new`](Self::new) is the only call that allocates, exactly [`Cache::bytes`]. Every other call except
/// [`audit`](Self::audit) is expected O(1); an eviction looks at a bounded number of entries. Very rarely, an insert
/// rehashes the table in place, O(entries).
pub struct Cache<K, V> {
    entries: Slab<Entry<K, V>>,
    capacity: u32,
    index: Tags,
    order: Order,
    weights: Weights,
    /// If entries can expire.
    expiry: Option<Expiry>,
    hasher: CacheHasher,
    /// Whether every insert is refused: once closed, and always if there are no places.
    refuses: bool,
    stats: CacheStats,
}

impl<K, V> Cache<K, V> {
    /// An empty cache. Allocates [`Cache::bytes`].
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            entries: Slab::with_capacity(limits.entries as usize),
            capacity: limits.entries,
            index: Tags::new(limits.entries),
            order: Order::new(&limits),
            weights: Weights::new(&limits),
            expiry: Expiry::new(&limits),
            hasher: CacheHasher::with_seed(limits.seed),
            refuses: limits.entries == 0,
            stats: CacheStats::default(),
        }
    }

    /// The bytes that a cache with these limits asks of the allocator, exactly.
    #[must_use]
    pub const fn bytes(limits: &CacheLimits) -> usize {
        (limits.entries as usize)
            .saturating_mul(size_of::<Slot<Entry<K, V>>>())
            .saturating_add(Tags::bytes(limits.entries))
            .saturating_add(Order::bytes(limits))
            .saturating_add(Weights::bytes(limits))
            .saturating_add(Expiry::bytes(limits))
    }

    /// The hasher for the keys.
    #[must_use]
    pub const fn hasher(&self) -> CacheHasher {
        self.hasher
    }

    /// The live value of `key`. Counts a hit and a use of the entry, which restarts its time to idle; or a miss.
    #[inline]
    pub fn get<Q>(&mut self, now: Instant, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let found = self.index.find(&self.entries, tag(hash), |other| other.borrow() == key);
        let live = match &mut self.expiry {
            None => found,
            Some(expiry) => {
                expiry.observe_time(now);
                found.filter(|&(index, _)| expiry.read(index))
            }
        };
        let Some((index, entry)) = live else {
            count(&mut self.stats.misses);
            return None;
        };
        count(&mut self.stats.hits);
        self.order.used(index);
        Some(&entry.value)
    }

    /// The live value of `key`. Changes nothing and is not counted.
    #[inline]
    pub fn peek<Q>(&self, now: Instant, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let (index, entry) = self.index.find(&self.entries, tag(hash), |other| other.borrow() == key)?;
        let has_expired = self.expiry.as_ref().is_some_and(|expiry| expiry.has_expired(index, now));
        (!has_expired).then_some(&entry.value)
    }

    /// Removes `key` and its value, expired or not.
    pub fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let (index, _) = self.index.find(&self.entries, tag(hash), |other| other.borrow() == key)?;
        self.take(index).inspect(|_| count(&mut self.stats.removed))
    }

    /// Refuses every insert from now on. Call [`pop`](Self::pop) until `None` to empty the cache for good.
    pub const fn close(&mut self) {
        self.refuses = true;
    }

    /// Removes any one entry. Called until `None`, it empties the cache one bounded step at a time.
    pub fn pop(&mut self) -> Option<(K, V)> {
        let index = self.order.any()?;
        self.take(index).inspect(|_| count(&mut self.stats.removed))
    }

    /// Removes an expired entry: the one that is longest past its time to live, or else past its time to idle. `None` if
    /// none has expired.
    pub fn sweep(&mut self, now: Instant) -> Option<(K, V)> {
        self.observe_time(now);
        let index = self.expired(now)?;
        self.take(index).inspect(|_| count(&mut self.stats.expired))
    }

    /// Whether [`sweep`](Self::sweep) would find an expired entry.
    #[must_use]
    pub fn sweep_due(&self, now: Instant) -> bool {
        self.expired(now).is_some()
    }

    /// How many entries the cache holds, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the cache holds no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The most entries that the cache holds: [`CacheLimits::entries`].
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// What all entries together weigh, expired ones included. Without a limit of the weight each weighs 1.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.weights.total_and_highest().map_or(self.len() as u64, |(total, _)| total)
    }

    /// Counts of all that has happened.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let highest_weight = self.weights.total_and_highest();
        let highest_weight = highest_weight.map_or(self.stats.highest as u64, |(_, highest)| highest);
        CacheStats { highest_weight, ..self.stats }
    }

    /// Counts the entries that the index leads to, by walking all entries. O(entries). If this differs from
    /// [`len`](Self::len), the cache is broken.
    #[must_use]
    pub fn audit(&self) -> usize {
        let indexed = |entry: &Entry<K, V>| {
            self.index.find(&self.entries, entry.tag, |key| core::ptr::eq(key, &entry.key)).is_some()
        };
        self.entries.iter().filter(|(_, entry)| indexed(entry)).count()
    }

    /// Advances the cache's time to `now`, never back.
    fn observe_time(&mut self, now: Instant) {
        if let Some(expiry) = &mut self.expiry {
            expiry.observe_time(now);
        }
    }

    /// The entry to sweep; `None` if none has expired.
    fn expired(&self, now: Instant) -> Option<u32> {
        self.expiry.as_ref()?.expired(now)
    }

    fn has_expired(&self, index: u32) -> bool {
        self.expiry.as_ref().is_some_and(|expiry| expiry.has_expired(index, Instant::ZERO))
    }

    /// Removes the entry at `index`.
    fn take(&mut self, index: u32) -> Option<(K, V)> {
        self.order.removed(&self.weights, index);
        self.take_unlinked(index)
    }

    /// Removes the entry at `index`, which the policy has unlinked.
    fn take_unlinked(&mut self, index: u32) -> Option<(K, V)> {
        self.index.unlink(&self.entries, index);
        self.weights.set(index, 0);
        if let Some(expiry) = &mut self.expiry {
            expiry.removed(index);
        }
        self.entries.try_remove(index as usize).map(Entry::into_pair)
    }
}

/// Shows counts, never contents. Keys and values need not implement `Debug`.
impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("weight", &self.weight())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
