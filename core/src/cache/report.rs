//! The result of an insert, and the counts of a cache.

use core::fmt;

/// The result of an insert into a [`Cache`](crate::Cache). At most one entry comes out; the caller drops it.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "dropping this drops a key and a value: do it outside any lock"]
#[non_exhaustive]
pub enum Inserted<K, V> {
    /// The entry is new and took a free place. Nothing came out.
    New,
    /// The key had a live entry, which was overwritten: its old key and value.
    Replaced(K, V),
    /// The entry is new, and this live one was evicted.
    Evicted(K, V),
    /// The entry is new and took the place of this expired one, which may have the same key.
    Expired(K, V),
    /// Nothing was inserted, because the cache is closed or may hold no entries: the given key and value.
    Refused(K, V),
    /// Nothing was inserted, because the entry alone is heavier than the cache may be: the given key and value.
    TooHeavy(K, V),
    /// Nothing was inserted, because the other entries leave too little weight:
    /// [`make_room`](crate::Cache::make_room) was not called until `None`. The given key and value.
    NoRoom(K, V),
}

impl<K, V> Inserted<K, V> {
    /// The key and value that came out.
    pub fn into_pair(self) -> Option<(K, V)> {
        match self {
            Self::New => None,
            Self::Replaced(key, value)
            | Self::Evicted(key, value)
            | Self::Expired(key, value)
            | Self::Refused(key, value)
            | Self::TooHeavy(key, value)
            | Self::NoRoom(key, value) => Some((key, value)),
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
            Self::TooHeavy(..) => "TooHeavy",
            Self::NoRoom(..) => "NoRoom",
        })
    }
}

/// Counts of all that has happened in a [`Cache`](crate::Cache). Always `inserted = evicted + expired + removed +
/// entries held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
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
    /// Live entries that were evicted for another.
    pub evicted: u64,
    /// Expired entries that a sweep removed, an insert replaced, or that had to make room.
    pub expired: u64,
    /// Entries that [`Cache::remove`](crate::Cache::remove) or [`Cache::pop`](crate::Cache::pop) removed.
    pub removed: u64,
    /// The most entries that the cache held at the same time.
    pub highest: usize,
    /// The most that the entries weighed together at any moment.
    pub highest_weight: u64,
}
