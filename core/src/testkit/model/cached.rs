//! The cache as a list of entries and a list of keys that left it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::{CacheLimits, Instant, Policy};

#[derive(Clone, Copy, Debug)]
struct Cached {
    key: u8,
    token: u32,
    value: u32,
    written: Instant,
    /// When it was last moved to the end of the queue that it is in.
    turn: u64,
    /// When it was last written, as a number.
    write: u64,
    /// Under S3-FIFO: uses that count, whether it is in the main queue, and, until it is judged there, whether it is so
    /// because its key came back.
    uses: u32,
    is_main: bool,
    on_trial: Option<bool>,
}

/// The cache as a list.
#[derive(Debug, Default)]
pub(super) struct CacheModel {
    entries: Vec<Cached>,
    /// Under S3-FIFO: the keys that left the small queue, the latest first, and gaps where one came back.
    ghosts: VecDeque<Option<u8>>,
    now: Instant,
    turns: u64,
    /// Under S3-FIFO: how much more speaks for steady popularity than against it.
    evidence: i64,
    /// Whether one was ever given up.
    has_given_up: bool,
    pub(super) is_closed: bool,
}

/// Key, its token, and the value's token.
pub(super) type Pair = (u8, u32, u32);

impl Cached {
    fn pair(&self) -> Pair {
        (self.key, self.token, self.value)
    }

    fn has_expired(&self, limits: &CacheLimits, now: Instant) -> bool {
        limits.ttl.is_some_and(|ttl| now.saturating_since(self.written) >= ttl)
    }

    /// It was read or overwritten.
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

    /// Its time is never behind the machine's.
    pub(super) fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Stores, and says what came out and why.
    pub(super) fn insert(
        &mut self,
        limits: &CacheLimits,
        now: Instant,
        (key, token, value): Pair,
    ) -> (&'static str, Option<Pair>) {
        self.tell(now);
        if self.is_closed || limits.entries == 0 {
            return ("Refused", Some((key, token, value)));
        }
        let (now, turn) = (self.now, self.next_turn());
        let mut new = Cached {
            key,
            token,
            value,
            written: now,
            turn,
            write: turn,
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

    /// Whether a new entry finds the small queue full, and the main queue is being filled for the first time.
    fn fills_main(&self, limits: &CacheLimits) -> bool {
        let small = self.entries.iter().filter(|entry| !entry.is_main).count();
        limits.policy == Policy::S3Fifo && !self.has_given_up && small >= self.small_places(limits)
    }

    fn small_places(&self, limits: &CacheLimits) -> usize {
        let places = limits.entries as usize;
        (if self.evidence > 0 { places * 7 / 100 } else { places / 10 }).max(1)
    }

    pub(super) fn get(&mut self, limits: &CacheLimits, now: Instant, key: u8, counted: bool) -> Option<u32> {
        let now = self.now.max(now);
        if counted {
            self.now = now;
        }
        let turn = self.next_turn();
        let found =
            self.entries.iter_mut().find(|entry| entry.key == key && !entry.has_expired(limits, now))?;
        if counted {
            found.used(limits.policy, turn);
        }
        Some(found.value)
    }

    pub(super) fn remove(&mut self, key: u8) -> Option<Pair> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at).pair())
    }

    /// The one that has been in its queue for longest, those of the main queue after all others.
    pub(super) fn pop(&mut self) -> Option<Pair> {
        let first = self.first(false).or_else(|| self.first(true))?;
        Some(self.entries.remove(first).pair())
    }

    pub(super) fn sweep(&mut self, limits: &CacheLimits, now: Instant) -> Option<Pair> {
        self.tell(now);
        let at = self.expired(limits)?;
        Some(self.entries.remove(at).pair())
    }

    pub(super) fn sweep_due(&self, limits: &CacheLimits, now: Instant) -> bool {
        self.entries.iter().any(|entry| entry.has_expired(limits, self.now.max(now)))
    }

    /// The one whose last write is the longest ago, if it has expired.
    fn expired(&self, limits: &CacheLimits) -> Option<usize> {
        let oldest = self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.write);
        oldest.filter(|(_, entry)| entry.has_expired(limits, self.now)).map(|(at, _)| at)
    }

    /// The one to give up. Without S3-FIFO nothing is used or in the main queue.
    fn victim(&mut self, limits: &CacheLimits) -> Option<usize> {
        self.has_given_up = true;
        let (places, small) = (limits.entries as usize, self.small_places(limits));
        let (promoting, most) = if self.evidence > 0 { (1, 15) } else { (2, 3) };
        for passed in 0.. {
            let main = self.entries.iter().filter(|entry| entry.is_main).count();
            let from_main = main > places - small || main == self.entries.len();
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

/// Scripts have caches so small that the evidence begins at zero.
fn most_evidence(limits: &CacheLimits) -> i64 {
    debug_assert!(limits.entries < 16);
    i64::from(limits.entries / 4) + 64
}
