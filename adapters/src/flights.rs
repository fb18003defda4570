//! Loads that are under way, one for each key.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// What the callers who want the same value meet at: one of them loads at a time, and leaves what it has loaded here.
type Runway<V> = Arc<futures_util::lock::Mutex<Option<Arc<V>>>>;

/// The loads that are under way. A key is here as long as somebody waits for its value or loads it.
pub(crate) struct Flights<K, V> {
    by_key: Mutex<HashTable<Flight<K, V>>>,
}

struct Flight<K, V> {
    hash: u64,
    key: K,
    runway: Runway<V>,
    /// How many wait for it or load.
    callers: usize,
}

impl<K, V> Flights<K, V> {
    pub(crate) const fn new() -> Self {
        Self { by_key: Mutex::new(HashTable::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, HashTable<Flight<K, V>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq, V> Flights<K, V> {
    /// Joins those who want the value of this key. Of a key's code only its `Eq` runs under the lock.
    pub(crate) fn join(&self, hash: u64, key: K) -> Caller<'_, K, V>
    where
        K: Clone,
    {
        let (own, new) = (key.clone(), Runway::default());
        let mut by_key = self.lock();
        let (runway, unused) = match by_key.entry(hash, |flight| flight.key == own, |flight| flight.hash) {
            Entry::Occupied(mut entry) => {
                let flight = entry.get_mut();
                flight.callers = flight.callers.saturating_add(1);
                (flight.runway.clone(), Some(key))
            }
            Entry::Vacant(entry) => {
                entry.insert(Flight { hash, key, runway: new.clone(), callers: 1 });
                (new, None)
            }
        };
        drop(by_key);
        drop(unused);
        Caller { flights: self, hash, key: own, runway }
    }
}

/// One who waits for a value or loads it. Dropping it leaves, and the last one takes the flight away.
pub(crate) struct Caller<'a, K: Eq, V> {
    flights: &'a Flights<K, V>,
    hash: u64,
    key: K,
    pub(crate) runway: Runway<V>,
}

impl<K: Eq, V> Drop for Caller<'_, K, V> {
    fn drop(&mut self) {
        let mut by_key = self.flights.lock();
        let over = match by_key.find_entry(self.hash, |flight| flight.key == self.key) {
            Ok(mut entry) => {
                let callers = entry.get().callers.saturating_sub(1);
                entry.get_mut().callers = callers;
                (callers == 0).then(|| entry.remove().0)
            }
            Err(_) => None,
        };
        // The key and the value are foreign: they are dropped without the lock.
        drop(by_key);
        drop(over);
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("keys", &self.lock().len()).finish()
    }
}
