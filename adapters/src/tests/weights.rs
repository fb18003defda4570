//! A cache that is bounded by weight, and one whose entries expire when they are not read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::kit::{Manual, ms};
use crate::{Cache, CacheLimits, CacheRefusal, Processor, infallible};

/// A value that looks into its cache when it is dropped.
struct Looking {
    weight: u64,
    cache: Arc<Mutex<Option<Cache<u32, Looking>>>>,
    lengths: mpsc::Sender<usize>,
}

impl Drop for Looking {
    fn drop(&mut self) {
        let cache = self.cache.lock().unwrap().clone();
        if let Some(cache) = cache {
            let _ = self.lengths.send(cache.len());
        }
    }
}

#[test]
fn at_most_sixteen_leave_in_one_hold_and_are_dropped_after_it() {
    // On a thread of its own: a value that is dropped under the lock would wait for ever.
    let (lengths, seen) = mpsc::channel();
    std::thread::spawn(move || {
        let limits = CacheLimits::new(200).weight(100);
        let cache = Cache::with_weigher(limits, |_, value: &Looking| value.weight).unwrap();
        let own = Arc::new(Mutex::new(Some(cache.clone())));
        let value = |weight| Looking { weight, cache: own.clone(), lengths: lengths.clone() };
        for key in 0..100 {
            assert!(cache.insert(key, value(1)));
        }
        assert!(cache.insert(100, value(70)));
        assert!((31, 100) == (cache.len(), cache.weight()));
        let Err(CacheRefusal::TooHeavy(101, refused)) = cache.try_insert(101, value(101)) else {
            panic!("it is heavier than the whole")
        };
        assert!((31, 70) == (cache.len(), cache.stats().evicted));
        *own.lock().unwrap() = None;
        drop(refused);
    });
    let seen: Vec<usize> = (0..70).map(|_| seen.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
    let expected = [(84, 16), (68, 16), (52, 16), (36, 16), (31, 6)];
    let expected: Vec<usize> =
        expected.iter().flat_map(|&(len, left)| std::iter::repeat_n(len, left)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_load_is_weighed_and_handed_out_even_if_it_is_too_heavy() {
    let limits = CacheLimits::new(10).weight(10);
    let cache = Cache::<u32, String>::with_weigher(limits, |_, text| text.len() as u64).unwrap();
    let load = |key, len| {
        let load = || async move { Ok::<_, std::convert::Infallible>("x".repeat(len)) };
        futures::executor::block_on(cache.get_or_insert_with(key, load)).unwrap().len()
    };
    assert_eq!((load(1, 6), load(2, 11), load(3, 4), load(1, 9)), (6, 11, 4, 6));
    assert_eq!((cache.len(), cache.weight(), cache.peek(&2)), (2, 10, None));
    assert_eq!((load(2, 5), cache.len(), cache.stats().evicted), (5, 2, 1));
    assert_eq!(cache.stats().highest_weight, 10);
}

/// A value that panics when it is dropped, once.
struct Bomb(u64);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(self.0 != 1, "light ones go off");
    }
}

#[test]
fn several_that_panic_when_they_leave_panic_once() {
    let limits = CacheLimits::new(10).weight(4);
    let cache = Cache::<u32, Bomb>::with_weigher(limits, |_, bomb| bomb.0).unwrap();
    for key in 0..4 {
        assert!(cache.insert(key, Bomb(1)));
    }
    assert!(catch_unwind(AssertUnwindSafe(|| cache.insert(9, Bomb(3)))).is_err());
    assert_eq!((cache.len(), cache.weight(), cache.stats().evicted), (2, 4, 3));
    assert!(catch_unwind(AssertUnwindSafe(|| drop(cache.remove(&3)))).is_err());
}

#[test]
fn what_is_refused_comes_back() {
    let none = Cache::<u32, u32>::new(CacheLimits::default()).unwrap();
    let refused = none.try_insert(1, 10).unwrap_err();
    assert_eq!(refused, CacheRefusal::Closed(1, Arc::new(10)));
    assert_eq!(refused.into_pair(), (1, Arc::new(10)));
    let heavy =
        Cache::<u32, u32>::with_weigher(CacheLimits::new(1).weight(5), |_, &value| value.into()).unwrap();
    assert_eq!(heavy.try_insert(1, 5), Ok(()));
    assert!(!heavy.insert(2, 6));
    assert_eq!(heavy.try_insert(1, 6), Err(CacheRefusal::TooHeavy(1, Arc::new(6))));
    assert_eq!((heavy.len(), heavy.peek(&1)), (1, Some(Arc::new(5))));
}

#[test]
fn an_entry_lives_for_as_long_as_it_is_read() {
    let runtime = Manual::default();
    let cache = Cache::<u32, u32>::new(CacheLimits::new(10).time_to_idle(ms(10))).unwrap();
    let builder = Processor::builder().cache(&cache).sweep_every(ms(1));
    let processor = builder.spawn_on(runtime.clone(), infallible(|(): ()| async {})).unwrap();
    assert!(cache.insert(1, 10) && cache.insert(2, 20));
    for _ in 0..5 {
        runtime.advance(ms(6));
        runtime.run();
        assert!(cache.get(&1).is_some());
    }
    assert_eq!((cache.get(&2), cache.len(), cache.stats().expired), (None, 1, 1));
    drop(processor);
}
