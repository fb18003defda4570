//! Hit ratios of the cache: against naive policies on a made-up trace, and against published figures on
//! real ones, where those are there.

use std::path::Path;

use plimsoll_core::{Cache, CacheLimits, Instant, Policy};

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
}

#[test]
fn real_traces_give_the_published_ratios() {
    let figures = [
        ("web12", 138, 0.377_117, 0.397_910),
        ("web12", 688, 0.562_678, 0.600_197),
        ("web12", 1_000, 0.608_240, 0.647_254),
        ("web12", 2_751, 0.721_401, 0.756_691),
        ("web07", 205, 0.363_226, 0.391_655),
        ("web07", 1_000, 0.476_891, 0.504_059),
        ("web07", 1_024, 0.478_770, 0.505_623),
        ("web07", 4_097, 0.587_443, 0.610_355),
    ];
    for (name, entries, fifo, lru) in figures {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../shared/data/cache2k-{name}.u32le"));
        let Ok(bytes) = std::fs::read(&file) else {
            println!("skipped {name}: the trace is not there");
            continue;
        };
        let keys: Vec<u32> =
            bytes.chunks_exact(4).map(|key| u32::from_le_bytes([key[0], key[1], key[2], key[3]])).collect();
        for (policy, ratio) in [(Policy::Fifo, fifo), (Policy::Lru, lru)] {
            let found = hits(&keys, entries, policy) as f64 / keys.len() as f64;
            assert_eq!(format!("{found:.6}"), format!("{ratio:.6}"), "{name} {entries} {policy:?}");
            println!("{name} {entries:>5} {policy:?} {found:.6}");
        }
    }
}
