//! What hashes the keys of a cache.

use core::fmt;
use core::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

/// Hashes keys for one cache: foldhash from a fixed seed, so that the same run has the same hashes. `Copy`, so that a
/// host can hash before it takes its lock.
///
/// Keys from an untrusted source may be chosen to collide once the seed is known; draw the seed at start for those.
#[derive(Clone, Copy)]
pub struct CacheHasher {
    seed: u64,
}

impl CacheHasher {
    /// Hashes from this seed.
    #[must_use]
    pub const fn with_seed(seed: u64) -> Self {
        Self { seed }
    }

    /// The hash that the methods of the cache ask for beside `key`. Runs the key's own `Hash`.
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
