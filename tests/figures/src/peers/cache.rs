//! The core's cache beside others: a mix of hits and inserts, and hit ratios, also on traces.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;

use fastrand::Rng;
use plimsoll_core::{Cache, CacheLimits, Instant, Policy};
use schnellru::{ByLength, LruMap};

use crate::meter::{self, Figure, Meter, Pass, Region};

const SIZES: [u32; 2] = [1_000, 100_000];
/// Requests a round: enough to fill the largest several times over.
const REQUESTS: u32 = 1_000_000;

/// A bounded cache of any make.
trait Cached {
    fn new(entries: u32) -> Self;
    /// Reads a key, and inserts it if it is not there. Whether it was.
    fn request(&mut self, key: u64) -> bool;
    fn entries(&self) -> usize;
}

/// The core's, with the policy of this number in [`POLICIES`].
struct Ours<const POLICY: usize>(Cache<u64, u64>);

const POLICIES: &[Policy] = &[Policy::Fifo, Policy::Lru, Policy::S3Fifo];

impl<const POLICY: usize> Cached for Ours<POLICY> {
    fn new(entries: u32) -> Self {
        Self(Cache::new(CacheLimits {
            entries,
            ttl: None,
            policy: POLICIES[POLICY],
            seed: 1,
            ..CacheLimits::default()
        }))
    }

    fn request(&mut self, key: u64) -> bool {
        let hash = self.0.hasher().hash_of(&key);
        if let Some(value) = self.0.get(Instant::ZERO, hash, &key) {
            black_box(value);
            return true;
        }
        let _ = self.0.insert(Instant::ZERO, hash, key, key);
        false
    }

    fn entries(&self) -> usize {
        self.0.len()
    }
}

impl Cached for LruMap<u64, u64, ByLength> {
    fn new(entries: u32) -> Self {
        Self::new(ByLength::new(entries))
    }

    fn request(&mut self, key: u64) -> bool {
        if let Some(value) = self.get(&key) {
            black_box(value);
            return true;
        }
        self.insert(key, key);
        false
    }

    fn entries(&self) -> usize {
        self.len()
    }
}

impl Cached for quick_cache::unsync::Cache<u64, u64> {
    fn new(entries: u32) -> Self {
        Self::new(entries as usize)
    }

    fn request(&mut self, key: u64) -> bool {
        if let Some(value) = self.get(&key) {
            black_box(value);
            return true;
        }
        self.insert(key, key);
        false
    }

    fn entries(&self) -> usize {
        self.len()
    }
}

/// One contender: how it is measured, and what share of requests it answers.
struct Contender {
    name: &'static str,
    measure: fn(&mut Meter, &'static str, u32, &[u64]),
    hit_ratio: fn(u32, &[u64]) -> f64,
}

const fn contender<C: Cached>(name: &'static str) -> Contender {
    Contender { name, measure: measure::<C>, hit_ratio: hit_ratio::<C> }
}

const CONTENDERS: &[Contender] = &[
    contender::<Ours<0>>("plimsoll FIFO"),
    contender::<Ours<1>>("plimsoll LRU"),
    contender::<Ours<2>>("plimsoll S3-FIFO"),
    contender::<LruMap<u64, u64, ByLength>>("schnellru"),
    contender::<quick_cache::unsync::Cache<u64, u64>>("quick_cache"),
];

fn measure<C: Cached>(meter: &mut Meter, name: &'static str, entries: u32, keys: &[u64]) {
    let region = Region::new(name, REQUESTS, |(cache, keys): &mut (C, &[u64]), _| {
        for key in *keys {
            black_box(cache.request(*key));
        }
    });
    meter.measure(&mut (C::new(entries), keys), entries, &region);
}

fn hit_ratio<C: Cached>(entries: u32, keys: &[u64]) -> f64 {
    let mut cache = C::new(entries);
    let mut hits = 0_u32;
    for key in keys {
        hits += u32::from(cache.request(*key));
        assert!(cache.entries() <= entries as usize, "never above its capacity");
    }
    f64::from(hits) / keys.len() as f64
}

/// Requests whose keys are Zipf-distributed over ten times as many keys as there are entries, with an exponent of 0.9.
fn zipf(entries: u32) -> Vec<u64> {
    let mut total = 0.0;
    let mut cumulate = |rank: u32| {
        total += f64::from(rank).powf(-0.9);
        total
    };
    let cumulated: Vec<f64> = (1..=10 * entries).map(&mut cumulate).collect();
    let mut rng = Rng::with_seed(11);
    let mut draw = || {
        let drawn = rng.f64() * total;
        cumulated.partition_point(|sum| *sum < drawn) as u64
    };
    (0..REQUESTS).map(|_| draw()).collect()
}

fn program(meter: &mut Meter) {
    for entries in SIZES {
        let keys = zipf(entries);
        CONTENDERS.iter().for_each(|contender| (contender.measure)(meter, contender.name, entries, &keys));
    }
}

/// Prints the table; and the hit ratios on the traces in `folder`, files of little-endian `u32` keys, if one is given.
pub fn run(pass: Pass, folder: Option<String>) -> ExitCode {
    let figures = meter::figures(pass, program);
    for entries in SIZES {
        let keys = zipf(entries);
        println!(
            "{:24}{:>8}{:>14}{:>12}",
            format!("{entries} entries, Zipf"),
            "ns",
            "instructions",
            "hit ratio"
        );
        let figures = figures.iter().filter(|figure| figure.size == entries);
        for (Figure { name, nanos, instructions, .. }, contender) in figures.zip(CONTENDERS) {
            let ratio = (contender.hit_ratio)(entries, &keys);
            println!("{name:24}{nanos:8.1}{instructions:14.1}{ratio:12.4}");
        }
    }
    match folder.map(|folder| traces(Path::new(&folder))) {
        None | Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(why)) => {
            eprintln!("no traces: {why}");
            ExitCode::FAILURE
        }
    }
}

fn traces(folder: &Path) -> std::io::Result<()> {
    let mut files: Vec<_> = fs::read_dir(folder)?.filter_map(|file| Some(file.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "u32le"));
    files.sort();
    for file in files {
        let keys: Vec<u64> = fs::read(&file)?
            .chunks_exact(4)
            .map(|key| u64::from(u32::from_le_bytes([key[0], key[1], key[2], key[3]])))
            .collect();
        println!("{}, hit ratios with", file.file_stem().unwrap_or_default().to_string_lossy());
        let capacities = [138, 205, 688, 1_000, 1_024, 2_751, 4_097];
        println!("{:24}{}", "", capacities.map(|entries| format!("{entries:>8}")).concat());
        for contender in CONTENDERS {
            let ratios = capacities.map(|entries| format!("{:8.4}", (contender.hit_ratio)(entries, &keys)));
            println!("{:24}{}", contender.name, ratios.concat());
        }
    }
    Ok(())
}
