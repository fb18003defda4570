//! The hasher for the keys of a cache.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

/// The hasher for the keys of one cache: foldhash with a fixed seed, so that hashes are the same in every run. It is
/// `Copy`, so a host can hash before it takes its lock.
///
/// An attacker who knows the seed can choose keys that collide. If keys come from an untrusted source, draw a random
/// seed at start.
#[derive(Clone, Copy)]
pub struct CacheHasher {
    seed: u64,
}

impl CacheHasher {
    /// A hasher with this seed.
    #[must_use]
    pub const fn with_seed(seed: u64) -> Self {
        Self { seed }
    }

    /// The hash of `key`, to be passed to the methods of the cache. Runs the key's own `Hash`.
    #[inline]
    pub fn hash_of<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        FixedState::with_seed(self.seed).hash_one(key)
    }
}

/// Does not show the seed.
impl fmt::Debug for CacheHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheHasher").finish_non_exhaustive()
    }
}
