//! The cache as a part of a processor.

use plimsoll_core::{Account, CacheHasher, CacheLimits, Instant};

use super::{Cache, Inner};
use crate::panics::{catch, discard_panic};
use crate::runtime::Clock;

/// A cache as the rest of the processor sees it.
pub(crate) trait CachePart: Send + Sync {
    /// What it was built for.
    fn limits(&self) -> CacheLimits;
    /// What it has asked of the allocator.
    fn bytes(&self) -> usize;
    /// Ages count on this clock, and hashes are drawn from the `seed` unless the limits have one, or it was used before.
    /// Whether it had no clock yet.
    fn begin(&self, clock: Clock, seed: u64) -> bool;
    /// Whether it is a processor's: it [has begun](Self::begin).
    #[cfg(feature = "tower")]
    fn is_taken(&self) -> bool;
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

    #[cfg(feature = "tower")]
    fn is_taken(&self) -> bool {
        self.clock.get().is_some()
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

    #[cfg(feature = "tower")]
    fn is_taken(&self) -> bool {
        false
    }

    fn sweep(&self, _: Instant, _: u32, _: &mut u32) -> bool {
        false
    }

    fn close(&self, _: &mut u32) {}

    fn count(&self, _: bool) -> CacheCount {
        CacheCount { held: 0, account: Account::default() }
    }
}
