//! What a cache does not store.

use std::fmt;
use std::sync::Arc;

/// Why an entry was not stored, with its key and value.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CacheRefusal<K, V> {
    /// It alone is heavier than [`CacheLimits::weight`](crate::CacheLimits::weight) allows all entries together to be.
    TooHeavy(K, Arc<V>),
    /// The cache was built for no entries, or its processor has ended.
    Closed(K, Arc<V>),
}

impl<K, V> CacheRefusal<K, V> {
    /// The key and value.
    pub fn into_pair(self) -> (K, Arc<V>) {
        match self {
            Self::TooHeavy(key, value) | Self::Closed(key, value) => (key, value),
        }
    }
}

impl<K, V> fmt::Debug for CacheRefusal<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooHeavy(..) => "TooHeavy",
            Self::Closed(..) => "Closed",
        })
    }
}

impl<K, V> fmt::Display for CacheRefusal<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooHeavy(..) => "the entry is heavier than the whole cache may be",
            Self::Closed(..) => "the cache holds no entries, or its processor has ended",
        })
    }
}

impl<K, V> std::error::Error for CacheRefusal<K, V> {}
