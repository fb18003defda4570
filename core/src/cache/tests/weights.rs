//! Weights: what has to leave for what, and what is refused.

use super::*;

fn weighing(weight: u64, policy: Policy) -> CacheLimits {
    limits(100, None, policy).weight(weight)
}

/// Makes room, inserts, and returns the keys that left for it.
fn put(cache: &mut Hashing<u32, u32>, key: u32, weight: u64) -> Vec<u32> {
    let left: Vec<u32> =
        core::iter::from_fn(|| cache.make_room(0, key, weight)).map(|(key, _)| key).collect();
    let inserted = cache.insert_weighted(0, key, key, weight);
    assert!(matches!(inserted, Inserted::New | Inserted::Replaced(..)), "{inserted:?}");
    left
}

#[test]
fn as_many_leave_as_the_weight_of_the_new_entry_needs() {
    for policy in [Policy::Fifo, Policy::Lru] {
        let mut cache = Hashing::new(weighing(10, policy));
        for key in 0..5 {
            assert_eq!(put(&mut cache, key, 2), []);
        }
        assert_eq!(put(&mut cache, 5, 1), [0]);
        assert_eq!(put(&mut cache, 6, 0), []);
        assert_eq!(put(&mut cache, 7, 5), [1, 2]);
        assert_eq!((cache.0.weight(), cache.0.len(), cache.0.stats().highest_weight), (10, 5, 10));
        assert_eq!(put(&mut cache, 8, 10), [3, 4, 5, 6, 7], "what weighs nothing leaves in its turn, too");
        assert_eq!(put(&mut cache, 9, 0), []);
        assert_eq!(cache.0.stats().evicted, 8);
    }
}

#[test]
fn an_entry_heavier_than_the_whole_is_handed_back_and_nobody_leaves_for_it() {
    for policy in POLICIES {
        let mut cache = Hashing::new(weighing(10, policy));
        let _ = put(&mut cache, 1, 4);
        for key in [1, 2] {
            assert_eq!(cache.make_room(0, key, 11), None);
            assert_eq!(cache.insert_weighted(0, key, 20, 11), Inserted::TooHeavy(key, 20));
        }
        assert_eq!((cache.make_room(0, 2, u64::MAX), cache.get(0, 1), cache.0.weight()), (None, Some(1), 4));
        let all = Hashing::<u32, u32>::new(weighing(u64::MAX, policy)).insert_weighted(0, 1, 1, u64::MAX);
        assert_eq!(all, Inserted::New);
        let none = Hashing::<u32, u32>::new(weighing(0, policy)).insert_weighted(0, 1, 1, 1);
        assert_eq!(none, Inserted::TooHeavy(1, 1));
    }
}

#[test]
fn an_entry_for_which_nobody_has_made_room_is_handed_back() {
    for policy in POLICIES {
        let mut cache = Hashing::new(weighing(10, policy));
        let _ = (put(&mut cache, 1, 5), put(&mut cache, 2, 5));
        assert_eq!(cache.insert(0, 3, 30), Inserted::NoRoom(3, 30), "it weighs 1");
        assert_eq!(cache.insert_weighted(0, 1, 10, 6), Inserted::NoRoom(1, 10));
        assert_eq!((cache.0.len(), cache.0.weight(), cache.0.stats().evicted), (2, 10, 0));
        cache.0.close();
        assert_eq!((cache.make_room(0, 3, 1), cache.insert(0, 3, 30)), (None, Inserted::Refused(3, 30)));
    }
}

#[test]
fn overwriting_makes_others_leave_only_for_the_weight_that_it_adds() {
    for policy in POLICIES {
        let mut cache = Hashing::new(weighing(12, policy));
        for key in 0..3 {
            let _ = put(&mut cache, key, 4);
        }
        assert_eq!(
            (put(&mut cache, 0, 4), put(&mut cache, 0, 2), put(&mut cache, 0, 4)),
            (vec![], vec![], vec![])
        );
        assert_eq!(put(&mut cache, 0, 5).len(), 1);
        assert_eq!((put(&mut cache, 0, 12).len(), cache.0.len(), cache.0.weight()), (1, 1, 12));
        let stats = cache.0.stats();
        assert_eq!((stats.inserted, stats.replaced, stats.evicted), (3, 5, 2), "it never left itself");
    }
}

#[test]
fn expired_entries_make_room_before_live_ones() {
    for policy in POLICIES {
        let mut cache = Hashing::new(weighing(10, policy).ttl(MS * 10));
        for (now, key) in [(0, 1), (1, 2), (2, 3)] {
            assert_eq!(cache.insert_weighted(now, key, key, 3), Inserted::New);
        }
        assert_eq!(cache.insert_weighted(8, 1, 1, 3), Inserted::Replaced(1, 1));
        assert_eq!(cache.make_room(11, 4, 4), Some((2, 2)));
        assert_eq!((cache.make_room(11, 4, 4), cache.make_room(12, 3, 8)), (None, Some((3, 3))));
        let stats = cache.0.stats();
        assert_eq!((stats.expired, stats.evicted, cache.0.weight()), (2, 0, 3));
    }
}

#[test]
fn without_a_limit_weights_have_no_meaning() {
    for policy in POLICIES {
        let mut cache = Hashing::new(limits(2, None, policy));
        for key in 0..3 {
            assert_eq!(cache.make_room(0, key, u64::MAX), None);
            let inserted = cache.insert_weighted(0, key, (), u64::MAX);
            assert_eq!(matches!(inserted, Inserted::Evicted(..)), key == 2);
        }
        assert_eq!((cache.0.weight(), cache.0.stats().highest_weight), (2, 2));
    }
}

#[test]
fn the_places_are_a_bound_beside_the_weight() {
    let mut cache = Hashing::new(limits(2, None, Policy::Fifo).weight(100));
    assert_eq!((put(&mut cache, 1, 1), put(&mut cache, 2, 1)), (vec![], vec![]));
    assert_eq!((cache.make_room(0, 3, 1), cache.insert(0, 3, 3)), (None, Inserted::Evicted(1, 1)));
    assert_eq!((cache.0.weight(), cache.0.len()), (2, 2));
}

#[test]
fn s3_fifo_divides_the_weight_between_its_queues() {
    // All the weight is used by a tenth of the places, which alone would never fill the main queue. Nor would they fill
    // the small queue before the first eviction.
    let mut cache = Hashing::new(limits(1_000, None, Policy::S3Fifo).weight(1_000));
    for key in 0..100 {
        assert_eq!(put(&mut cache, key, 10), []);
    }
    // One-hit wonders push out one another.
    for key in 1_000..2_000 {
        assert_eq!(put(&mut cache, key, 10).len(), 1);
    }
    let kept = (0..100).filter(|&key| cache.get(0, key).is_some()).count();
    assert!((90..=95).contains(&kept), "{kept}");
    // A heavy one that is never read leaves again, and pushes out what it has to.
    let _ = put(&mut cache, 2_000, 500);
    let kept = (0..100).filter(|&key| cache.get(0, key).is_some()).count();
    assert!((43..=50).contains(&kept), "{kept}");
    for key in 3_000..3_100 {
        let _ = put(&mut cache, key, 10);
    }
    assert_eq!(cache.get(0, 2_000), None);
    assert!((0..100).filter(|&key| cache.get(0, key).is_some()).count() >= kept - 1);
}
