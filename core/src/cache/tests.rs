#![allow(clippy::unwrap_used)]

use super::*;
use alloc::rc::Rc;
use alloc::vec::Vec;
use alloc::{format, string::String};
use core::cell::Cell;
use core::hash::Hash;

const MS: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn limits(entries: u32, ttl: Option<u32>, policy: Policy) -> CacheLimits {
    CacheLimits { entries, ttl: ttl.map(|ttl| MS * ttl), policy, seed: 1 }
}

/// Hashes and asks in one step.
struct Hashing<K, V>(Cache<K, V>);

impl<K: Hash + Eq, V: Copy> Hashing<K, V> {
    fn new(limits: CacheLimits) -> Self {
        Self(Cache::new(limits))
    }

    fn get(&mut self, now: u64, key: K) -> Option<V> {
        let hash = self.0.hasher().hash_of(&key);
        let peeked = self.0.peek(at(now), hash, &key).copied();
        let value = self.0.get(at(now), hash, &key).copied();
        assert_eq!(peeked.is_some(), value.is_some());
        value
    }

    fn insert(&mut self, now: u64, key: K, value: V) -> Inserted<K, V> {
        self.0.insert(at(now), self.0.hasher().hash_of(&key), key, value)
    }

    fn remove(&mut self, key: K) -> Option<(K, V)> {
        self.0.remove(self.0.hasher().hash_of(&key), &key)
    }
}

#[test]
fn fifo_gives_up_the_first_in_whatever_was_read_or_overwritten() {
    let mut cache = Hashing::new(limits(2, None, Policy::Fifo));
    assert_eq!((cache.insert(0, 1, 10), cache.insert(0, 2, 20)), (Inserted::New, Inserted::New));
    assert_eq!(cache.get(0, 1), Some(10));
    assert_eq!(cache.insert(0, 1, 11), Inserted::Replaced(1, 10));
    assert_eq!(cache.insert(0, 3, 30), Inserted::Evicted(1, 11));
    assert_eq!([1, 2, 3].map(|key| cache.get(0, key)), [None, Some(20), Some(30)]);
}

#[test]
fn lru_gives_up_the_one_not_used_for_longest() {
    let mut cache = Hashing::new(limits(3, None, Policy::Lru));
    for key in [1, 2, 3] {
        let _ = cache.insert(0, key, 0);
    }
    assert_eq!(cache.get(0, 1), Some(0));
    assert_eq!(cache.insert(0, 2, 1), Inserted::Replaced(2, 0));
    let three = cache.0.hasher().hash_of(&3);
    assert_eq!(cache.0.peek(at(0), three, &3), Some(&0), "peeking is no use");
    assert_eq!(cache.insert(0, 4, 0), Inserted::Evicted(3, 0));
    assert_eq!(cache.insert(0, 5, 0), Inserted::Evicted(1, 0));
}

#[test]
fn what_has_expired_is_absent() {
    let mut cache = Hashing::new(limits(2, Some(10), Policy::Fifo));
    let _ = cache.insert(0, 1, 10);
    let _ = cache.insert(5, 2, 20);
    assert_eq!((cache.get(9, 1), cache.get(10, 1), cache.get(10, 2)), (Some(10), None, Some(20)));
    assert_eq!(cache.get(9, 1), None, "a clock that goes back stands still");
    assert_eq!(cache.insert(10, 1, 11), Inserted::Expired(1, 10), "as good as new");
    assert_eq!(cache.insert(10, 3, 30), Inserted::Evicted(2, 20), "so it is behind 2");
    let stats = cache.0.stats();
    assert_eq!((stats.inserted, stats.expired, stats.evicted, stats.replaced), (4, 1, 1, 0));
}

#[test]
fn overwriting_restarts_the_time_to_live() {
    let mut cache = Hashing::new(limits(3, Some(10), Policy::Fifo));
    let _ = cache.insert(0, 1, 10);
    let _ = cache.insert(1, 2, 20);
    assert_eq!(cache.insert(9, 1, 11), Inserted::Replaced(1, 10));
    assert_eq!((cache.get(18, 1), cache.get(18, 2)), (Some(11), None));
    assert_eq!((cache.0.sweep(at(18)), cache.0.sweep(at(18))), (Some((2, 20)), None));
    assert_eq!((cache.0.sweep(at(19)), cache.0.len()), (Some((1, 11)), 0));
}

