//! A cache: the core's, behind a lock of its own.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use plimsoll_core::{BuildError, CacheHasher, CacheLimits, CacheStats, Inserted, Instant, Limits};

use crate::flights::Flights;
use crate::panics::{catch, discard_panic};
use crate::runtime::Clock;

mod part;
mod refusal;

pub(crate) use part::{CachePart, NoCache};
pub use refusal::CacheRefusal;

/// The most entries that leave for another in one hold of the lock.
const EVICTED_A_HOLD: usize = 16;

/// A cache, bounded by entries, weight and age, shared by cloning. [`Builder::cache`](crate::Builder::cache) makes it a
/// part of a processor, with which it ends.
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
/// With [`CacheLimits::weight`], a cache is bounded by what a function says that its entries weigh, such as their bytes; see
/// [`with_weigher`](Self::with_weigher).
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
    weigher: fn(&K, &V) -> u64,
    /// That of its processor; until there is one it is always the beginning.
    clock: OnceLock<Clock>,
}

impl<K, V> Cache<K, V> {
    /// A cache for these limits, whose entries weigh 1 each. Allocates everything that it will ever need, but for the `Arc`s of
    /// values.
    ///
    /// # Errors
    /// More entries than [`Limits::MOST`], or too little memory.
    pub fn new(limits: CacheLimits) -> Result<Self, BuildError> {
        Self::with_weigher(limits, |_, _| 1)
    }

