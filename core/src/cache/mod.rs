//! A cache with a bounded number of entries and a bounded age.
//!
//! The caller computes hashes with the cache's own [`CacheHasher`] and passes them in. So the only code of the caller
//! that runs in here is `Eq` of a key, and that before any change. Every key and value that is moved in comes out by
//! value, exactly once.
//!
//! # Time to live
//!
//! An entry has expired when its age since its last write has reached the time to live. From then on it is treated as
//! absent: a read is a miss, and an insert of its key counts as a new one. It keeps its place until
//! [`sweep`](Cache::sweep), or an insert that needs a place, frees it. No timer is armed for it. A clock that goes
//! backwards is treated as standing still.

mod age;
mod cache_mut;
mod entry;
mod ghost;
mod hasher;
mod index;
mod policy;
mod report;
mod s3fifo;
#[cfg(test)]
mod tests;

use core::borrow::Borrow;
use core::fmt;
use core::time::Duration;

use slab::Slab;

use crate::time::Instant;
use age::Ages;
use entry::{Entry, Slot};
use index::{Index, tag};
use policy::Order;

pub use cache_mut::CacheMut;
pub use hasher::CacheHasher;
pub use policy::Policy;
pub use report::{CacheStats, Inserted};

/// The limits of a [`Cache`], fixed when it is built. By default it holds nothing. Further limits may be added: end a
/// literal with `..CacheLimits::default()`.
///
/// ```
/// # use core::time::Duration;
/// # use plimsoll_core::{CacheLimits, Policy};
/// let limits = CacheLimits::new(1_000).ttl(Duration::from_secs(60));
/// assert_eq!(limits, CacheLimits { entries: 1_000, ttl: Some(Duration::from_secs(60)), ..CacheLimits::default() });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CacheLimits {
    /// The most entries that the cache holds. With 0 it refuses every insert and takes no memory.
    pub entries: u32,
    /// The age at which an entry expires. With 0 it expires at once; with `None` it never does.
    pub ttl: Option<Duration>,
    /// Which entry a full cache evicts.
    pub policy: Policy,
    /// The seed of the hasher.
    pub seed: u64,
}

impl CacheLimits {
    /// At most `entries` entries, which never expire, with [`Policy::Fifo`].
    #[must_use]
    pub const fn new(entries: u32) -> Self {
        Self { entries, ttl: None, policy: Policy::Fifo, seed: 0 }
    }

    /// Sets the age at which an entry expires.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets which entry a full cache evicts.
    #[must_use]
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}

/// A bounded map from keys to values. A full cache evicts by [`Policy`], and entries expire by age.
///
/// [`new`](Self::new) is the only call that allocates, exactly [`Cache::bytes`]. Every other call except
/// [`audit`](Self::audit) is expected O(1); an eviction looks at a bounded number of entries. Very rarely, an insert
/// rehashes the table in place, O(entries).
pub struct Cache<K, V> {
    entries: Slab<Entry<K, V>>,
    capacity: u32,
    index: Index,
    order: Order,
    ages: Option<Ages>,
    hasher: CacheHasher,
    closed: bool,
    stats: CacheStats,
}