#[test]
fn the_expired_go_before_the_victim() {
    let mut cache = Hashing::new(limits(2, Some(10), Policy::Fifo));
    let _ = cache.insert(0, 1, 10);
    let _ = cache.insert(1, 2, 20);
    let _ = cache.insert(9, 1, 11);
    assert_eq!(cache.insert(11, 3, 30), Inserted::Expired(2, 20), "1 would be the first in");
}

#[test]
fn sweeping_takes_one_a_call_oldest_first() {
    let mut cache = Hashing::new(limits(4, Some(10), Policy::Lru));
    for key in 0..4u32 {
        let _ = cache.insert(u64::from(key), key, key);
    }
    assert_eq!(cache.get(4, 0), Some(0));
    assert!(!cache.0.sweep_due(at(9)) && cache.0.sweep(at(9)).is_none());
    assert!(cache.0.sweep_due(at(12)));
    let swept: Vec<_> = core::iter::from_fn(|| cache.0.sweep(at(12))).collect();
    assert_eq!(swept, [(0, 0), (1, 1), (2, 2)]);
    assert!(!cache.0.sweep_due(at(12)));
}

#[test]
fn a_cache_of_none_refuses_all() {
    let mut cache = Hashing::new(CacheLimits::default());
    assert_eq!(cache.insert(0, 1, 10), Inserted::Refused(1, 10));
    assert_eq!(
        (cache.get(0, 1), cache.remove(1), cache.0.pop(), cache.0.sweep(at(0))),
        (None, None, None, None)
    );
    assert_eq!((cache.0.is_empty(), cache.0.capacity(), Cache::<u64, u64>::bytes(0)), (true, 0, 0));
}

#[test]
fn times_at_the_ends_of_their_range_are_legal() {
    for ttl in [Duration::ZERO, MS, Duration::MAX] {
        let mut cache = Cache::new(CacheLimits { entries: 1, ttl: Some(ttl), ..CacheLimits::default() });
        let _ = cache.insert(Instant::ZERO, 1, 1, 1);
        assert_eq!(cache.get(Instant::ZERO, 1, &1).is_some(), ttl > Duration::ZERO);
        assert_eq!(cache.sweep_due(Instant::MAX), ttl < Duration::MAX);
        let _ = cache.insert(Instant::MAX, 1, 1, 2);
        assert_eq!(cache.get(Instant::MAX, 1, &1).is_some(), ttl > Duration::ZERO);
    }
}

#[test]
fn keys_of_one_hash_stay_apart_and_borrowed_ones_do() {
    let mut cache = Cache::<String, u32>::new(limits(3, None, Policy::Fifo));
    assert_eq!(cache.hasher().hash_of("a"), cache.hasher().hash_of(&String::from("a")));
    for (value, key) in ["a", "b", "c"].into_iter().enumerate() {
        let _ = cache.insert(at(0), 7, key.into(), value as u32);
    }
    assert_eq!(cache.remove(7, "b"), Some(("b".into(), 1)));
    assert_eq!([cache.peek(at(0), 7, "a"), cache.peek(at(0), 7, "b")], [Some(&0), None]);
    assert_eq!(cache.get(at(0), 7, "c"), Some(&2));
    assert_eq!(cache.get(at(0), 8, "c"), None, "another hash is another key");
    assert_eq!(cache.audit(), 2);
}

#[test]
fn debug_shows_counts_only() {
    struct Opaque;
    let mut cache = Cache::<u32, Opaque>::new(limits(3, None, Policy::Fifo));
    let _ = cache.insert(at(0), 7, 424_242, Opaque);
    let shown = format!("{cache:?} {:?}", cache.hasher());
    assert!(shown.contains("len: 1, capacity: 3") && !shown.contains("424242"), "{shown}");
}

#[test]
fn the_index_is_as_large_as_promised() {
    for entries in (0..3_000).chain([10_000, 65_535, 65_536, 917_503, 917_504]) {
        let (asked, promised) = (Index::new(entries).allocated(), Index::bytes(entries));
        if cfg!(all(target_arch = "x86_64", target_feature = "sse2", not(miri))) {
            assert_eq!(asked, promised, "{entries}");
        }
        assert!(asked <= promised, "{entries}: {asked} > {promised}");
    }
    assert!(Cache::<u64, u64>::bytes(u32::MAX) > u32::MAX as usize);
}

