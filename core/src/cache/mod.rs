//! A cache that is bounded by the number of its entries and by their age.
//!
//! Hashes are computed outside, by the cache's own [`CacheHasher`], and passed in: the only code of a user that runs in
//! here is `Eq` of a key, and that before anything is changed. Whatever is moved in comes out by value exactly once.
//!
//! # Time to live
//!
//! An entry has expired when its age since its last write has reached the time to live. From then on it is treated as
//! absent: a read is a miss, and an insert of its key counts as a new one. It keeps its place until
//! [`sweep`](Cache::sweep), or an insert that needs one, frees it; no timer is armed for it. A clock that goes backwards
//! is taken to stand still.

mod entry;
mod guest;
mod index;
mod policy;
#[cfg(test)]
mod tests;

use core::borrow::Borrow;
use core::fmt;
use core::time::Duration;

use crate::ids::EntryId;
use crate::list::List;
use crate::slots::Slots;
use crate::time::Instant;
use entry::{Entry, WRITTEN};
use index::Index;
use policy::Order;

pub use guest::CacheMut;
pub use index::CacheHasher;
pub use policy::Policy;

/// What a [`Cache`] may hold, fixed when it is built. By default it holds nothing.
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

/// What came out of a [`Cache`] when something was put in: at most one entry, the caller's to drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "dropping this drops a key and a value: do it outside any lock"]
pub enum Inserted<K, V> {
    /// A new entry in a free place; nothing came out.
    New,
    /// The key was there: its old key and value.
    Replaced(K, V),
    /// A new entry; this one was live and made room.
    Evicted(K, V),
    /// A new entry; this one had expired and made room. It may have had the same key.
    Expired(K, V),
    /// Nothing was inserted, for the cache has no place at all or was closed: the key and value given.
    Refused(K, V),
}

impl<K, V> Inserted<K, V> {
    /// The key and value that came out.
    pub fn into_pair(self) -> Option<(K, V)> {
        match self {
            Self::New => None,
            Self::Replaced(key, value)
            | Self::Evicted(key, value)
            | Self::Expired(key, value)
            | Self::Refused(key, value) => Some((key, value)),
        }
    }
}

/// What happened in a [`Cache`] so far. Always `inserted = evicted + expired + removed + entries held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CacheStats {
    /// Reads by [`Cache::get`] that found a live entry.
    pub hits: u64,
    /// Reads by [`Cache::get`] that found none.
    pub misses: u64,
    /// Inserts that made a new entry.
    pub inserted: u64,
    /// Inserts that overwrote a live entry.
    pub replaced: u64,
    /// Live entries that made room for another.
    pub evicted: u64,
    /// Entries that left after they had expired, by a sweep or for an insert.
    pub expired: u64,
    /// Entries that left by [`Cache::remove`] or [`Cache::pop`].
    pub removed: u64,
    /// The most entries ever held at once.
    pub highest: usize,
}

/// A bounded map from keys to values that forgets by [`Policy`] and by age.
///
/// [`new`](Self::new) is the only call that allocates, exactly [`Cache::bytes`]. Every other call is expected O(1),
/// [`audit`](Self::audit) apart; once in at least `entries` inserts, one rehashes the index in place, which is O(entries)
/// without running any user code.
pub struct Cache<K, V> {
    slots: Slots<EntryId, Entry<K, V>>,
    index: Index,
    order: Order,
    written: List<WRITTEN>,
    hasher: CacheHasher,
    ttl: Option<Duration>,
    closed: bool,
    /// The latest time it was told.
    now: Instant,
    stats: CacheStats,
}

