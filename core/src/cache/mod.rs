//! A cache that is bounded by the number of its entries and by their age.
//!
//! Hashes are computed outside, by the cache's own [`CacheHasher`], and passed in: the only code of a user that runs
//! in here is `Eq` of a key, and that before anything is changed. Whatever is moved in comes out by value exactly
//! once.
//!
//! # Time to live
//!
//! An entry has expired when its age since its last write has reached the time to live. From then on it is treated as
//! absent: a read is a miss, and an insert of its key counts as a new one. It keeps its place until
//! [`sweep`](Cache::sweep), or an insert that needs one, frees it; no timer is armed for it. A clock that goes
//! backwards is taken to stand still.

mod age;
mod entry;
mod ghost;
mod guest;
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

pub use guest::CacheMut;
pub use hasher::CacheHasher;
pub use policy::Policy;
pub use report::{CacheStats, Inserted};

/// What a [`Cache`] may hold, fixed when it is built. By default it holds nothing. Further limits may be added: end a
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
    /// The most entries it holds. Zero refuses every insert and takes no memory.
    pub entries: u32,
    /// The age at which an entry expires; `None` for never. Zero: at once.
    pub ttl: Option<Duration>,
    /// Which entry makes room when it is full.
    pub policy: Policy,
    /// The seed of its hasher.
    pub seed: u64,
}

impl CacheLimits {
    /// So many entries, which never expire, first in, first out.
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

    /// Sets which entry makes room when it is full.
    #[must_use]
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }
}

/// A bounded map from keys to values that forgets by [`Policy`] and by age.
///
/// [`new`](Self::new) is the only call that allocates, exactly [`Cache::bytes`]. Every other call is expected O(1),
/// [`audit`](Self::audit) apart: a policy looks at a bounded number of entries. One insert in very many sorts the table in anew, O(entries).
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

    /// What hashes its keys.
    #[must_use]
    pub const fn hasher(&self) -> CacheHasher {
        self.hasher
    }

    /// The live value of `key`, which counts as a hit or a miss, and as a use of the entry.
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
                ages.tell(now);
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

    /// The live value of `key`; changes nothing and is not counted.
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
    /// A live entry of the same key is overwritten: nobody is evicted, and under [`Policy::Fifo`] it keeps its
    /// position. Otherwise a full cache gives up an expired entry if there is one, or else the policy's choice.
    pub fn insert(&mut self, now: Instant, hash: u64, key: K, value: V) -> Inserted<K, V>
    where
        K: Eq,
    {
        self.tell(now);
        if self.closed || self.capacity == 0 {
            return Inserted::Refused(key, value);
        }
        let tag = tag(hash);
        let found = self.index.find(&self.entries, tag, |other| *other == key).map(|(index, _)| index);
        match found {
            None if self.len() < self.capacity() => self.add(Entry::new(key, value, tag)),
            None => self.push_out(Entry::new(key, value, tag)),
            Some(index) if self.has_expired(index) => self.renew(index, Entry::new(key, value, tag)),
            Some(index) => self.overwrite(index, key, value),
        }
    }

    /// Takes `key` and its value out, expired or not.
    pub fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let (index, _) = self.index.find(&self.entries, tag(hash), |other| other.borrow() == key)?;
        self.take(index).inspect(|_| count(&mut self.stats.removed))
    }

    /// Refuses every insert from now on: the first step of its end, which [`pop`](Self::pop) brings about.
    pub const fn close(&mut self) {
        self.closed = true;
    }

    /// Takes any entry out: called until `None`, it empties the cache one bounded step at a time.
    pub fn pop(&mut self) -> Option<(K, V)> {
        let index = self.order.any()?;
        self.take(index).inspect(|_| count(&mut self.stats.removed))
    }

    /// Takes one expired entry out, the one that expired first; `None` when there is none.
    pub fn sweep(&mut self, now: Instant) -> Option<(K, V)> {
        self.tell(now);
        let index = self.expired(now)?;
        self.take(index).inspect(|_| count(&mut self.stats.expired))
    }

    /// Whether [`sweep`](Self::sweep) would find an expired entry.
    #[must_use]
    pub fn sweep_due(&self, now: Instant) -> bool {
        self.expired(now).is_some()
    }

    /// How many entries it holds, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The most entries that it was built to hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> CacheStats {
        self.stats
    }

    /// Counts the entries by walking all of them, O(entries): those that the index leads to. Equal to
    /// [`len`](Self::len), or the cache is broken.
    #[must_use]
    pub fn audit(&self) -> usize {
        let indexed = |entry: &Entry<K, V>| {
            self.index.find(&self.entries, entry.tag, |key| core::ptr::eq(key, &entry.key)).is_some()
        };
        self.entries.iter().filter(|(_, entry)| indexed(entry)).count()
    }

    /// Moves the clock on, never back.
    fn tell(&mut self, now: Instant) {
        if let Some(ages) = &mut self.ages {
            ages.tell(now);
        }
    }

    /// The entry that expired first.
    fn expired(&self, now: Instant) -> Option<u32> {
        self.ages.as_ref()?.expired(now)
    }

    fn has_expired(&self, index: u32) -> bool {
        self.ages.as_ref().is_some_and(|ages| ages.has_expired(index, Instant::ZERO))
    }

    /// A new entry in a free place.
    fn add(&mut self, entry: Entry<K, V>) -> Inserted<K, V> {
        let is_known = self.order.recalls(entry.tag);
        // A capacity is a `u32`.
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

    /// A new entry in the place of the one that expired first, or else of the policy's choice.
    fn push_out(&mut self, entry: Entry<K, V>) -> Inserted<K, V> {
        let is_known = self.order.recalls(entry.tag);
        let expired = self.expired(Instant::ZERO);
        let chosen = match expired {
            Some(index) => {
                self.order.removed(index);
                Some(index)
            }
            None => {
                let tag_of = |index| self.entries.get(index as usize).map_or(0, |entry| entry.tag);
                self.order.give_up(tag_of)
            }
        };
        match chosen {
            Some(index) => self.exchange(index, entry, is_known, expired.is_some()),
            None => {
                debug_assert!(false, "a full cache has an entry to give up");
                entry.refused()
            }
        }
    }

    /// A new entry in the place of the expired one of the same key at `index`.
    #[cold]
    fn renew(&mut self, index: u32, entry: Entry<K, V>) -> Inserted<K, V> {
        self.order.removed(index);
        self.exchange(index, entry, false, true)
    }

    /// Puts a new entry where an old one is that the policy has unlinked, and hands that out. The place is never
    /// empty in between, so there is no step at which it could be lost. Inlined, because what it takes and gives are
    /// many words.
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
            debug_assert!(false, "what the lists and the index lead to is there");
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

    /// A new value for the live entry at `index`.
    fn overwrite(&mut self, index: u32, key: K, value: V) -> Inserted<K, V> {
        let Some(entry) = self.entries.get_mut(index as usize) else {
            debug_assert!(false, "what the index leads to is there");
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

    /// Takes the entry at `index` out.
    fn take(&mut self, index: u32) -> Option<(K, V)> {
        self.index.unlink(&self.entries, index);
        self.order.removed(index);
        if let Some(ages) = &mut self.ages {
            ages.removed(index);
        }
        self.entries.try_remove(index as usize).map(Entry::into_pair)
    }
}

/// Counts only: neither keys nor values need to be printable, nor are they shown.
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
