//! The cache compared with a naive one, step by step.

use super::super::weight::Fit;
use super::*;

#[derive(Clone, Copy)]
struct Held {
    key: u32,
    value: u32,
    weight: u64,
    written: u64,
    used: u64,
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

/// Why an entry has expired, and since when the age has counted. Written ones go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    Written(u64),
    Used(u64),
}

impl Naive {
    fn new(limits: CacheLimits) -> Self {
        let (entries, ghosts, stats) = (Vec::new(), Vec::new(), CacheStats::default());
        Self { limits, entries, ghosts, evidence: 0, fills_main: true, stats }
    }

    fn stale_one(&self, position: usize, now: u64) -> Option<Stale> {
        let Held { written, used, .. } = self.entries[position];
        let is_over = |limit: Option<Duration>, since| {
            limit.is_some_and(|limit| at(now).saturating_since(at(since)) >= limit)
        };
        if is_over(self.limits.ttl, written) {
            Some(Stale::Written(written))
        } else {
            is_over(self.limits.time_to_idle, used).then_some(Stale::Used(used))
        }
    }

    fn expired(&self, position: usize, now: u64) -> bool {
        self.stale_one(position, now).is_some()
    }

    fn weight(&self) -> u64 {
        self.entries.iter().map(|entry| entry.weight).sum()
    }

    fn position(&self, key: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == key)
    }

    /// The expired entry that goes first. Those of the same instant may leave in any order.
    fn stale(&self, now: u64) -> Option<Stale> {
        (0..self.entries.len()).filter_map(|position| self.stale_one(position, now)).min()
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
        self.entries[position].used = now;
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
        let (to_main, most, small) = if self.evidence > 0 { (1, 15, 7) } else { (2, 3, 10) };
        self.fills_main = false;
        for passed in 0.. {
            let main = self.entries.iter().filter(|entry| entry.in_main);
            let (count, weight) = (main.clone().count(), main.map(|entry| entry.weight).sum::<u64>());
            // In a cache this small, the small queue has one place.
            let is_heavy =
                self.limits.weight.is_some_and(|all| weight + (all * small / 100).max(1) > all.max(1));
            let in_main = count > places - 1 || is_heavy || count == self.entries.len();
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
            let may_stay = passed < Policy::MOST_PASSED;
            if may_stay && in_main && entry.uses > 0 {
                entry.uses = entry.uses.min(most) - 1;
            } else if may_stay && !in_main && entry.uses >= to_main {
                *entry = Held { in_main: true, uses: 0, on_trial: Some(false), ..*entry };
            } else {
                if !in_main {
                    self.ghosts.push(Some(entry.key));
                }
                return position;
            }
            self.move_to_end(position);
        }
        unreachable!()
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

    /// Takes out the expired entry with this key, which goes first.
    fn take_stale(&mut self, now: u64, key: u32) -> (u32, u32) {
        let position = self.position(key).unwrap();
        assert_eq!(self.stale_one(position, now), self.stale(now));
        self.stats.expired += 1;
        self.take(position)
    }

    /// Whether an insert has to wait, and for what.
    fn obstacle(&self, key: u32, weight: u64) -> Option<Fit> {
        let all = self.limits.weight?;
        let others = self.entries.iter().filter(|entry| entry.key != key).map(|entry| entry.weight);
        match others.sum::<u64>() + weight > all {
            _ if weight > all => Some(Fit::TooHeavy),
            true => Some(Fit::NoRoom),
            false => None,
        }
    }

    /// Makes room. `did` is the result of the real cache, which may choose among entries that expired at the same
    /// instant.
    fn make_room(&mut self, now: u64, key: u32, weight: u64, did: Option<(u32, u32)>) -> Option<(u32, u32)> {
        if self.limits.entries == 0 || self.obstacle(key, weight) != Some(Fit::NoRoom) {
            return None;
        }
        if self.stale(now).is_some() {
            return Some(self.take_stale(now, did.unwrap().0));
        }
        let own = self.position(key).map(|position| self.entries.remove(position));
        let victim = self.victim();
        let evicted = self.take(victim);
        self.entries.extend(own);
        self.stats.evicted += 1;
        Some(evicted)
    }

    /// Inserts. `did` is the result of the real cache, which may choose among entries that expired at the same instant.
    fn insert(
        &mut self,
        now: u64,
        (key, value, weight): (u32, u32, u64),
        did: Inserted<u32, u32>,
    ) -> Inserted<u32, u32> {
        let room = self.entries.len() < self.limits.entries as usize;
        match self.obstacle(key, weight) {
            _ if self.limits.entries == 0 => return Inserted::Refused(key, value),
            Some(Fit::TooHeavy) => return Inserted::TooHeavy(key, value),
            Some(_) => return Inserted::NoRoom(key, value),
            None => {}
        }
        let position = self.position(key);
        let is_known = position.is_none() && self.recall(key);
        let out = match position {
            Some(position) if !self.expired(position, now) => {
                let entry = &mut self.entries[position];
                let new = Held { key, value, weight, written: now, used: now, ..*entry };
                let old = core::mem::replace(entry, new);
                self.touch(position);
                self.stats.replaced += 1;
                return Inserted::Replaced(old.key, old.value);
            }
            Some(position) => {
                self.stats.expired += 1;
                let (key, value) = self.take(position);
                Inserted::Expired(key, value)
            }
            None if room => Inserted::New,
            None if self.stale(now).is_some() => {
                let (key, value) = self.take_stale(now, did.into_pair().unwrap().0);
                Inserted::Expired(key, value)
            }
            None => {
                let victim = self.victim();
                let (key, value) = self.take(victim);
                self.stats.evicted += 1;
                Inserted::Evicted(key, value)
            }
        };
        // In a cache this small, the small queue has one place.
        let fills_main = self.fills_main && self.entries.iter().any(|entry| !entry.in_main);
        let in_main = is_known || self.limits.policy == Policy::S3Fifo && fills_main;
        let on_trial = is_known.then_some(true);
        let (written, used, uses) = (now, now, 0);
        self.entries.push(Held { key, value, weight, written, used, uses, in_main, on_trial });
        self.stats.inserted += 1;
        self.stats.highest = self.stats.highest.max(self.entries.len());
        out
    }
}