impl<K, V> Cache<K, V> {
    /// An empty cache. Allocates [`Cache::bytes`].
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        Self::with_slots(limits, Slots::new(limits.entries, 0))
    }

    fn with_slots(limits: CacheLimits, slots: Slots<EntryId, Entry<K, V>>) -> Self {
        Self {
            slots,
            index: Index::new(limits.entries),
            order: Order::new(limits.policy),
            written: List::new(),
            hasher: CacheHasher::new(limits.seed),
            ttl: limits.ttl,
            closed: false,
            now: Instant::ZERO,
            stats: CacheStats::default(),
        }
    }

    /// The bytes that a cache of `entries` asks of the allocator: exact on x86_64 with SSE2, an upper bound elsewhere.
    #[must_use]
    pub const fn bytes(entries: u32) -> usize {
        Slots::<EntryId, Entry<K, V>>::bytes(entries).saturating_add(Index::bytes(entries))
    }

    /// What hashes its keys.
    #[must_use]
    pub const fn hasher(&self) -> CacheHasher {
        self.hasher
    }

    /// The live value of `key`, which counts as a hit or a miss, and as a use of the entry.
    pub fn get<Q>(&mut self, now: Instant, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.tell(now);
        let Some(index) = self.find(hash, key).filter(|&index| !self.has_expired(index)) else {
            count(&mut self.stats.misses);
            return None;
        };
        count(&mut self.stats.hits);
        self.order.hit(&mut self.slots, index);
        self.slots.at(index).map(|entry| &entry.value)
    }

    /// The live value of `key`; changes nothing and is not counted.
    pub fn peek<Q>(&self, now: Instant, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let entry = self.slots.at(self.find(hash, key)?)?;
        (!expired(self.ttl, entry.written, now.max(self.now))).then_some(&entry.value)
    }

    /// Stores `value` under `key`, with a fresh time to live.
    ///
    /// A live entry of the same key is overwritten: nobody is evicted, and under [`Policy::Fifo`] it keeps its position.
    /// Otherwise a full cache gives up an expired entry if there is one, or else the policy's choice.
    pub fn insert(&mut self, now: Instant, hash: u64, key: K, value: V) -> Inserted<K, V>
    where
        K: Eq,
    {
        self.tell(now);
        if self.closed {
            return Inserted::Refused(key, value);
        }
        match self.find(hash, &key) {
            Some(index) if self.has_expired(index) => self.reuse(index, hash, key, value),
            Some(index) => self.overwrite(index, key, value),
            None if self.slots.free() > 0 => self.add(hash, key, value),
            None => {
                match self.oldest().filter(|&index| self.has_expired(index)).or_else(|| self.order.victim()) {
                    Some(index) => self.reuse(index, hash, key, value),
                    None => Inserted::Refused(key, value),
                }
            }
        }
    }

    /// Takes `key` and its value out, expired or not.
    pub fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let index = self.find(hash, key)?;
        self.take(index).inspect(|_| count(&mut self.stats.removed))
    }

    /// Refuses every insert from now on: the first step of its end, which [`pop`](Self::pop) brings about.
    pub const fn close(&mut self) {
        self.closed = true;
    }

    /// Takes any entry out: called until `None`, it empties the cache one bounded step at a time.
    pub fn pop(&mut self) -> Option<(K, V)> {
        let index = self.oldest()?;
        self.take(index).inspect(|_| count(&mut self.stats.removed))
    }

    /// Takes one expired entry out, the one that expired first; `None` when there is none.
    pub fn sweep(&mut self, now: Instant) -> Option<(K, V)> {
        self.tell(now);
        let index = self.oldest().filter(|&index| self.has_expired(index))?;
        self.take(index).inspect(|_| count(&mut self.stats.expired))
    }

    /// Whether [`sweep`](Self::sweep) would find an expired entry.
    #[must_use]
    pub fn sweep_due(&self, now: Instant) -> bool {
        let oldest = self.oldest().and_then(|index| self.slots.at(index));
        oldest.is_some_and(|entry| expired(self.ttl, entry.written, now.max(self.now)))
    }

    /// How many entries it holds, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() as usize
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The most entries that it was built to hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.capacity() as usize
    }

    /// How many places hold nothing any more because their ids are used up, which takes at least 2^32 - 1 removals
    /// from one place; evictions and overwrites use up none.
    #[must_use]
    pub fn retired(&self) -> usize {
        self.slots.retired() as usize
    }

    /// What happened so far.
    #[must_use]
    pub const fn stats(&self) -> CacheStats {
        self.stats
    }

    /// Counts the entries by walking all places, O(capacity): those that the index leads to. Equal to
    /// [`len`](Self::len), or the cache is broken.
    #[must_use]
    pub fn audit(&self) -> usize {
        let indexed =
            |index, entry: &Entry<K, V>| self.index.find(entry.hash, |other| other == index).is_some();
        self.slots.iter().filter(|&(index, entry)| indexed(index, entry)).count()
    }

    /// Moves the clock on, never back.
    fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn find<Q>(&self, hash: u64, key: &Q) -> Option<u32>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.index.find(hash, |index| {
            self.slots.at(index).is_some_and(|entry| entry.hash == hash && entry.key.borrow() == key)
        })
    }

    /// The entry whose last write is the longest ago.
    fn oldest(&self) -> Option<u32> {
        self.written.front()
    }

    fn has_expired(&self, index: u32) -> bool {
        self.slots.at(index).is_some_and(|entry| expired(self.ttl, entry.written, self.now))
    }

    /// A new entry in a free place.
    fn add(&mut self, hash: u64, key: K, value: V) -> Inserted<K, V> {
        let id = match self.slots.insert(Entry::new(key, value, hash, self.now)) {
            Ok(id) => id,
            Err(entry) => {
                let (key, value) = entry.into_pair();
                return Inserted::Refused(key, value);
            }
        };
        self.link(self.slots.index_of(id), hash);
        self.stats.highest = self.stats.highest.max(self.len());
        Inserted::New
    }

    /// A new entry in the place of the one at `index`, which comes out. The slot is not given back in between, so there
    /// is no step at which it could be lost.
    fn reuse(&mut self, index: u32, hash: u64, key: K, value: V) -> Inserted<K, V> {
        let has_expired = self.has_expired(index);
        self.unlink(index);
        let Some(place) = self.slots.at_mut(index) else {
            debug_assert!(false, "what the lists and the index lead to is there");
            return Inserted::Refused(key, value);
        };
        let (key, value) = core::mem::replace(place, Entry::new(key, value, hash, self.now)).into_pair();
        self.link(index, hash);
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
        let Some(entry) = self.slots.at_mut(index) else {
            debug_assert!(false, "what the index leads to is there");
            return Inserted::Refused(key, value);
        };
        let key = core::mem::replace(&mut entry.key, key);
        let value = core::mem::replace(&mut entry.value, value);
        entry.written = self.now;
        self.written.remove(&mut self.slots, index);
        self.written.push_back(&mut self.slots, index);
        self.order.overwritten(&mut self.slots, index);
        count(&mut self.stats.replaced);
        Inserted::Replaced(key, value)
    }

    /// Takes the entry at `index` out and frees its place.
    fn take(&mut self, index: u32) -> Option<(K, V)> {
        self.unlink(index);
        self.slots.remove_at(index).map(Entry::into_pair)
    }

    /// Puts the new entry at `index` into the index and the lists.
    fn link(&mut self, index: u32, hash: u64) {
        let slots = &self.slots;
        self.index.insert(hash, index, |other| slots.at(other).map_or(0, |entry| entry.hash));
        self.written.push_back(&mut self.slots, index);
        self.order.inserted(&mut self.slots, index);
        count(&mut self.stats.inserted);
    }

    /// Takes the entry at `index` out of the index and the lists.
    fn unlink(&mut self, index: u32) {
        if let Some(entry) = self.slots.at(index) {
            self.index.remove(entry.hash, index);
        }
        self.written.remove(&mut self.slots, index);
        self.order.removed(&mut self.slots, index);
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

fn expired(ttl: Option<Duration>, written: Instant, now: Instant) -> bool {
    ttl.is_some_and(|ttl| now.saturating_since(written) >= ttl)
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}
