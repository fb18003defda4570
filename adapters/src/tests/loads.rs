//! A cache that loads what it has not.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::{FutureExt, join_all};

use super::kit::{Count, Manual};
use crate::{Cache, CacheLimits, Processor, infallible};

fn cache<V: Send + Sync + 'static>(entries: u32) -> Cache<String, V> {
    Cache::new(CacheLimits { entries, ..CacheLimits::default() }).unwrap()
}

fn assert_no_flight<V>(cache: &Cache<String, V>) {
    assert_eq!(format!("{:?}", cache.flights()), "Flights { keys: 0 }");
}

#[test]
fn one_of_many_callers_loads() {
    let (cache, loads) = (cache::<u32>(10), Cell::new(0));
    let (land, landing) = oneshot::channel();
    let landing = RefCell::new(Some(landing));
    let load = || {
        loads.set(loads.get() + 1);
        let landing = landing.borrow_mut().take();
        async move { Ok::<u32, Infallible>(landing.unwrap().await.unwrap()) }
    };
    let mut all = pin!(join_all((0..10).map(|_| cache.get_or_insert_with("key".into(), load))));
    assert!((&mut all).now_or_never().is_none());
    let other = cache.get_or_insert_with("other".into(), || async { Ok::<u32, Infallible>(8) });
    assert_eq!(*block_on(other).unwrap(), 8, "another key waits for nobody");
    land.send(7).unwrap();
    let values: Vec<_> = block_on(all).into_iter().map(Result::unwrap).collect();
    assert_eq!((loads.get(), *values[0]), (1, 7));
    assert!(values.iter().all(|value| Arc::ptr_eq(value, &values[0])));
    assert_eq!((cache.stats().inserted, cache.len()), (2, 2));
    assert_no_flight(&cache);
}

#[test]
fn concurrent_callers_share_the_result_of_one_task() {
    let runtime = Manual::default();
    let processor =
        Processor::builder().spawn_on(runtime.clone(), infallible(|n: u32| async move { n + 1 })).unwrap();
    let joint = cache::<u32>(0);
    let ask = || {
        let submit = || async { processor.submit(7).expect("there is room").await };
        joint.get_or_insert_with("seven".into(), submit)
    };
    for round in 1..=2 {
        let mut all = pin!(join_all((0..10).map(|_| ask())));
        assert!((&mut all).now_or_never().is_none());
        runtime.run();
        let values = all.now_or_never().expect("the task is over").into_iter().map(Result::unwrap);
        assert!(values.into_iter().all(|value| *value == 8));
        assert_eq!(
            (processor.totals().admitted, joint.len()),
            (round, 0),
            "a cache without room keeps nothing"
        );
    }
    assert_no_flight(&joint);
}

#[test]
fn who_comes_while_the_second_loads_waits_too() {
    let cache = cache::<u32>(10);
    let (land, landing) = oneshot::channel::<u32>();
    let mut first = pin!(cache.get_or_insert_with("key".into(), || async {
        super::kit::yield_now().await;
        Err::<u32, _>("no")
    }));
    let second = || async { landing.await.map_err(|_| "cancelled") };
    let mut second = pin!(cache.get_or_insert_with("key".into(), second));
    let third = || async { panic!("it is being loaded") };
    let mut third = pin!(cache.get_or_insert_with::<u32, &str, _>("key".into(), third));
    // The first has the runway, and the second stands in line when it leaves.
    assert!((&mut first).now_or_never().is_none() && (&mut second).now_or_never().is_none());
    assert_eq!(block_on(first), Err("no"));
    assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
    land.send(7).unwrap();
    assert_eq!((*second.now_or_never().unwrap().unwrap(), *third.now_or_never().unwrap().unwrap()), (7, 7));
    assert_no_flight(&cache);
}