#[test]
fn the_index_never_grows_under_churn() {
    for entries in [1, 3, 4, 7, 8, 14, 100, 448, 1_000] {
        for policy in [Policy::Fifo, Policy::Lru] {
            let mut cache = Hashing::<u64, ()>::new(limits(entries, None, policy));
            let allocated = cache.0.index.allocated();
            let mut rng = fastrand::Rng::with_seed(u64::from(entries));
            for key in 0..1_000_000u64 {
                let _ = cache.insert(0, key, ());
                if rng.u8(..) < 32 {
                    let recent = key.saturating_sub(rng.u64(0..=u64::from(entries)));
                    cache.remove(recent);
                }
                assert_eq!(cache.0.index.allocated(), allocated);
            }
            assert_eq!(cache.0.audit(), cache.0.len());
        }
    }
}

#[test]
fn a_retired_place_is_lost_and_counted_and_an_eviction_wears_none() {
    let slots = Slots::with_generation_bits(2, 0, 1);
    let mut cache = Cache::<u32, u32>::with_slots(limits(2, None, Policy::Fifo), slots);
    for key in 0..100 {
        let _ = cache.insert(at(0), u64::from(key), key, key);
    }
    assert_eq!((cache.len(), cache.retired()), (2, 0));
    assert_eq!(cache.pop(), Some((98, 98)));
    assert_eq!((cache.len(), cache.retired(), cache.audit()), (1, 1, 1));
    assert_eq!(cache.insert(at(0), 1, 1, 1), Inserted::Evicted(99, 99));
    assert_eq!(cache.pop(), Some((1, 1)));
    assert_eq!(cache.insert(at(0), 1, 1, 1), Inserted::Refused(1, 1));
}

/// A key or a value that counts how many of its kind live.
struct Counted(u32, Rc<Cell<i64>>);

impl Counted {
    fn new(number: u32, live: &Rc<Cell<i64>>) -> Self {
        live.set(live.get() + 1);
        Self(number, Rc::clone(live))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.set(self.1.get() - 1);
    }
}

impl PartialEq for Counted {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Counted {}

impl Borrow<u32> for Counted {
    fn borrow(&self) -> &u32 {
        &self.0
    }
}

#[test]
fn whatever_goes_in_comes_out_once() {
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let policy = if rng.bool() { Policy::Fifo } else { Policy::Lru };
        let limits = limits(rng.u32(0..10), rng.bool().then(|| rng.u32(0..50)), policy);
        let (keys, values) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut cache = Cache::new(limits);
        let (mut offered, mut returned, mut now) = (0, 0, 0);
        for _ in 0..1_000 {
            now += rng.u64(0..4);
            let number = rng.u32(0..20);
            let hash = cache.hasher().hash_of(&number);
            let out = match rng.u32(0..8) {
                0 => cache.remove(hash, &number),
                1 => cache.sweep(at(now)),
                2 => cache.pop(),
                3 => cache.get(at(now), hash, &number).and(None),
                _ => {
                    offered += 1;
                    let (key, value) = (Counted::new(number, &keys), Counted::new(number, &values));
                    cache.insert(at(now), hash, key, value).into_pair()
                }
            };
            returned += i64::from(out.is_some());
            drop(out);
            let held = cache.len() as i64;
            assert_eq!((keys.get(), values.get(), offered - returned), (held, held, held));
        }
        while cache.pop().is_some() {}
        assert_eq!((keys.get(), values.get(), cache.len(), cache.audit()), (0, 0, 0, 0));
    }
}

/// The same in the most obvious way: a list in the order of the policy, the first to go first.
struct Naive {
    limits: CacheLimits,
    entries: Vec<(u32, u32, u64)>,
    stats: CacheStats,
}

impl Naive {
    fn expired(&self, position: usize, now: u64) -> bool {
        self.limits.ttl.is_some_and(|ttl| at(now).saturating_since(at(self.entries[position].2)) >= ttl)
    }

