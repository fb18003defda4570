//! The cache compared with a naive one, step by step.

use super::*;

#[derive(Clone, Copy)]
struct Held {
    key: u32,
    value: u32,
    written: u64,
    uses: u8,
    in_main: bool,
    /// Until the entry is judged in the main queue: whether it is there because its key came back.
    on_trial: Option<bool>,
}

/// The naive cache: one list in the order of eviction. The two queues of S3-FIFO are mixed in it.
struct Naive {
    limits: CacheLimits,
    entries: Vec<Held>,
    /// The evicted keys, the latest last, with gaps for the keys that came back.
    ghosts: Vec<Option<u32>>,
    evidence: i32,
    /// Whether nothing was evicted so far.
    fills_main: bool,
    stats: CacheStats,
}

impl Naive {
    fn expired(&self, position: usize, now: u64) -> bool {
        let written = at(self.entries[position].written);
        self.limits.ttl.is_some_and(|ttl| at(now).saturating_since(written) >= ttl)
    }

    fn position(&self, key: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == key)
    }

    /// The oldest write of an expired entry. Expired entries written at the same instant may leave in any order.
    fn stale(&self, now: u64) -> Option<u64> {
        (0..self.entries.len())
            .filter(|&position| self.expired(position, now))
            .map(|position| self.entries[position].written)
            .min()
    }

    fn touch(&mut self, position: usize) {
        match self.limits.policy {
            Policy::Fifo => {}
            Policy::Lru => self.move_to_end(position),
            Policy::S3Fifo => self.entries[position].uses = (self.entries[position].uses + 1).min(15),
        }
    }

    fn move_to_end(&mut self, position: usize) {
        let entry = self.entries.remove(position);
        self.entries.push(entry);
    }

    fn get(&mut self, now: u64, key: u32) -> Option<u32> {
        let Some(position) = self.position(key).filter(|&position| !self.expired(position, now)) else {
            self.stats.misses += 1;
            return None;
        };
        self.stats.hits += 1;
        let value = self.entries[position].value;
        self.touch(position);
        Some(value)
    }

    fn take(&mut self, position: usize) -> (u32, u32) {
        let entry = self.entries.remove(position);
        (entry.key, entry.value)
    }

    /// The position of the entry to evict.
    fn victim(&mut self) -> usize {
        let places = self.limits.entries as usize;
        let (to_main, most) = if self.evidence > 0 { (1, 15) } else { (2, 3) };
        loop {
            let main = self.entries.iter().filter(|entry| entry.in_main).count();
            let in_main = main > places - 1 || main == places;
            let position = self.entries.iter().position(|entry| entry.in_main == in_main).unwrap();
            let entry = &mut self.entries[position];
            if let Some(came_back) = entry.on_trial.take() {
                let step = match (came_back == (entry.uses > 0), self.evidence) {
                    (false, _) => 1,
                    (true, 1..) => -1,
                    (true, _) => -3,
                };
                let most = (self.limits.entries / 4 + 64) as i32;
                self.evidence = (self.evidence + step).clamp(-most, most);
            }
            if in_main && entry.uses > 0 {
                entry.uses = entry.uses.min(most) - 1;
            } else if !in_main && entry.uses >= to_main {
                *entry = Held { in_main: true, uses: 0, on_trial: Some(false), ..*entry };
            } else {
                if !in_main {
                    self.ghosts.push(Some(entry.key));
                }
                return position;
            }
            self.move_to_end(position);
        }
    }

    /// Whether the key is a ghost that counts. It is none afterwards.
    fn recall(&mut self, key: u32) -> bool {
        if self.limits.policy != Policy::S3Fifo {
            return false;
        }
        let (places, all) = (self.limits.entries as usize, self.ghosts.len());
        let (window, is_certain) =
            (places * 9 / 10, self.evidence > (self.limits.entries / 4 + 64) as i32 / 2);
        let first = all.saturating_sub(window);
        let Some(from) = self.ghosts[first..].iter().position(|&ghost| ghost == Some(key)) else {
            return false;
        };
        self.ghosts[first + from] = None;
        !is_certain || all - (first + from) <= window / 3
    }

    /// Inserts. `did` is the result of the real cache, which may choose among expired entries written at the same
    /// instant.
    fn insert(&mut self, now: u64, key: u32, value: u32, did: Inserted<u32, u32>) -> Inserted<u32, u32> {
        let room = self.entries.len() < self.limits.entries as usize;
        let position = self.position(key);
        let is_known = position.is_none() && self.recall(key);
        let out = match (position, self.stale(now)) {
            (Some(position), _) if !self.expired(position, now) => {
                let entry = &mut self.entries[position];
                let old = core::mem::replace(entry, Held { key, value, written: now, ..*entry });
                self.touch(position);
                self.stats.replaced += 1;
                return Inserted::Replaced(old.key, old.value);
            }
            (Some(position), _) => {
                let (key, value) = self.take(position);
                Inserted::Expired(key, value)
            }
            (None, _) if room => Inserted::New,
            (None, Some(written)) => {
                let (key, _) = did.into_pair().unwrap();
                let position = self.position(key).unwrap();
                assert_eq!(self.entries[position].written, written);
                let (key, value) = self.take(position);
                Inserted::Expired(key, value)
            }
            (None, None) if self.entries.is_empty() => return Inserted::Refused(key, value),
            (None, None) => {
                self.fills_main = false;
                let victim = self.victim();
                let (key, value) = self.take(victim);
                Inserted::Evicted(key, value)
            }
        };
        // In a cache this small, the small queue has one place.
        let fills_main = self.fills_main && self.entries.iter().any(|entry| !entry.in_main);
        let in_main = is_known || self.limits.policy == Policy::S3Fifo && fills_main;
        let on_trial = is_known.then_some(true);
        self.entries.push(Held { key, value, written: now, uses: 0, in_main, on_trial });
        self.stats.inserted += 1;
        self.stats.expired += u64::from(matches!(out, Inserted::Expired(..)));
        self.stats.evicted += u64::from(matches!(out, Inserted::Evicted(..)));
        self.stats.highest = self.stats.highest.max(self.entries.len());
        out
    }
}

#[test]
fn the_cache_behaves_like_the_naive_list() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let policy = POLICIES[rng.usize(..3)];
        let limits = limits(rng.u32(0..12), rng.bool().then(|| rng.u32(0..60)), policy);
        let mut cache = Hashing::new(limits);
        let mut naive = Naive {
            limits,
            entries: Vec::new(),
            ghosts: Vec::new(),
            evidence: 0,
            fills_main: true,
            stats: CacheStats::default(),
        };
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
                        assert_eq!((entry.key, entry.value), (key, value));
                        entry.written
                    });
                    assert_eq!((due, written), (swept.is_some(), naive.stale(now)));
                    if let Some((key, _)) = swept {
                        naive.entries.retain(|entry| entry.key != key);
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
            assert!(cache.ages.as_ref().is_none_or(|ages| ages.count() == cache.len()));
        }
        let stats = cache.0.stats();
        assert_eq!(stats.inserted, stats.evicted + stats.expired + stats.removed + cache.0.len() as u64);
    }
}
