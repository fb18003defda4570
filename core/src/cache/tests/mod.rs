#![allow(clippy::unwrap_used)]

mod idle;
mod naive;
mod weights;

use super::*;
use alloc::rc::Rc;
use alloc::vec::Vec;
use alloc::{format, string::String, vec};
use core::cell::Cell;
use core::hash::Hash;
use core::time::Duration;

const POLICIES: [Policy; 3] = [Policy::Fifo, Policy::Lru, Policy::S3Fifo];

const MS: Duration = Duration::from_millis(1);

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn limits(entries: u32, ttl: Option<u32>, policy: Policy) -> CacheLimits {
    CacheLimits { entries, ttl: ttl.map(|ttl| MS * ttl), policy, seed: 1, ..CacheLimits::default() }
}

/// A cache that hashes each key itself.
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

    fn insert_weighted(&mut self, now: u64, key: K, value: V, weight: u64) -> Inserted<K, V> {
        self.0.insert_weighted(at(now), self.0.hasher().hash_of(&key), key, value, weight)
    }

    fn make_room(&mut self, now: u64, key: K, weight: u64) -> Option<(K, V)> {
        self.0.make_room(at(now), self.0.hasher().hash_of(&key), &key, weight)
    }

    fn remove(&mut self, key: K) -> Option<(K, V)> {
        self.0.remove(self.0.hasher().hash_of(&key), &key)
    }
}

#[test]
fn fifo_evicts_the_first_in_despite_reads_and_overwrites() {
    let mut cache = Hashing::new(limits(2, None, Policy::Fifo));
    assert_eq!((cache.insert(0, 1, 10), cache.insert(0, 2, 20)), (Inserted::New, Inserted::New));
    assert_eq!(cache.get(0, 1), Some(10));
    assert_eq!(cache.insert(0, 1, 11), Inserted::Replaced(1, 10));
    assert_eq!(cache.insert(0, 3, 30), Inserted::Evicted(1, 11));
    assert_eq!([1, 2, 3].map(|key| cache.get(0, key)), [None, Some(20), Some(30)]);
}

#[test]
fn lru_evicts_the_least_recently_used() {
    let mut cache = Hashing::new(limits(3, None, Policy::Lru));
    for key in [1, 2, 3] {
        let _ = cache.insert(0, key, 0);
    }
    assert_eq!(cache.get(0, 1), Some(0));
    assert_eq!(cache.insert(0, 2, 1), Inserted::Replaced(2, 0));
    let three = cache.0.hasher().hash_of(&3);
    assert_eq!(cache.0.peek(at(0), three, &3), Some(&0), "peeking does not count as a use");
    assert_eq!(cache.insert(0, 4, 0), Inserted::Evicted(3, 0));
    assert_eq!(cache.insert(0, 5, 0), Inserted::Evicted(1, 0));
}

#[test]
fn s3_fifo_keeps_used_keys_and_keys_that_come_back() {
    let mut cache = Hashing::new(limits(10, None, Policy::S3Fifo));
    for key in 0..10 {
        assert_eq!(cache.insert(0, key, key), Inserted::New);
    }
    // Key 0 has the only place of the small queue; the others fill the main queue.
    assert_eq!(cache.insert(0, 10, 10), Inserted::Evicted(0, 0));
    assert_eq!([cache.get(0, 10), cache.get(0, 10)], [Some(10); 2]);
    assert_eq!(
        cache.insert(0, 11, 11),
        Inserted::Evicted(1, 1),
        "10 was used twice, and moves to the main queue"
    );
    assert_eq!(
        cache.insert(0, 0, 20),
        Inserted::Evicted(11, 11),
        "0 is remembered: it enters the main queue"
    );
    assert_eq!(cache.insert(0, 12, 12), Inserted::Evicted(2, 2), "the main queue had one entry too many");
    for key in 200..300 {
        let _ = cache.insert(0, key, 0);
    }
    assert_eq!(
        [cache.get(0, 10), cache.get(0, 0), cache.get(0, 3)],
        [Some(10), Some(20), Some(3)],
        "a scan does not reach the main queue"
    );
    for key in [11, 300, 301, 302, 303, 304, 305, 306] {
        assert!(matches!(cache.insert(0, key, 0), Inserted::Evicted(..)));
    }
    assert_eq!(cache.insert(0, 307, 0), Inserted::Evicted(306, 0), "11 was forgotten before it came back");
}

