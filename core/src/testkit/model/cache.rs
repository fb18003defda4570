//! The model of the cache: a list of entries, and a list of evicted keys.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::Model;
use crate::testkit::calls::cache::{Answer, Call, Pair};
use crate::{CacheLimits, Instant, Policy};

#[derive(Clone, Copy, Debug)]
struct Cached {
    key: u8,
    token: u32,
    value: u32,
    weight: u64,
    written: Instant,
    used: Instant,
    /// The turn at which the entry was last moved to the end of its queue.
    turn: u64,
    /// The turn of the last write.
    write: u64,
    /// The turn of the last write or counted read.
    last_use: u64,
    /// S3-FIFO: the uses that count.
    uses: u32,
    /// S3-FIFO: whether the entry is in the main queue.
    is_main: bool,
    /// S3-FIFO: until the entry is judged in the main queue, whether it is there because its key came back.
    on_trial: Option<bool>,
}

/// The model of the cache.
#[derive(Debug, Default)]
pub(super) struct CacheModel {
    entries: Vec<Cached>,
    /// S3-FIFO: the keys evicted from the small queue, the latest first, with gaps for the keys that came back.
    ghosts: VecDeque<Option<u8>>,
    now: Instant,
    turns: u64,
    /// S3-FIFO: the evidence for steady popularity, which is assumed while this is above 0.
    evidence: i64,
    /// Whether an entry was ever evicted.
    has_evicted: bool,
    pub(super) is_closed: bool,
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        let (cache, limits) = (&mut model.cache, &model.limits.cache);
        cache.observe_time(model.now);
        match *self {
            Self::Insert { now, key, token, value, weight } => {
                let (how, out) = cache.insert(limits, now, (key, token, value), weight.into());
                Answer::Inserted(how, out)
            }
            Self::MakeRoom { now, key, weight } => {
                Answer::Removed(cache.make_room(limits, now, key, weight.into()))
            }
            Self::Get { now, key, counted } => Answer::Value(cache.get(limits, now, key, counted)),
            Self::Remove { key } => Answer::Removed(cache.remove(key)),
            Self::Pop => Answer::Removed(cache.pop()),
        }
    }
}

impl Cached {
    fn pair(&self) -> Pair {
        (self.key, self.token, self.value)
    }

    fn has_expired(&self, limits: &CacheLimits, now: Instant) -> bool {
        self.has_aged(limits, now) || self.is_idle(limits, now)
    }

    fn has_aged(&self, limits: &CacheLimits, now: Instant) -> bool {
        limits.ttl.is_some_and(|ttl| now.saturating_since(self.written) >= ttl)
    }

    fn is_idle(&self, limits: &CacheLimits, now: Instant) -> bool {
        limits.time_to_idle.is_some_and(|idle| now.saturating_since(self.used) >= idle)
    }

    /// Notes that the entry was read or overwritten.
    fn used(&mut self, policy: Policy, turn: u64) {
        match policy {
            Policy::Fifo => {}
            Policy::Lru => self.turn = turn,
            Policy::S3Fifo => self.uses = (self.uses + 1).min(15),
        }
    }
}

impl CacheModel {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Advances the time of the cache to `now`, never back.
    fn observe_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Inserts an entry. Returns the name of the result, and the pair that came out.
    fn insert(
        &mut self,
        limits: &CacheLimits,
        now: Instant,
        (key, token, value): Pair,
        weight: u64,
    ) -> (&'static str, Option<Pair>) {
        self.observe_time(now);
        if self.is_closed || limits.entries == 0 {
            return ("Refused", Some((key, token, value)));
        }
        if let Some(obstacle) = self.obstacle(limits, key, weight) {
            return (obstacle, Some((key, token, value)));
        }
        let (now, turn) = (self.now, self.next_turn());
        let mut new = Cached {
            key,
            token,
            value,
            weight,
            written: now,
            used: now,
            turn,
            write: turn,
            last_use: turn,
            uses: 0,
            is_main: false,
            on_trial: None,
        };
        if let Some(at) = self.entries.iter().position(|entry| entry.key == key) {
            let old = self.entries.remove(at);
            let how = if old.has_expired(limits, now) {
                new.is_main = self.fills_main(limits);
                "Expired"
            } else {
                (new.turn, new.uses) = (old.turn, old.uses);
                (new.is_main, new.on_trial) = (old.is_main, old.on_trial);
                new.used(limits.policy, turn);
                "Replaced"
            };
            self.entries.push(new);
            return (how, Some(old.pair()));
        }
        if let Some(age) = self.ghosts.iter().position(|&ghost| ghost == Some(key)) {
            self.ghosts.iter_mut().filter(|ghost| **ghost == Some(key)).for_each(|ghost| *ghost = None);
            let window = limits.entries as usize * 9 / 10;
            new.is_main = self.evidence <= most_evidence(limits) / 2 || age < window / 3;
            new.on_trial = new.is_main.then_some(true);
        }
        let out = if self.entries.len() < limits.entries as usize {
            ("New", None)
        } else if let Some(at) = self.expired(limits) {
            ("Expired", Some(self.entries.remove(at).pair()))
        } else {
            let victim = self.victim(limits);
            ("Evicted", victim.map(|at| self.entries.remove(at).pair()))
        };
        new.is_main |= self.fills_main(limits);
        new.turn = self.next_turn();
        self.entries.push(new);
        out
    }

