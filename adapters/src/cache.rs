//! The cache of a processor: the core's, behind a lock of its own.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use plimsoll_core::{Account, CacheHasher, CacheLimits, CacheStats, Inserted, Instant, Limits};

use crate::panics::{catch, discard_panic};
use crate::runtime::Clock;

/// A cache that is a part of a processor and ends with it: bounded by entries and age, shared by cloning.
///
/// Values are `Arc`s, so that one that was read lives on when its entry goes. Everything that leaves the cache is
/// dropped without its lock, and hashes are computed without it. Under the lock runs only the `Eq` of a key, which
/// therefore must neither panic nor call back into the cache.
///
/// After the end of the processor it is empty and takes nothing in.
pub struct Cache<K, V> {
    inner: Arc<Inner<K, V>>,
}

struct Inner<K, V> {
    entries: Mutex<plimsoll_core::Cache<K, Arc<V>>>,
    /// Fixed by the processor when it is built, or by the first use before that.
    hasher: OnceLock<CacheHasher>,
    limits: CacheLimits,
    /// Set when the processor is spawned; until then it is always the beginning.
    clock: OnceLock<Clock>,
}

impl<K, V> Cache<K, V> {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        // Limits that are out of range, or need more memory than can be had, are refused when the processor is built: nothing
        // is allocated for them.
        let fits = limits.entries <= Limits::MOST
            && Vec::<u8>::new().try_reserve_exact(Self::bytes(&limits)).is_ok();
        let entries = if fits { limits.entries } else { 0 };
        let entries = Mutex::new(plimsoll_core::Cache::new(CacheLimits { entries, ..limits }));
        let (hasher, clock) = (OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { entries, hasher, limits, clock }) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(limits: &CacheLimits) -> usize {
        let counts = 2 * size_of::<usize>();
        plimsoll_core::Cache::<K, Arc<V>>::bytes(limits).saturating_add(counts + size_of::<Inner<K, V>>())
    }

    /// Whether the memory for its limits could be had.
    pub(crate) fn is_allocated(&self) -> bool {
        self.capacity() as u64 >= u64::from(self.inner.limits.entries)
    }

    /// The processor is built. Hashes are drawn from the `seed` of its runtime, unless the limits have one.
    pub(crate) fn begin(&self, clock: Clock, seed: u64) {
        let _ = self.inner.clock.set(clock);
        let seed = if self.inner.limits.seed == 0 { seed } else { self.inner.limits.seed };
        let _ = self.inner.hasher.set(CacheHasher::with_seed(seed));
    }

    pub(crate) fn part(&self) -> Arc<dyn CachePart>
    where
        K: Send + 'static,
        V: Send + Sync + 'static,
    {
        self.inner.clone()
    }

    /// The live value of `key`: a hit, or else a miss. Expected O(1).
    pub fn get<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, now) = (self.inner.hasher().hash_of(key), self.inner.now());
        self.inner.lock().get(now, hash, key).cloned()
    }

    /// Stores a value with a fresh time to live. What had the key before, or what had to make room, is dropped; so is
    /// the value itself when the cache holds nothing or the processor has ended. Whether it was stored. Expected O(1);
    /// allocates the `Arc` of a value that is not one yet, and nothing else.
    pub fn insert(&self, key: K, value: impl Into<Arc<V>>) -> bool
    where
        K: Hash + Eq,
    {
        let value = value.into();
        let (hash, now) = (self.inner.hasher().hash_of(&key), self.inner.now());
        // Two statements: the lock is not held when what came out is dropped.
        let inserted = self.inner.lock().insert(now, hash, key, value);
        !matches!(inserted, Inserted::Refused(..))
    }

    /// Takes out the value of `key`, expired or not.
    pub fn remove<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.inner.hasher().hash_of(key);
        let removed = self.inner.lock().remove(hash, key);
        removed.map(|(_key, value)| value)
    }

    /// How many entries it holds, expired ones that were not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most entries it holds.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.lock().capacity()
    }

    /// The limits that it was built for.
    #[must_use]
    pub fn limits(&self) -> CacheLimits {
        self.inner.limits
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.inner.lock().stats()
    }
}

impl<K, V> Inner<K, V> {
    fn hasher(&self) -> CacheHasher {
        let seed = || if self.limits.seed == 0 { RandomState::new().hash_one(()) } else { self.limits.seed };
        *self.hasher.get_or_init(|| CacheHasher::with_seed(seed()))
    }

    fn now(&self) -> Instant {
        self.clock.get().map_or(Instant::ZERO, |clock| clock())
    }

    fn lock(&self) -> MutexGuard<'_, plimsoll_core::Cache<K, Arc<V>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("limits", &self.limits())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// A cache as the rest of the processor sees it.
pub(crate) trait CachePart: Send + Sync {
    /// Drops up to `budget` expired entries; whether there may be more. Counts what panics in that.
    fn sweep(&self, now: Instant, budget: u32, panics: &mut u32) -> bool;
    /// Empties it for good. Counts what panics in that.
    fn close(&self, panics: &mut u32);
    /// What it holds, counted or recounted.
    fn count(&self, audited: bool) -> CacheCount;
}

/// Drops foreign code's value; a panic of it is caught and counted.
fn discard<T>(value: T, panics: &mut u32) {
    if let Err(panic) = catch(|| drop(value)) {
        discard_panic(panic);
        *panics = panics.saturating_add(1);
    }
}

/// The cache's part of the census and the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheCount {
    pub(crate) held: u32,
    pub(crate) account: Account,
}

impl<K: Send, V: Send + Sync> CachePart for Inner<K, V> {
    fn sweep(&self, now: Instant, budget: u32, panics: &mut u32) -> bool {
        for _ in 0..budget {
            // Two statements: the lock is not held when the entry is dropped.
            let swept = self.lock().sweep(now);
            let Some((key, value)) = swept else { return false };
            discard(key, panics);
            discard(value, panics);
        }
        true
    }

    fn close(&self, panics: &mut u32) {
        self.lock().close();
        loop {
            let popped = self.lock().pop();
            let Some((key, value)) = popped else { return };
            discard(key, panics);
            discard(value, panics);
        }
    }

    fn count(&self, audited: bool) -> CacheCount {
        let entries = self.lock();
        let (stats, cache) = (entries.stats(), &*entries);
        let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let mut account = Account::default();
        account.entered = stats.inserted;
        account.left = stats.inserted.saturating_sub(cache.len() as u64);
        account.highest = small(stats.highest);
        account.bound = small(cache.capacity());
        let held = if audited { cache.audit() } else { cache.len() };
        CacheCount { held: small(held), account }
    }
}