#[test]
fn one_insert_passes_over_a_bounded_number_of_entries() {
    let places = 4 * Policy::MOST_PASSED;
    let mut cache = Hashing::new(limits(places, None, Policy::S3Fifo));
    for key in 0..places {
        let _ = cache.insert(0, key, ());
        assert_eq!([cache.get(0, key), cache.get(0, key)], [Some(()); 2]);
    }
    // The small queue has seven hundredths of the places, and the first key is in it. It moves on to the main queue,
    // and then entries of the main queue are passed over.
    let in_small = places * 7 / 100;
    assert_eq!(
        cache.insert(0, places, ()),
        Inserted::Evicted(in_small + Policy::MOST_PASSED - 1, ()),
        "though it was used twice"
    );
}

#[test]
fn the_index_never_grows() {
    for entries in [1, 7, 100, 1_000] {
        let mut rng = fastrand::Rng::with_seed(entries.into());
        let mut cache = Hashing::new(limits(entries, None, Policy::Fifo));
        let before = cache.0.index.allocated();
        // Removed entries leave tombstones, until the table is rehashed.
        for value in 0..40 * entries {
            let _ = cache.insert(0, rng.u32(..), value);
            if rng.bool() {
                let any = cache.0.order.any().and_then(|place| cache.0.entries.get(place as usize));
                let key = any.map(|entry| entry.key);
                assert!(key.is_none_or(|key| cache.remove(key).is_some()));
            }
        }
        assert_eq!((cache.0.index.allocated(), cache.0.audit()), (before, cache.0.len()));
    }
}

