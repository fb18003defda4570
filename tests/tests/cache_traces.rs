//! Hit ratios of the cache: against naive policies on a made-up trace, and against published figures on
//! real ones, where those are there.

use std::collections::VecDeque;

use plimsoll_core::{Cache, CacheLimits, Instant, Policy};
use plimsoll_tests::public;

/// Hits when each key is read, and inserted if that missed.
fn hits(keys: &[u32], entries: u32, policy: Policy) -> u64 {
    let mut cache = Cache::<u32, ()>::new(CacheLimits { entries, policy, ..CacheLimits::default() });
    let hasher = cache.hasher();
    for key in keys {
        let hash = hasher.hash_of(key);
        if cache.get(Instant::ZERO, hash, key).is_none() {
            let _ = cache.insert(Instant::ZERO, hash, *key, ());
        }
        assert!(cache.len() <= entries as usize);
    }
    assert_eq!(cache.audit(), cache.len());
    cache.stats().hits
}

/// The same by a list in order of eviction.
fn naive(keys: &[u32], entries: usize, policy: Policy) -> u64 {
    let (mut list, mut hits) = (Vec::new(), 0);
    for key in keys {
        match list.iter().position(|held| held == key) {
            Some(at) => {
                hits += 1;
                if policy == Policy::Lru {
                    list.remove(at);
                    list.push(*key);
                }
            }
            None => {
                if list.len() == entries {
                    list.remove(0);
                }
                list.push(*key);
            }
        }
    }
    hits
}

/// A key in a queue.
#[derive(Clone, Copy)]
struct Queued {
    key: u32,
    uses: u8,
    /// Not judged yet, and if so whether it came back after it had left.
    on_trial: Option<bool>,
}

/// Algorithm 1 of the paper on S3-FIFO, with parameters that are learned.
fn naive_s3_fifo(keys: &[u32], entries: usize) -> u64 {
    let (mut small, mut main, mut ghost) =
        (VecDeque::<Queued>::new(), VecDeque::<Queued>::new(), VecDeque::new());
    let (most, mut evidence) = (entries as i64 / 4 + 64, entries as i64 / 4 / 4);
    let (mut hits, mut has_evicted) = (0, false);
    for &key in keys {
        if let Some(held) = small.iter_mut().chain(&mut main).find(|held| held.key == key) {
            held.uses = 15.min(held.uses + 1);
            hits += 1;
            continue;
        }
        let age = ghost.iter().position(|&held| held == Some(key));
        if let Some(age) = age {
            ghost[age] = None;
        }
        let came_back = age.is_some_and(|age| evidence <= most / 2 || age < entries * 9 / 10 / 3);
        let steady = evidence > 0;
        let small_places = 1.max(entries * if steady { 7 } else { 10 } / 100);
        while small.len() + main.len() == entries {
            has_evicted = true;
            let from_main = main.len() > entries - small_places || small.is_empty();
            let held = if from_main { &mut main } else { &mut small }.pop_front().unwrap();
            if let Some(came_back) = held.on_trial {
                let against = if evidence > 0 { -1 } else { -3 };
                let step = if came_back == (held.uses > 0) { against } else { 1 };
                evidence = (evidence + step).clamp(-most, most);
            }
            if from_main && held.uses > 0 {
                let uses = held.uses.min(if steady { 15 } else { 3 }) - 1;
                main.push_back(Queued { key: held.key, uses, on_trial: None });
            } else if !from_main && held.uses >= if steady { 1 } else { 2 } {
                main.push_back(Queued { key: held.key, uses: 0, on_trial: Some(false) });
            } else if !from_main {
                ghost.push_front(Some(held.key));
            }
        }
        let on_trial = came_back.then_some(true);
        let fills_main = !has_evicted && small.len() >= small_places;
        let queue = if came_back || fills_main { &mut main } else { &mut small };
        queue.push_back(Queued { key, uses: 0, on_trial });
        ghost.truncate(entries * 9 / 10);
    }
    hits
}

