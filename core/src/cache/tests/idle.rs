//! The time to idle.

use super::*;

fn idling(idle: u32, ttl: Option<u32>, policy: Policy) -> CacheLimits {
    limits(4, ttl, policy).time_to_idle(MS * idle)
}

#[test]
fn a_counted_read_restarts_the_time_to_idle_and_a_peek_does_not() {
    for policy in POLICIES {
        let mut cache = Hashing::new(idling(10, None, policy));
        let hash = cache.0.hasher().hash_of(&1);
        let _ = cache.insert(0, 1, 10);
        assert_eq!(cache.get(9, 1), Some(10));
        assert_eq!(cache.0.peek(at(18), hash, &1), Some(&10));
        assert_eq!(cache.0.peek(at(19), hash, &1), None);
        assert_eq!(cache.get(19, 1), None);
        assert_eq!(cache.get(19, 1), None, "a miss restarts nothing");
        assert_eq!(cache.insert(19, 1, 11), Inserted::Expired(1, 10));
        assert_eq!(cache.insert(28, 1, 12), Inserted::Replaced(1, 11));
        assert_eq!((cache.get(37, 1), cache.get(46, 1), cache.get(56, 1)), (Some(12), Some(12), None));
    }
}

#[test]
fn an_entry_expires_by_the_age_that_ends_first() {
    for policy in POLICIES {
        let mut cache = Hashing::new(idling(10, Some(25), policy));
        let _ = (cache.insert(0, 1, 10), cache.insert(0, 2, 20));
        assert_eq!((cache.get(9, 1), cache.get(10, 2)), (Some(10), None));
        assert_eq!((cache.get(18, 1), cache.get(24, 1), cache.get(25, 1)), (Some(10), Some(10), None));
    }
}

#[test]
fn a_sweep_finds_the_idle_among_those_that_are_read() {
    for policy in POLICIES {
        let mut cache = Hashing::new(idling(10, Some(25), policy));
        for key in 0..4 {
            let _ = cache.insert(key, key, key);
        }
        assert_eq!((cache.get(9, 0), cache.get(9, 2)), (Some(0), Some(2)));
        assert!(!cache.0.sweep_due(at(10)) && cache.0.sweep_due(at(13)));
        let mut swept = |now| core::iter::from_fn(|| cache.0.sweep(at(now))).collect::<Vec<_>>();
        assert_eq!(swept(13), [(1, 1), (3, 3)]);
        assert_eq!((swept(18), swept(19)), (vec![], vec![(0, 0), (2, 2)]));
        for key in 0..2 {
            let _ = cache.insert(20 + key, key, key);
        }
        assert_eq!((cache.get(29, 1), cache.get(38, 1)), (Some(1), Some(1)));
        assert_eq!(cache.0.sweep(at(45)), Some((0, 0)));
        assert_eq!(
            (cache.0.sweep(at(45)), cache.0.sweep(at(46))),
            (None, Some((1, 1))),
            "by its time to live"
        );
        assert_eq!(cache.0.stats().expired, 6);
    }
}

#[test]
fn an_idle_entry_goes_before_the_victim() {
    let mut cache = Hashing::new(idling(10, None, Policy::Fifo));
    for key in 0..4 {
        let _ = cache.insert(key, key, key);
    }
    for key in [0, 1, 3] {
        assert_eq!(cache.get(9, key), Some(key));
    }
    assert_eq!(cache.insert(12, 4, 4), Inserted::Expired(2, 2), "0 is the first in, but is live");
}
