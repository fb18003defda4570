//! A cache: the core's, behind a lock of its own.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use plimsoll_core::{Account, BuildError, CacheHasher, CacheLimits, CacheStats, Inserted, Instant, Limits};

use crate::flights::Flights;
use crate::panics::{catch, discard_panic};
use crate::runtime::Clock;

/// A cache, bounded by entries and age, shared by cloning. [`Builder::cache`](crate::Builder::cache) makes it a part of a
/// processor, with which it ends.
///
/// ```
/// use plimsoll::{Cache, CacheLimits, Processor, Thread};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pages = Cache::<String, String>::new(CacheLimits::new(100).ttl(Duration::from_secs(60)))?;
/// let handlers = pages.clone();
/// let processor = Processor::builder().cache(&pages).spawn_on(Thread::start()?, move |url: String| {
///     let pages = handlers.clone();
///     async move {
///         if let Some(page) = pages.get(&url) {
///             return Ok::<_, std::io::Error>(page.len());
///         }
///         pages.insert(url, String::from("the page"));
///         Ok(0)
///     }
/// })?;
/// assert_eq!(processor.submit("here".into())?.wait()?, 0);
/// assert_eq!(processor.submit("here".into())?.wait()?, 8);
/// drop(processor);
/// assert!(pages.is_empty() && !pages.insert("there".into(), String::new()));
/// # Ok(())
/// # }
/// ```
///
/// Values are `Arc`s, so that one that was read lives on when its entry goes. Everything that leaves the cache is
/// dropped without its lock, and hashes are computed without it. Under the lock runs only the `Eq` of a key, which
/// therefore must neither panic nor call back into the cache.
///
/// Ages count on the clock of its processor, so nothing expires before it has one. After the end of the processor it is empty
/// and takes nothing in.
pub struct Cache<K, V> {
    inner: Arc<Inner<K, V>>,
}

struct Inner<K, V> {
    entries: Mutex<plimsoll_core::Cache<K, Arc<V>>>,
    flights: Flights<K, V>,
    hasher: OnceLock<CacheHasher>,
    limits: CacheLimits,
    /// That of its processor; until there is one it is always the beginning.
    clock: OnceLock<Clock>,
}

impl<K, V> Cache<K, V> {
    /// A cache for these limits. Allocates everything that it will ever need, but for the `Arc`s of values.
    ///
    /// # Errors
    /// More entries than [`Limits::MOST`], or too little memory.
    pub fn new(limits: CacheLimits) -> Result<Self, BuildError> {
        let mut checked = Limits::default();
        checked.cache = limits;
        checked.check()?;
        let bytes = Self::bytes(&limits);
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| BuildError::Memory { bytes })?;
        let entries = Mutex::new(plimsoll_core::Cache::new(limits));
        let (hasher, clock) = (OnceLock::new(), OnceLock::new());
        let flights = Flights::new();
        Ok(Self { inner: Arc::new(Inner { entries, flights, hasher, limits, clock }) })
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    const fn bytes(limits: &CacheLimits) -> usize {
        let counts = 2 * size_of::<usize>();
        plimsoll_core::Cache::<K, Arc<V>>::bytes(limits).saturating_add(counts + size_of::<Inner<K, V>>())
    }

    /// The loads that are under way.
    #[cfg(test)]
    pub(crate) fn flights(&self) -> &Flights<K, V> {
        &self.inner.flights
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

    /// The live value of `key`, without counting as a use: neither a hit nor a miss, and no reason to keep it. Expected O(1).
    pub fn peek<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let (hash, now) = (self.inner.hasher().hash_of(key), self.inner.now());
        self.inner.lock().peek(now, hash, key).cloned()
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

    /// The live value of `key`; if there is none, the one that `load` makes, which is stored. Of several callers at the same
    /// time one loads, and the others wait for its value. If that load fails, panics or is dropped, the next of them loads: an
    /// error is for the one who has loaded alone. What is loaded is handed out even where the cache does not store it.
    ///
    /// Expected O(1) beside the load. Allocates for as many keys as are being loaded.
    ///
    /// ```
    /// use plimsoll::{Cache, CacheLimits};
    /// use std::io;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pages = Cache::<String, String>::new(CacheLimits::new(10))?;
    /// let page = |url: &str| {
    ///     let (pages, url) = (pages.clone(), url.to_owned());
    ///     async move { pages.get_or_insert_with(url.clone(), || async move { Ok::<_, io::Error>(format!("page of {url}")) }).await }
    /// };
    /// let two = futures::executor::block_on(async { futures::join!(page("a"), page("a")) });
    /// assert_eq!((two.0?.as_str(), two.1?.as_str()), ("page of a", "page of a"));
    /// assert_eq!(pages.stats().inserted, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of the load.
    pub async fn get_or_insert_with<T, E, F>(&self, key: K, load: impl FnOnce() -> F) -> Result<Arc<V>, E>
    where
        K: Hash + Eq + Clone,
        T: Into<Arc<V>>,
        F: Future<Output = Result<T, E>>,
    {
        if let Some(value) = self.get(&key) {
            return Ok(value);
        }
        let hash = self.inner.hasher().hash_of(&key);
        let caller = self.inner.flights.join(hash, key.clone());
        let mut landed = caller.runway.lock().await;
        if let Some(value) = &*landed {
            return Ok(value.clone());
        }
        // Somebody may have loaded it between the look and the joining.
        let now = self.inner.now();
        let found = self.inner.lock().peek(now, hash, &key).cloned();
        if let Some(value) = found {
            return Ok(value);
        }
        let value: Arc<V> = load().await?.into();
        self.insert(key, value.clone());
        *landed = Some(value.clone());
        Ok(value)
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
    /// Fixed when a processor takes the cache, or by the first use before that.
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
    /// What it was built for.
    fn limits(&self) -> CacheLimits;
    /// What it has asked of the allocator.
    fn bytes(&self) -> usize;
    /// Ages count on this clock, and hashes are drawn from the `seed` unless the limits have one, or it was used before.
    /// Whether it had no clock yet.
    fn begin(&self, clock: Clock, seed: u64) -> bool;
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
    fn limits(&self) -> CacheLimits {
        self.limits
    }

    fn bytes(&self) -> usize {
        Cache::<K, V>::bytes(&self.limits)
    }

    fn begin(&self, clock: Clock, seed: u64) -> bool {
        let seed = if self.limits.seed == 0 { seed } else { self.limits.seed };
        let _ = self.hasher.set(CacheHasher::with_seed(seed));
        self.clock.set(clock).is_ok()
    }

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

/// The cache of a processor that has none.
pub(crate) struct NoCache;

impl CachePart for NoCache {
    fn limits(&self) -> CacheLimits {
        CacheLimits::default()
    }

    fn bytes(&self) -> usize {
        // The counts of the `Arc` that it is in.
        2 * size_of::<usize>()
    }

    fn begin(&self, _: Clock, _: u64) -> bool {
        true
    }

    fn sweep(&self, _: Instant, _: u32, _: &mut u32) -> bool {
        false
    }

    fn close(&self, _: &mut u32) {}

    fn count(&self, _: bool) -> CacheCount {
        CacheCount { held: 0, account: Account::default() }
    }
}