#[test]
fn an_expired_entry_is_absent() {
    let mut cache = Hashing::new(limits(2, Some(10), Policy::Fifo));
    let _ = cache.insert(0, 1, 10);
    let _ = cache.insert(5, 2, 20);
    assert_eq!((cache.get(9, 1), cache.get(10, 1), cache.get(10, 2)), (Some(10), None, Some(20)));
    assert_eq!(cache.get(9, 1), None, "a clock that goes back stands still");
    assert_eq!(cache.insert(10, 1, 11), Inserted::Expired(1, 10), "counts as new");
    assert_eq!(cache.insert(10, 3, 30), Inserted::Evicted(2, 20), "so 1 is behind 2");
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
fn an_expired_entry_goes_before_the_victim() {
    let mut cache = Hashing::new(limits(2, Some(10), Policy::Fifo));
    let _ = cache.insert(0, 1, 10);
    let _ = cache.insert(1, 2, 20);
    let _ = cache.insert(9, 1, 11);
    assert_eq!(cache.insert(11, 3, 30), Inserted::Expired(2, 20), "1 is the first in, but is live");
}

#[test]
fn a_sweep_removes_one_entry_the_oldest_first() {
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
fn a_cache_without_places_refuses_every_insert() {
    let mut cache = Hashing::new(CacheLimits::default());
    assert_eq!(cache.insert(0, 1, 10), Inserted::Refused(1, 10));
    assert_eq!(
        (cache.get(0, 1), cache.remove(1), cache.0.pop(), cache.0.sweep(at(0))),
        (None, None, None, None)
    );
    assert_eq!(
        (cache.0.is_empty(), cache.0.capacity(), Cache::<u64, u64>::bytes(&CacheLimits::default())),
        (true, 0, 0)
    );
}

#[test]
fn times_at_the_ends_of_their_range_are_legal() {
    let of = |ttl, idle| CacheLimits { ttl, time_to_idle: idle, ..CacheLimits::new(1) };
    let both = [Duration::ZERO, MS, Duration::MAX]
        .map(|age| [(age, of(Some(age), None)), (age, of(None, Some(age)))]);
    for (ttl, limits) in both.into_iter().flatten() {
        let mut cache = Cache::new(limits);
        let _ = cache.insert(Instant::ZERO, 1, 1, 1);
        assert_eq!(cache.get(Instant::ZERO, 1, &1).is_some(), ttl > Duration::ZERO);
        assert_eq!(cache.sweep_due(Instant::MAX), ttl < Duration::MAX);
        let _ = cache.insert(Instant::MAX, 1, 1, 2);
        assert_eq!(cache.get(Instant::MAX, 1, &1).is_some(), ttl > Duration::ZERO);
    }
}

#[test]
fn keys_with_the_same_hash_stay_apart_even_borrowed() {
    let mut cache = Cache::<String, u32>::new(limits(3, None, Policy::Fifo));
    assert_eq!(cache.hasher().hash_of("a"), cache.hasher().hash_of(&String::from("a")));
    for (value, key) in ["a", "b", "c"].into_iter().enumerate() {
        let _ = cache.insert(at(0), 7, key.into(), value as u32);
    }
    assert_eq!(cache.remove(7, "b"), Some(("b".into(), 1)));
    assert_eq!([cache.peek(at(0), 7, "a"), cache.peek(at(0), 7, "b")], [Some(&0), None]);
    assert_eq!(cache.get(at(0), 7, "c"), Some(&2));
    for hash in [8, 7 + 16, 7 | 1 << 31] {
        assert_eq!(cache.get(at(0), hash, "c"), None, "another hash is another key");
    }
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

/// The bytes that the cache has allocated.
fn allocated<K, V>(cache: &Cache<K, V>) -> usize {
    cache.entries.capacity() * size_of::<Slot<Entry<K, V>>>()
        + cache.index.allocated()
        + cache.order.allocated()
        + cache.weights.allocated()
        + cache.expiry.as_ref().map_or(0, Expiry::allocated)
}

#[test]
fn the_cache_is_as_large_as_promised_and_never_grows() {
    for entries in [0, 1, 2, 3, 4, 7, 10, 100, 448, 1_000] {
        for policy in POLICIES {
            let mut limits = limits(entries, (entries % 2 == 0).then_some(1_000), policy);
            limits.time_to_idle = (entries % 4 < 2).then_some(MS * 1_000);
            limits.weight = (entries % 3 != 1).then_some(u64::from(entries) * 2);
            let mut cache = Hashing::<u64, u8>::new(limits);
            assert_eq!(allocated(&cache.0), Cache::<u64, u8>::bytes(&limits));
            let mut rng = fastrand::Rng::with_seed(u64::from(entries));
            for key in 0..100_000u64 {
                let recent = key.saturating_sub(rng.u64(0..=u64::from(entries)));
                match rng.u8(..) {
                    0..32 => drop(cache.remove(recent)),
                    32..128 => drop(cache.get(key / 50, recent)),
                    weight => {
                        while cache.make_room(key / 50, key, u64::from(weight % 8)).is_some() {}
                        let _ = cache.insert_weighted(key / 50, key, 0, u64::from(weight % 8));
                    }
                }
            }
            assert_eq!(allocated(&cache.0), Cache::<u64, u8>::bytes(&limits));
            assert_eq!(cache.0.audit(), cache.0.len());
        }
    }
    assert!(Cache::<u64, u64>::bytes(&limits(u32::MAX, None, Policy::Fifo)) >= u32::MAX as usize);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn an_entry_of_two_words_takes_three() {
    assert_eq!(size_of::<Entry<u64, u64>>(), 24);
}

/// A key or a value that counts the live ones of its kind.
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
fn every_key_and_value_comes_out_once() {
    for seed in 0..100 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let policy = POLICIES[rng.usize(..3)];
        let mut limits = limits(rng.u32(0..10), rng.bool().then(|| rng.u32(0..50)), policy);
        limits.weight = rng.bool().then(|| rng.u64(0..30));
        limits.time_to_idle = rng.bool().then(|| MS * rng.u32(0..50));
        let (keys, values) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let mut cache = Cache::new(limits);
        let (mut offered, mut returned, mut now) = (0, 0, 0);
        for _ in 0..1_000 {
            now += rng.u64(0..4);
            let number = rng.u32(0..20);
            let hash = cache.hasher().hash_of(&number);
            let weight = rng.u64(0..12);
            let out = match rng.u32(0..12) {
                0 => cache.remove(hash, &number),
                1 => cache.sweep(at(now)),
                2 => cache.pop(),
                3 => cache.get(at(now), hash, &number).and(None),
                4..8 => cache.make_room(at(now), hash, &number, weight),
                _ => {
                    offered += 1;
                    let (key, value) = (Counted::new(number, &keys), Counted::new(number, &values));
                    cache.insert_weighted(at(now), hash, key, value, weight).into_pair()
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