#[test]
fn the_cache_behaves_like_the_naive_list() {
    for seed in 0..600 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let policy = POLICIES[rng.usize(..3)];
        let mut limits = limits(rng.u32(0..12), rng.bool().then(|| rng.u32(0..60)), policy);
        limits.weight = rng.bool().then(|| rng.u64(0..60));
        limits.time_to_idle = rng.bool().then(|| MS * rng.u32(0..60));
        let (mut cache, mut naive) = (Hashing::new(limits), Naive::new(limits));
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
                    assert_eq!((due, swept.is_some()), (naive.stale(now).is_some(), due));
                    if let Some((key, _)) = swept {
                        assert_eq!(swept, Some(naive.take_stale(now, key)));
                    }
                }
                2..8 => assert_eq!(cache.get(now, key), naive.get(now, key)),
                // Now and then nobody has made room.
                made => {
                    let most = if limits.weight.is_some() { rng.u64(0..70) } else { 0 };
                    let weight = if most > 0 { rng.u64(0..most) } else { 1 };
                    let mut in_the_way = made > 8;
                    while in_the_way {
                        let did = cache.make_room(now, key, weight);
                        in_the_way = did.is_some();
                        assert_eq!(did, naive.make_room(now, key, weight, did));
                        assert_eq!((cache.0.weight(), cache.0.stats()), (naive.weight(), naive.stats));
                    }
                    let did = cache.insert_weighted(now, key, value, weight);
                    assert_eq!(did, naive.insert(now, (key, value, weight), did));
                    assert!(made == 8 || !matches!(did, Inserted::NoRoom(..)));
                }
            }
            naive.stats.highest_weight = naive.stats.highest_weight.max(naive.weight());
            let cache = &cache.0;
            assert_eq!(
                (cache.stats(), cache.len(), cache.audit(), cache.weight()),
                (naive.stats, naive.entries.len(), cache.len(), naive.weight())
            );
            assert!(limits.weight.is_none_or(|most| cache.weight() <= most));
            assert!(cache.weights.add_up() && cache.order.adds_up(&cache.weights));
            assert!(cache.expiry.as_ref().is_none_or(|expiry| expiry.has_count(cache.len())));
        }
        let stats = cache.0.stats();
        assert_eq!(stats.inserted, stats.evicted + stats.expired + stats.removed + cache.0.len() as u64);
    }
}