#[test]
fn what_was_stored_after_the_first_look_is_found() {
    /// Somebody else stores a value when it is cloned, which is after the first look.
    struct Key(Cache<Key, u32>, bool);
    impl Clone for Key {
        fn clone(&self) -> Self {
            if self.1 {
                self.0.insert(Self(self.0.clone(), false), 7u32);
            }
            Self(self.0.clone(), self.1)
        }
    }
    impl Hash for Key {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }
    impl PartialEq for Key {
        fn eq(&self, _: &Self) -> bool {
            true
        }
    }
    impl Eq for Key {}
    let cache = Cache::<Key, u32>::new(CacheLimits { entries: 10, ..CacheLimits::default() }).unwrap();
    let key = Key(cache.clone(), true);
    let load = || async { panic!("it is there") };
    let value = block_on(cache.get_or_insert_with::<u32, Infallible, _>(key, load)).unwrap();
    assert_eq!((*value, cache.stats().misses), (7, 1));
    while cache.remove(&Key(cache.clone(), false)).is_some() {}
}

#[test]
fn threads_load_each_key_once() {
    let (cache, loads) = (cache::<usize>(10), AtomicUsize::new(0));
    const ROUNDS: usize = 2_000;
    let barrier = Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    barrier.wait();
                    let load = || async { Ok::<_, Infallible>(loads.fetch_add(1, SeqCst)) };
                    block_on(cache.get_or_insert_with(round.to_string(), load)).unwrap();
                }
            });
        }
    });
    assert_eq!(loads.into_inner(), ROUNDS);
    assert_no_flight(&cache);
}

#[test]
fn the_next_one_loads_after_an_error_a_panic_and_a_drop() {
    let cache = cache::<u32>(10);
    let get =
        |load: Result<u32, &'static str>| cache.get_or_insert_with("key".into(), move || async move { load });
    let (first, second, third) = block_on(async { futures::join!(get(Err("no")), get(Ok(2)), get(Ok(3))) });
    assert_eq!((first, second.map(|value| *value), third.map(|value| *value)), (Err("no"), Ok(2), Ok(2)));
    cache.remove("key");

    let panics = cache.get_or_insert_with("key".into(), || async {
        futures::pending!();
        panic!("in the load");
        #[allow(unreachable_code, reason = "it has a type")]
        Ok::<u32, &'static str>(0)
    });
    let mut panics = Box::pin(panics);
    assert!((&mut panics).now_or_never().is_none());
    let mut next = pin!(get(Ok(4)));
    assert!((&mut next).now_or_never().is_none());
    assert!(catch_unwind(AssertUnwindSafe(|| (&mut panics).now_or_never())).is_err());
    assert_eq!(next.now_or_never().unwrap().map(|value| *value), Ok(4));
    drop(panics);
    cache.remove("key");

    let mut dropped =
        Box::pin(cache.get_or_insert_with("key".into(), std::future::pending::<Result<u32, &'static str>>));
    assert!((&mut dropped).now_or_never().is_none());
    let mut next = pin!(get(Ok(5)));
    assert!((&mut next).now_or_never().is_none());
    drop(dropped);
    assert_eq!(next.now_or_never().unwrap().map(|value| *value), Ok(5));
    assert_no_flight(&cache);
}

#[test]
fn what_is_not_stored_is_handed_out() {
    let (cache, live) = (cache::<super::kit::Probe>(10), Count::default());
    let processor =
        Processor::builder().cache(&cache).spawn_on(Manual::default(), infallible(|()| async {})).unwrap();
    drop(processor);
    let get = || {
        cache.get_or_insert_with("key".into(), || async {
            super::kit::yield_now().await;
            Ok::<_, Infallible>(live.probe())
        })
    };
    let (first, second) = block_on(async { futures::join!(get(), get()) });
    assert!(Arc::ptr_eq(&first.clone().unwrap(), &second.unwrap()));
    assert_eq!((live.live(), cache.len()), (1, 0));
    drop(first);
    assert_eq!(live.live(), 0);
    assert_no_flight(&cache);
}

#[test]
fn a_load_can_be_sent() {
    fn check(_: &impl Send) {}
    let cache = cache::<u8>(1);
    check(&cache.get_or_insert_with("key".into(), || async { Ok::<u8, String>(1) }));
}