    /// [`new`](Self::new), with a function that weighs each entry when it is inserted, without the cache's lock. Without
    /// [`CacheLimits::weight`] what it returns has no meaning.
    ///
    /// The limit is kept at every moment: before an entry is stored, as many others leave as it needs, expired ones first. One
    /// that is heavier than the limit is refused, and nobody leaves for it.
    ///
    /// ```
    /// use plimsoll::{Cache, CacheLimits, CacheRefusal};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // At most 1,000 pages, and of these at most 64 KiB; each for as long as it is read every ten minutes.
    /// let limits = CacheLimits::new(1_000).weight(64 << 10).time_to_idle(Duration::from_secs(600));
    /// let pages = Cache::<&str, String>::with_weigher(limits, |url, page| (url.len() + page.len()) as u64)?;
    /// assert!(pages.insert("/", "x".repeat(40 << 10)) && pages.insert("/news", "x".repeat(20 << 10)));
    /// assert!(pages.insert("/about", "x".repeat(10 << 10)));
    /// assert_eq!((pages.len(), pages.peek("/")), (2, None));
    /// let refused = pages.try_insert("/all", "x".repeat(64 << 10));
    /// assert!(matches!(refused, Err(CacheRefusal::TooHeavy("/all", _))));
    /// assert_eq!(pages.weight(), (30 << 10) + 11);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_weigher(limits: CacheLimits, weigher: fn(&K, &V) -> u64) -> Result<Self, BuildError> {
        let mut checked = Limits::default();
        checked.cache = limits;
        checked.check()?;
        let bytes = Self::bytes(&limits);
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| BuildError::Memory { bytes })?;
        let entries = Mutex::new(plimsoll_core::Cache::new(limits));
        let (hasher, clock) = (OnceLock::new(), OnceLock::new());
        let flights = Flights::new();
        Ok(Self { inner: Arc::new(Inner { entries, flights, hasher, limits, weigher, clock }) })
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

    /// The live value of `key`: a hit, which restarts its time to idle, or else a miss. Expected O(1).
    ///
    /// ```
    /// # use plimsoll::{Cache, CacheLimits};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::<u64, String>::new(CacheLimits::new(100))?;
    /// cache.insert(7, "seven".to_owned());
    /// assert_eq!(cache.get(&7).as_deref().map(String::as_str), Some("seven"));
    /// assert_eq!((cache.get(&8), cache.stats().hits, cache.stats().misses), (None, 1, 1));
    /// # Ok(())
    /// # }
    /// ```
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

    /// [`try_insert`](Self::try_insert), but drops a key and value that are refused. Whether they were stored.
    ///
    /// ```
    /// # use plimsoll::{Cache, CacheLimits};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = Cache::<u64, String>::new(CacheLimits::new(100))?;
    /// assert!(cache.insert(7, "seven".to_owned()));
    /// assert!(cache.insert(7, "VII".to_owned())); // in place of the one before
    /// assert_eq!((cache.len(), cache.remove(&7).as_deref().map(String::as_str)), (1, Some("VII")));
    /// # Ok(())
    /// # }
    /// ```
    pub fn insert(&self, key: K, value: impl Into<Arc<V>>) -> bool
    where
        K: Hash + Eq,
    {
        self.try_insert(key, value).is_ok()
    }

    /// Stores a value with a fresh time to live. What had the key before, or what had to make room, is dropped. Expected O(1),
    /// and as much for each entry that has to leave, of which at most 16 leave in one hold of the lock. Allocates the `Arc` of
    /// a value that is not one yet, and nothing else.
    ///
    /// # Errors
    /// [`CacheRefusal`] with the key and the value.
    pub fn try_insert(&self, key: K, value: impl Into<Arc<V>>) -> Result<(), CacheRefusal<K, V>>
    where
        K: Hash + Eq,
    {
        let value = value.into();
        let weight = (self.inner.weigher)(&key, &value);
        let (hash, now) = (self.inner.hasher().hash_of(&key), self.inner.now());
        let inserted = loop {
            let mut evicted = [const { None }; EVICTED_A_HOLD];
            let mut entries = self.inner.lock();
            let has_evicted = |place: &mut Option<_>| {
                *place = entries.make_room(now, hash, &key, weight);
                place.is_some()
            };
            if !evicted.iter_mut().all(has_evicted) {
                let inserted = entries.insert_weighted(now, hash, key, value, weight);
                drop(entries);
                drop_each(evicted);
                break inserted;
            }
            drop(entries);
            drop_each(evicted);
        };
        match inserted {
            Inserted::TooHeavy(key, value) | Inserted::NoRoom(key, value) => {
                Err(CacheRefusal::TooHeavy(key, value))
            }
            Inserted::Refused(key, value) => Err(CacheRefusal::Closed(key, value)),
            _ => Ok(()),
        }
    }

    /// The live value of `key`; if there is none, the one that `load` makes, which is stored. Of several callers at the same
    /// time one loads, and the others wait for its value. If that load fails, panics or is dropped, the next of them loads: an
    /// error goes to the caller whose load it was, and to no other. What is loaded is handed out even where the cache does not store it. So a
    /// cache for 0 entries keeps nothing, and concurrent callers still share one load.
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
    /// A load can be a task: then concurrent callers share its result.
    ///
    /// ```
    /// # use plimsoll::{Cache, CacheLimits, Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|id: u64| async move { id * 2 }))?;
    /// let joint = Cache::<u64, u64>::new(CacheLimits::new(0))?;
    /// let (processor, joint) = (&processor, &joint);
    /// let order = |id| joint.get_or_insert_with(id, move || async move {
    ///     Ok::<_, Box<dyn std::error::Error>>(processor.submit_wait(id).await?.await?)
    /// });
    /// assert_eq!(*futures::executor::block_on(order(7))?, 14);
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

    /// What all entries together weigh, expired ones that were not swept yet included. Without a limit of the weight each
    /// weighs 1.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.inner.lock().weight()
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

/// Drops what has left. If several of them panic, the first panic goes on: two at the same time would abort the process.
fn drop_each<T>(evicted: [Option<T>; EVICTED_A_HOLD]) {
    let mut first = None;
    for entry in evicted.into_iter().flatten() {
        match catch(|| drop(entry)) {
            Err(panic) if first.is_some() => discard_panic(panic),
            Err(panic) => first = Some(panic),
            Ok(()) => {}
        }
    }
    if let Some(panic) = first {
        resume_unwind(panic);
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