    /// Why an entry of this weight cannot be inserted now.
    fn obstacle(&self, limits: &CacheLimits, key: u8, weight: u64) -> Option<&'static str> {
        let limit = limits.weight?;
        let others = self.entries.iter().filter(|entry| entry.key != key).map(|entry| entry.weight);
        match others.sum::<u64>() + weight > limit {
            _ if weight > limit => Some("TooHeavy"),
            true => Some("NoRoom"),
            false => None,
        }
    }

    /// Removes an entry that is in the way of an insert. The entry of the same key is spared, and moves to the end of
    /// its queue.
    fn make_room(&mut self, limits: &CacheLimits, now: Instant, key: u8, weight: u64) -> Option<Pair> {
        self.observe_time(now);
        if self.is_closed || self.obstacle(limits, key, weight) != Some("NoRoom") {
            return None;
        }
        if let Some(at) = self.expired(limits) {
            return Some(self.entries.remove(at).pair());
        }
        let own = self.entries.iter().position(|entry| entry.key == key).map(|at| self.entries.remove(at));
        let evicted = self.victim(limits).map(|at| self.entries.remove(at).pair());
        let turn = self.next_turn();
        self.entries.extend(own.map(|own| Cached { turn, ..own }));
        evicted
    }

    /// Whether a new entry enters the main queue because the small queue is full and nothing was evicted so far.
    fn fills_main(&self, limits: &CacheLimits) -> bool {
        let small = self.entries.iter().filter(|entry| !entry.is_main).count();
        limits.policy == Policy::S3Fifo && !self.has_evicted && small >= self.small_places(limits)
    }

    fn small_places(&self, limits: &CacheLimits) -> usize {
        let places = limits.entries as usize;
        (if self.evidence > 0 { places * 7 / 100 } else { places / 10 }).max(1)
    }

    fn get(&mut self, limits: &CacheLimits, now: Instant, key: u8, counted: bool) -> Option<u32> {
        let now = self.now.max(now);
        if counted {
            self.now = now;
        }
        let turn = self.next_turn();
        let found =
            self.entries.iter_mut().find(|entry| entry.key == key && !entry.has_expired(limits, now))?;
        if counted {
            (found.used, found.last_use) = (now, turn);
            found.used(limits.policy, turn);
        }
        Some(found.value)
    }

    fn remove(&mut self, key: u8) -> Option<Pair> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at).pair())
    }

    /// Removes the entry that has been in the small queue for longest, or else in the main queue.
    pub(super) fn pop(&mut self) -> Option<Pair> {
        let first = self.first(false).or_else(|| self.first(true))?;
        Some(self.entries.remove(first).pair())
    }

    pub(super) fn sweep(&mut self, limits: &CacheLimits, now: Instant) -> Option<Pair> {
        self.observe_time(now);
        let at = self.expired(limits)?;
        Some(self.entries.remove(at).pair())
    }

    pub(super) fn sweep_due(&self, limits: &CacheLimits, now: Instant) -> bool {
        self.entries.iter().any(|entry| entry.has_expired(limits, self.now.max(now)))
    }

    /// The entry with the oldest write, if that has expired, or else the one with the oldest use.
    fn expired(&self, limits: &CacheLimits) -> Option<usize> {
        let all = || self.entries.iter().enumerate();
        let written = all().min_by_key(|(_, entry)| entry.write);
        let used = all().min_by_key(|(_, entry)| entry.last_use);
        let written = written.filter(|(_, entry)| entry.has_aged(limits, self.now));
        written.or(used.filter(|(_, entry)| entry.is_idle(limits, self.now))).map(|(at, _)| at)
    }

    /// The entry to evict. Without S3-FIFO no entry has uses or is in the main queue.
    fn victim(&mut self, limits: &CacheLimits) -> Option<usize> {
        self.has_evicted = true;
        let (places, small) = (limits.entries as usize, self.small_places(limits));
        let (promoting, most, hundredths) = if self.evidence > 0 { (1, 15, 7) } else { (2, 3, 10) };
        let most_weight =
            limits.weight.map_or(u64::MAX, |all| all - all.min((all * hundredths / 100).max(1)));
        for passed in 0.. {
            let in_main = || self.entries.iter().filter(|entry| entry.is_main);
            let (main, weight) = (in_main().count(), in_main().map(|entry| entry.weight).sum::<u64>());
            let from_main = main > places - small || weight > most_weight || main == self.entries.len();
            let at = self.first(from_main)?;
            let (turn, entry) = (self.next_turn(), self.entries.get_mut(at)?);
            let is_used = entry.uses > 0;
            let stays = entry.uses >= if from_main { 1 } else { promoting } && passed < Policy::MOST_PASSED;
            let judged = entry.on_trial.take().map(|came_back| came_back != is_used);
            if stays {
                entry.uses = if from_main { entry.uses.min(most) - 1 } else { 0 };
                entry.on_trial = if from_main { None } else { Some(false) };
                (entry.is_main, entry.turn) = (true, turn);
            } else if limits.policy == Policy::S3Fifo && !from_main {
                self.ghosts.push_front(Some(entry.key));
                self.ghosts.truncate(places * 9 / 10);
            }
            self.evidence = match judged {
                None => self.evidence,
                Some(true) => most_evidence(limits).min(self.evidence + 1),
                Some(false) if self.evidence > 0 => self.evidence - 1,
                Some(false) => (-most_evidence(limits)).max(self.evidence - 3),
            };
            if !stays {
                return Some(at);
            }
        }
        None
    }

    fn first(&self, of_main: bool) -> Option<usize> {
        let of_queue = self.entries.iter().enumerate().filter(|(_, entry)| entry.is_main == of_main);
        of_queue.min_by_key(|(_, entry)| entry.turn).map(|(at, _)| at)
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }
}

/// The bound of the evidence. The caches of scripts are so small that the evidence begins at 0.
fn most_evidence(limits: &CacheLimits) -> i64 {
    debug_assert!(limits.entries < 16);
    i64::from(limits.entries / 4) + 64
}
