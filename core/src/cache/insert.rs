//! Inserting: who has to leave for a new entry, and what comes out.

use core::borrow::Borrow;

use super::entry::Entry;
use super::index::tag;
use super::weight::Fit;
use super::{Cache, Inserted, count};
use crate::Instant;

impl<K, V> Cache<K, V> {
    /// Stores `value` under `key`, with a fresh time to live. The entry weighs 1; see
    /// [`insert_weighted`](Self::insert_weighted).
    ///
    /// A live entry of the same key is overwritten: nothing is evicted, and under [`Policy::Fifo`](super::Policy::Fifo)
    /// it keeps its position. An expired entry of the same key is replaced by a new one. Otherwise a full cache replaces
    /// an expired entry, or evicts the policy's choice if none has expired.
    #[inline]
    pub fn insert(&mut self, now: Instant, hash: u64, key: K, value: V) -> Inserted<K, V>
    where
        K: Eq,
    {
        self.insert_weighted(now, hash, key, value, 1)
    }

    /// [`insert`](Self::insert) for an entry of this weight, which may be 0.
    ///
    /// With [`CacheLimits::weight`](super::CacheLimits::weight), call [`make_room`](Self::make_room) until `None` before:
    /// the entry is handed back as [`Inserted::NoRoom`] if the others leave too little weight for it, and as
    /// [`Inserted::TooHeavy`] if it is heavier than the limit. Without that limit `weight` has no meaning.
    pub fn insert_weighted(
        &mut self,
        now: Instant,
        hash: u64,
        key: K,
        value: V,
        weight: u64,
    ) -> Inserted<K, V>
    where
        K: Eq,
    {
        self.observe_time(now);
        if self.refuses {
            return Inserted::Refused(key, value);
        }
        let tag = tag(hash);
        let found = self.index.find(&self.entries, tag, |other| *other == key).map(|(index, _)| index);
        match self.weights.fit(weight, found) {
            Fit::Fits => {}
            Fit::NoRoom => return Inserted::NoRoom(key, value),
            Fit::TooHeavy => return Inserted::TooHeavy(key, value),
        }
        match found {
            None if self.len() < self.capacity() => self.add(Entry::new(key, value, tag), weight),
            None => self.replace_victim(Entry::new(key, value, tag), weight),
            Some(index) if self.has_expired(index) => self.renew(index, Entry::new(key, value, tag), weight),
            Some(index) => self.overwrite(index, key, value, weight),
        }
    }

    /// Removes one entry that leaves too little weight for an insert of `key` with this weight: an expired one, or else
    /// the policy's choice, which may weigh 0. `None` if nothing has to leave, or if that entry would be refused anyway.
    ///
    /// A live entry of the same key stays, and gives its own weight to the new one. If others have to leave for that,
    /// it moves to the end of its queue.
    ///
    /// ```
    /// # use plimsoll_core::{Cache, CacheLimits, Inserted, Instant};
    /// let mut cache = Cache::new(CacheLimits::new(100).weight(1_000));
    /// let (now, hasher) = (Instant::ZERO, cache.hasher());
    /// let mut evicted = 0;
    /// for (key, weight) in [("a", 400), ("b", 500), ("c", 900), ("d", 1_001)] {
    ///     let hash = hasher.hash_of(key);
    ///     while let Some((key, value)) = cache.make_room(now, hash, key, weight) {
    ///         evicted += 1;
    ///     }
    ///     let inserted = cache.insert_weighted(now, hash, key, "value", weight);
    ///     assert_eq!(matches!(inserted, Inserted::TooHeavy("d", _)), key == "d");
    /// }
    /// assert_eq!((evicted, cache.weight()), (2, 900));
    /// ```
    #[must_use = "dropping this drops a key and a value: do it outside any lock"]
    pub fn make_room<Q>(&mut self, now: Instant, hash: u64, key: &Q, weight: u64) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.observe_time(now);
        if self.refuses || self.weights.fit(weight, None) != Fit::NoRoom {
            return None;
        }
        let own = self.index.find(&self.entries, tag(hash), |other| other.borrow() == key);
        let own = own.map(|(index, _)| index);
        if self.weights.fit(weight, own) == Fit::Fits {
            return None;
        }
        if let Some(index) = self.expired(Instant::ZERO) {
            return self.take(index).inspect(|_| count(&mut self.stats.expired));
        }
        let tag_of = |index| self.entries.get(index as usize).map_or(0, |entry| entry.tag);
        let chosen = match own {
            Some(own) => self.order.evict_beside(&self.weights, own, tag_of),
            None => self.order.evict(&self.weights, tag_of),
        };
        self.take_unlinked(chosen?).inspect(|_| count(&mut self.stats.evicted))
    }

    /// Inserts a new entry in a free place.
    fn add(&mut self, entry: Entry<K, V>, weight: u64) -> Inserted<K, V> {
        let is_known = self.order.recalls(entry.tag);
        // The index is below the capacity, which is a `u32`.
        let index = self.entries.insert(entry) as u32;
        self.index.link(&self.entries, index);
        self.weights.set(index, weight);
        self.order.inserted(&self.weights, index, is_known);
        if let Some(expiry) = &mut self.expiry {
            expiry.added(index);
        }
        count(&mut self.stats.inserted);
        self.stats.highest = self.stats.highest.max(self.len());
        Inserted::New
    }

    /// Inserts a new entry in the place of an expired one, or else of the policy's choice.
    fn replace_victim(&mut self, entry: Entry<K, V>, weight: u64) -> Inserted<K, V> {
        let is_known = self.order.recalls(entry.tag);
        let expired = self.expired(Instant::ZERO);
        let chosen = match expired {
            Some(index) => {
                self.order.removed(&self.weights, index);
                Some(index)
            }
            None => {
                let tag_of = |index| self.entries.get(index as usize).map_or(0, |entry| entry.tag);
                self.order.evict(&self.weights, tag_of)
            }
        };
        match chosen {
            Some(index) => {
                self.weights.set(index, weight);
                self.exchange(index, entry, is_known, expired.is_some())
            }
            None => {
                debug_assert!(false, "a full cache has an entry to evict");
                entry.refused()
            }
        }
    }

    /// Inserts a new entry in the place of the expired one of the same key at `index`.
    #[cold]
    fn renew(&mut self, index: u32, entry: Entry<K, V>, weight: u64) -> Inserted<K, V> {
        self.order.removed(&self.weights, index);
        self.weights.set(index, weight);
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
        self.order.inserted(&self.weights, index, is_known);
        if let Some(expiry) = &mut self.expiry {
            expiry.rewritten(index);
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
    fn overwrite(&mut self, index: u32, key: K, value: V, weight: u64) -> Inserted<K, V> {
        let Some(entry) = self.entries.get_mut(index as usize) else {
            debug_assert!(false, "the index leads to entries");
            return Inserted::Refused(key, value);
        };
        let key = core::mem::replace(&mut entry.key, key);
        let value = core::mem::replace(&mut entry.value, value);
        if let Some(old) = self.weights.set(index, weight) {
            self.order.reweighed(index, old, weight);
        }
        if let Some(expiry) = &mut self.expiry {
            expiry.rewritten(index);
        }
        self.order.used(index);
        count(&mut self.stats.replaced);
        Inserted::Replaced(key, value)
    }
}