    fn position(&self, key: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.0 == key)
    }

    /// The expired entry that was written first. Those written at the same instant may leave in any order.
    fn stale(&self, now: u64) -> Option<u64> {
        (0..self.entries.len())
            .filter(|&position| self.expired(position, now))
            .map(|position| self.entries[position].2)
            .min()
    }

    fn touch(&mut self, position: usize) {
        if self.limits.policy == Policy::Lru {
            let entry = self.entries.remove(position);
            self.entries.push(entry);
        }
    }

    fn get(&mut self, now: u64, key: u32) -> Option<u32> {
        let Some(position) = self.position(key).filter(|&position| !self.expired(position, now)) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        let value = self.entries[position].1;
        self.touch(position);
        Some(value)
    }

    fn take(&mut self, position: usize) -> (u32, u32) {
        let (key, value, _) = self.entries.remove(position);
        (key, value)
    }

    /// Inserts, given what the cache did where it had a choice among entries written at one instant.
    fn insert(&mut self, now: u64, key: u32, value: u32, did: Inserted<u32, u32>) -> Inserted<u32, u32> {
        let room = self.entries.len() < self.limits.entries as usize;
        let out = match (self.position(key), self.stale(now)) {
            (Some(position), _) if !self.expired(position, now) => {
                let old = core::mem::replace(&mut self.entries[position], (key, value, now));
                self.touch(position);
                self.stats.replaced += 1;
                return Inserted::Replaced(old.0, old.1);
            }
            (Some(position), _) => {
                let (key, value) = self.take(position);
                Inserted::Expired(key, value)
            }
            (None, _) if room => Inserted::New,
            (None, Some(written)) => {
                let (key, _) = did.into_pair().unwrap();
                let position = self.position(key).unwrap();
                assert_eq!(self.entries[position].2, written);
                let (key, value) = self.take(position);
                Inserted::Expired(key, value)
            }
            (None, None) if self.entries.is_empty() => return Inserted::Refused(key, value),
            (None, None) => {
                let (key, value) = self.take(0);
                Inserted::Evicted(key, value)
            }
        };
        self.entries.push((key, value, now));
        self.stats.inserted += 1;
        self.stats.expired += u64::from(matches!(out, Inserted::Expired(..)));
        self.stats.evicted += u64::from(matches!(out, Inserted::Evicted(..)));
        self.stats.highest = self.stats.highest.max(self.entries.len());
        out
    }
}

#[test]
fn it_behaves_as_the_obvious_list_does() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let policy = if rng.bool() { Policy::Fifo } else { Policy::Lru };
        let limits = limits(rng.u32(0..12), rng.bool().then(|| rng.u32(0..60)), policy);
        let mut cache = Hashing::new(limits);
        let mut naive = Naive { limits, entries: Vec::new(), stats: CacheStats::default() };
        let mut now = 0;
        for value in 0..1_000 {
            now += rng.u64(0..3);
            let key = rng.u32(0..24);
            match rng.u32(0..16) {
                0 => {
                    let gone = naive.position(key).map(|position| naive.take(position));
                    naive.stats.removed += u64::from(gone.is_some());
                    assert_eq!(cache.remove(key), gone);
                }
                1 => {
                    let due = cache.0.sweep_due(at(now));
                    let swept = cache.0.sweep(at(now));
                    let written = swept.map(|(key, value)| {
                        let position = naive.position(key).unwrap();
                        let entry = naive.entries[position];
                        assert_eq!((entry.0, entry.1), (key, value));
                        entry.2
                    });
                    assert_eq!((due, written), (swept.is_some(), naive.stale(now)));
                    if let Some((key, _)) = swept {
                        naive.entries.retain(|entry| entry.0 != key);
                        naive.stats.expired += 1;
                    }
                }
                2..8 => assert_eq!(cache.get(now, key), naive.get(now, key)),
                _ => {
                    let did = cache.insert(now, key, value);
                    assert_eq!(did, naive.insert(now, key, value, did));
                }
            }
            let cache = &cache.0;
            assert_eq!(
                (cache.stats(), cache.len(), cache.audit()),
                (naive.stats, naive.entries.len(), cache.len())
            );
            assert_eq!(cache.written.iter(&cache.slots).count(), cache.len());
        }
        let stats = cache.0.stats();
        assert_eq!(stats.inserted, stats.evicted + stats.expired + stats.removed + cache.0.len() as u64);
    }
}
