//! What a cache tells: of an insert, and of all that happened.

use core::fmt;

/// What came out of a [`Cache`](crate::Cache) when something was put in: at most one entry, the caller's to drop.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "dropping this drops a key and a value: do it outside any lock"]
#[non_exhaustive]
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

impl<K, V> fmt::Debug for Inserted<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "New",
            Self::Replaced(..) => "Replaced",
            Self::Evicted(..) => "Evicted",
            Self::Expired(..) => "Expired",
            Self::Refused(..) => "Refused",
        })
    }
}

/// What happened in a [`Cache`](crate::Cache) so far. Always `inserted = evicted + expired + removed + entries held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CacheStats {
    /// Reads by [`Cache::get`](crate::Cache::get) that found a live entry.
    pub hits: u64,
    /// Reads by [`Cache::get`](crate::Cache::get) that found none.
    pub misses: u64,
    /// Inserts that made a new entry.
    pub inserted: u64,
    /// Inserts that overwrote a live entry.
    pub replaced: u64,
    /// Live entries that made room for another.
    pub evicted: u64,
    /// Entries that left after they had expired, by a sweep or for an insert.
    pub expired: u64,
    /// Entries that left by [`Cache::remove`](crate::Cache::remove) or [`Cache::pop`](crate::Cache::pop).
    pub removed: u64,
    /// The most entries ever held at once.
    pub highest: usize,
}
