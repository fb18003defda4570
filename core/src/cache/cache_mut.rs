//! The host's mutable access to the cache of its machine.

use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

use super::{Cache, Inserted};
use crate::Instant;

/// Mutable access to the cache of a [`Processor`](crate::Processor). The cache keeps up with the machine's time, and
/// cannot be moved out of the machine or replaced.
pub struct CacheMut<'a, K, V>(&'a mut Cache<K, V>);

impl<'a, K, V> CacheMut<'a, K, V> {
    pub(crate) fn new(cache: &'a mut Cache<K, V>, now: Instant) -> Self {
        cache.observe_time(now);
        Self(cache)
    }

    /// See [`Cache::get`].
    pub fn get<Q>(&mut self, now: Instant, hash: u64, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.0.get(now, hash, key)
    }

    /// See [`Cache::insert`].
    pub fn insert(&mut self, now: Instant, hash: u64, key: K, value: V) -> Inserted<K, V>
    where
        K: Eq,
    {
        self.0.insert(now, hash, key, value)
    }

    /// See [`Cache::insert_weighted`].
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
        self.0.insert_weighted(now, hash, key, value, weight)
    }

    /// See [`Cache::make_room`].
    #[must_use = "dropping this drops a key and a value: do it outside any lock"]
    pub fn make_room<Q>(&mut self, now: Instant, hash: u64, key: &Q, weight: u64) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.0.make_room(now, hash, key, weight)
    }

    /// See [`Cache::remove`].
    pub fn remove<Q>(&mut self, hash: u64, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.0.remove(hash, key)
    }

    /// See [`Cache::pop`].
    pub fn pop(&mut self) -> Option<(K, V)> {
        self.0.pop()
    }
}

impl<K, V> Deref for CacheMut<'_, K, V> {
    type Target = Cache<K, V>;

    fn deref(&self) -> &Cache<K, V> {
        self.0
    }
}

impl<K, V> fmt::Debug for CacheMut<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