#[test]
fn policies_do_what_a_list_would() {
    let mut rng = fastrand::Rng::with_seed(7);
    // Small numbers are far more frequent than large ones, and what was frequent changes.
    let keys: Vec<u32> =
        (0..40_000).map(|at| (rng.f64().powi(4) * 400.0) as u32 + at / 10_000 * 25).collect();
    for policy in [Policy::Fifo, Policy::Lru] {
        for entries in [1, 2, 10, 64, 300] {
            assert_eq!(
                hits(&keys, entries, policy),
                naive(&keys, entries as usize, policy),
                "{policy:?} {entries}"
            );
        }
    }
    assert_ne!(hits(&keys, 64, Policy::Fifo), hits(&keys, 64, Policy::Lru));
    // As many fingerprints as this are kept in exact order.
    for entries in [1, 2, 3, 9, 10, 11, 16, 17, 20, 33, 64, 71] {
        assert_eq!(hits(&keys, entries, Policy::S3Fifo), naive_s3_fifo(&keys, entries as usize), "{entries}");
    }
    for entries in [72, 300] {
        let (found, exact) = (hits(&keys, entries, Policy::S3Fifo), naive_s3_fifo(&keys, entries as usize));
        assert!(found.abs_diff(exact) < keys.len() as u64 / 200, "{entries}: {found}, exactly {exact}");
    }
}

/// Where all keys come back in turn, more of them than there is room for, the main queue keeps what it was filled with.
#[test]
fn a_loop_is_hit_as_far_as_there_is_room() {
    for (entries, times) in [(100, 3), (1_000, 3), (10_000, 3), (100, 5), (10_000, 5)] {
        let keys: Vec<u32> = (0..20 * times * entries).map(|at| at % (times * entries)).collect();
        let ratio = hits(&keys, entries, Policy::S3Fifo) as f64 / keys.len() as f64;
        let kept = 0.9 / f64::from(times);
        assert!(ratio > 0.9 * kept, "{times} times {entries}: {ratio}, of {kept} that are kept");
        assert_eq!(hits(&keys, entries, Policy::Lru), 0);
    }
}

#[test]
fn real_traces_give_the_published_ratios() {
    // The last: S3-FIFO by its authors' libCacheSim, and quick_cache 0.7.
    let web12 = [
        (138, 0.377_117, 0.397_910, [0.4104, 0.3777]),
        (688, 0.562_678, 0.600_197, [0.6480, 0.6350]),
        (1_000, 0.608_240, 0.647_254, [0.6900, 0.6808]),
        (2_751, 0.721_401, 0.756_691, [0.7814, 0.7742]),
    ];
    let web07 = [
        (205, 0.363_226, 0.391_655, [0.4378, 0.4117]),
        (1_000, 0.476_891, 0.504_059, [0.5412, 0.5343]),
        (1_024, 0.478_770, 0.505_623, [0.5425, 0.5359]),
        (4_097, 0.587_443, 0.610_355, [0.6245, 0.6241]),
    ];
    for (name, figures) in [("cache2k-web12.u32le", web12), ("cache2k-web07.u32le", web07)] {
        let Some(file) = public::trace("real_traces_give_the_published_ratios", name) else { continue };
        let bytes = std::fs::read(&file).unwrap();
        let keys: Vec<u32> =
            bytes.chunks_exact(4).map(|key| u32::from_le_bytes([key[0], key[1], key[2], key[3]])).collect();
        let ratio = |entries, policy| hits(&keys, entries, policy) as f64 / keys.len() as f64;
        for (entries, fifo, lru, [s3_fifo, quick_cache]) in figures {
            for (policy, published) in [(Policy::Fifo, fifo), (Policy::Lru, lru)] {
                let found = ratio(entries, policy);
                assert_eq!(format!("{found:.6}"), format!("{published:.6}"), "{name} {entries} {policy:?}");
                println!("{name} {entries:>5} {policy:?} {found:.6}");
            }
            let found = ratio(entries, Policy::S3Fifo);
            println!("{name} {entries:>5} S3Fifo {found:.6}");
            assert!(found >= s3_fifo - 0.005 && found >= quick_cache, "{name} {entries}: {found}");
        }
    }
}
