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
    /// Under S3-FIFO: uses that count, and whether it is in the main queue.
    uses: u32,
    is_main: bool,
}

/// The cache as a list.
#[derive(Debug, Default)]
pub(super) struct CacheModel {
    entries: Vec<Cached>,
    /// Under S3-FIFO: the keys that left the small queue, the latest first, and gaps where one came back.
    ghosts: VecDeque<Option<u8>>,
    now: Instant,
    turns: u64,
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
            Policy::S3Fifo => self.uses = (self.uses + 1).min(3),
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
        let mut new = Cached { key, token, value, written: now, turn, write: turn, uses: 0, is_main: false };
        if let Some(at) = self.entries.iter().position(|entry| entry.key == key) {
            let old = self.entries.remove(at);
            let how = if old.has_expired(limits, now) {
                "Expired"
            } else {
                (new.turn, new.uses, new.is_main) = (old.turn, old.uses, old.is_main);
                new.used(limits.policy, turn);
                "Replaced"
            };
            self.entries.push(new);
            return (how, Some(old.pair()));
        }
        if let Some(ghost) = self.ghosts.iter_mut().find(|ghost| **ghost == Some(key)) {
            *ghost = None;
            new.is_main = true;
        }
        let out = if self.entries.len() < limits.entries as usize {
            ("New", None)
        } else if let Some(at) = self.expired(limits) {
            ("Expired", Some(self.entries.remove(at).pair()))
        } else {
            let victim = self.victim(limits);
            ("Evicted", victim.map(|at| self.entries.remove(at).pair()))
        };
        new.turn = self.next_turn();
        self.entries.push(new);
        out
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
        let places = limits.entries as usize;
        let main_places = places - (places / 10).max(1);
        for passed in 0.. {
            let main = self.entries.iter().filter(|entry| entry.is_main).count();
            let from_main = main > main_places || main == self.entries.len();
            let at = self.first(from_main)?;
            let (turn, entry) = (self.next_turn(), self.entries.get_mut(at)?);
            if entry.uses < if from_main { 1 } else { 2 } || passed == Policy::MOST_PASSED {
                if limits.policy == Policy::S3Fifo && !from_main {
                    self.ghosts.push_front(Some(entry.key));
                    self.ghosts.truncate(places * 9 / 10);
                }
                return Some(at);
            }
            entry.uses = if from_main { entry.uses - 1 } else { 0 };
            (entry.is_main, entry.turn) = (true, turn);
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