impl<K, V> Cache<K, V> {
    /// An empty cache. Allocates [`Cache::bytes`].
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        let CacheLimits { entries, ttl, policy, seed } = limits;
        Self {
            entries: Slab::with_capacity(entries as usize),
            capacity: entries,
            index: Index::new(entries),
            order: Order::new(policy, entries),
            ages: ttl.map(|ttl| Ages::new(ttl, entries)),
            hasher: CacheHasher::with_seed(seed),
            closed: false,
            stats: CacheStats::default(),
        }
    }

    /// The bytes that a cache with these limits asks of the allocator, exactly.
    #[must_use]
    pub const fn bytes(limits: &CacheLimits) -> usize {
        let ages = if limits.ttl.is_some() { Ages::bytes(limits.entries) } else { 0 };
        (limits.entries as usize)
            .saturating_mul(size_of::<Slot<Entry<K, V>>>())
            .saturating_add(Index::bytes(limits.entries))
            .saturating_add(Order::bytes(limits.policy, limits.entries))
            .saturating_add(ages)
    }

    /// The hasher for the keys.
    #[must_use]
    pub const fn hasher(&self) -> CacheHasher {
        self.hasher
    }

    /// The live value of `key`. Counts a hit and a use of the entry, or a miss.
    #[inline]
    pub fn get<Q>(&mut self, now: Instant, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let found = self.index.find(&self.entries, tag(hash), |other| other.borrow() == key);
        let live = match &mut self.ages {
            None => found,
            Some(ages) => {
                ages.observe_time(now);
                found.filter(|&(index, _)| !ages.has_expired(index, now))
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
        let has_expired = self.ages.as_ref().is_some_and(|ages| ages.has_expired(index, now));
        (!has_expired).then_some(&entry.value)
    }

    /// Stores `value` under `key`, with a fresh time to live.
    ///
    /// A live entry of the same key is overwritten: nothing is evicted, and under [`Policy::Fifo`] it keeps its
    /// position. An expired entry of the same key is replaced by a new one. Otherwise a full cache replaces the entry
    /// that expired first, or evicts the policy's choice if none has expired.
    pub fn insert(&mut self, now: Instant, hash: u64, key: K, value: V) -> Inserted<K, V>
    where
        K: Eq,
    {
        self.observe_time(now);
        if self.closed || self.capacity == 0 {
            return Inserted::Refused(key, value);
        }
        let tag = tag(hash);
        let found = self.index.find(&self.entries, tag, |other| *other == key).map(|(index, _)| index);
        match found {
            None if self.len() < self.capacity() => self.add(Entry::new(key, value, tag)),
            None => self.replace_victim(Entry::new(key, value, tag)),
            Some(index) if self.has_expired(index) => self.renew(index, Entry::new(key, value, tag)),
            Some(index) => self.overwrite(index, key, value),
        }
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
        self.closed = true;
    }

    /// Removes any one entry. Called until `None`, it empties the cache one bounded step at a time.
    pub fn pop(&mut self) -> Option<(K, V)> {
        let index = self.order.any()?;
        self.take(index).inspect(|_| count(&mut self.stats.removed))
    }

    /// Removes the entry that expired first. `None` if none has expired.
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

    /// Counts of all that has happened.
    #[must_use]
    pub const fn stats(&self) -> CacheStats {
        self.stats
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
        if let Some(ages) = &mut self.ages {
            ages.observe_time(now);
        }
    }

    /// The entry that expired first; `None` if none has expired.
    fn expired(&self, now: Instant) -> Option<u32> {
        self.ages.as_ref()?.expired(now)
    }

    fn has_expired(&self, index: u32) -> bool {
        self.ages.as_ref().is_some_and(|ages| ages.has_expired(index, Instant::ZERO))
    }

    /// Inserts a new entry in a free place.
    fn add(&mut self, entry: Entry<K, V>) -> Inserted<K, V> {
        let is_known = self.order.recalls(entry.tag);
        // The index is below the capacity, which is a `u32`.
        let index = self.entries.insert(entry) as u32;
        self.index.link(&self.entries, index);
        self.order.inserted(index, is_known);
        if let Some(ages) = &mut self.ages {
            ages.added(index);
        }
        count(&mut self.stats.inserted);
        self.stats.highest = self.stats.highest.max(self.len());
        Inserted::New
    }

    /// Inserts a new entry in the place of the entry that expired first, or else of the policy's choice.
    fn replace_victim(&mut self, entry: Entry<K, V>) -> Inserted<K, V> {
        let is_known = self.order.recalls(entry.tag);
        let expired = self.expired(Instant::ZERO);
        let chosen = match expired {
            Some(index) => {
                self.order.removed(index);
                Some(index)
            }
            None => {
                let tag_of = |index| self.entries.get(index as usize).map_or(0, |entry| entry.tag);
                self.order.evict(tag_of)
            }
        };
        match chosen {
            Some(index) => self.exchange(index, entry, is_known, expired.is_some()),
            None => {
                debug_assert!(false, "a full cache has an entry to evict");
                entry.refused()
            }
        }
    }

    /// Inserts a new entry in the place of the expired one of the same key at `index`.
    #[cold]
    fn renew(&mut self, index: u32, entry: Entry<K, V>) -> Inserted<K, V> {
        self.order.removed(index);
        self.exchange(index, entry, false, true)
    }

    /// Replaces the entry at `index`, which the policy has unlinked, by a new one, and hands out the old one. The place
    /// is never empty in between, so no step can lose it. Inlined, because the arguments and the result are many words.
    #[inline]
    fn exchange(
        &mut self,
        index: u32,
        entry: Entry<K, V>,
        is_known: bool,
        has_expired: bool,
    ) -> Inserted<K, V> {
        self.index.unlink(&self.entries, index);
        let Some(place) = self.entries.get_mut(index as usize) else {
            debug_assert!(false, "the lists and the index lead to entries");
            return entry.refused();
        };
        let (key, value) = core::mem::replace(place, entry).into_pair();
        self.index.link(&self.entries, index);
        self.order.inserted(index, is_known);
        if let Some(ages) = &mut self.ages {
            ages.rewritten(index);
        }
        count(&mut self.stats.inserted);
        if has_expired {
            count(&mut self.stats.expired);
            Inserted::Expired(key, value)
        } else {
            count(&mut self.stats.evicted);
            Inserted::Evicted(key, value)
        }
    }

    /// Overwrites the live entry at `index`.
    fn overwrite(&mut self, index: u32, key: K, value: V) -> Inserted<K, V> {
        let Some(entry) = self.entries.get_mut(index as usize) else {
            debug_assert!(false, "the index leads to entries");
            return Inserted::Refused(key, value);
        };
        let key = core::mem::replace(&mut entry.key, key);
        let value = core::mem::replace(&mut entry.value, value);
        if let Some(ages) = &mut self.ages {
            ages.rewritten(index);
        }
        self.order.used(index);
        count(&mut self.stats.replaced);
        Inserted::Replaced(key, value)
    }

    /// Removes the entry at `index`.
    fn take(&mut self, index: u32) -> Option<(K, V)> {
        self.index.unlink(&self.entries, index);
        self.order.removed(index);
        if let Some(ages) = &mut self.ages {
            ages.removed(index);
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
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
