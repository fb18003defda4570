//! What the model keeps beside tasks: those in line, sources, subscribers, the cache.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::{Event, Fed, Instant, Next, SourceId, SubscriberId, WaiterId};

/// Somebody who waits for room.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: WaiterId,
    pub(super) waiter: Option<u32>,
    /// Was woken, and holds a permit.
    pub(super) granted: bool,
}

#[derive(Debug)]
pub(super) struct SourceModel {
    pub(super) id: SourceId,
    pub(super) guard: [u32; 3],
    pub(super) fed: Fed,
}

#[derive(Debug)]
struct Subscriber {
    id: SubscriberId,
    /// How many of all events it has read or missed.
    read: u64,
    waiter: Option<u32>,
}

/// Events and who reads them.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// The last events, no more than fit.
    events: VecDeque<Event<u32>>,
    published: u64,
    subscribers: Vec<Subscriber>,
    /// Those who wait, in the order in which they began to.
    waiting: VecDeque<SubscriberId>,
    to_wake: VecDeque<SubscriberId>,
}

impl Ring {
    pub(super) fn has_subscribers(&self) -> bool {
        !self.subscribers.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    pub(super) fn publish(&mut self, event: Event<u32>, most: u32) {
        self.events.push_back(event);
        if self.events.len() > most as usize {
            self.events.pop_front();
        }
        self.published += 1;
        self.to_wake.append(&mut self.waiting);
    }

    pub(super) fn subscribe(&mut self, id: SubscriberId) {
        self.subscribers.push(Subscriber { id, read: self.published, waiter: None });
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriberId) -> Option<Option<u32>> {
        let waiter = self.get(id)?.waiter;
        self.stop_waiting(id);
        self.subscribers.retain(|subscriber| subscriber.id != id);
        Some(waiter)
    }

    pub(super) fn next(&mut self, id: SubscriberId) -> Option<Next<Event<u32>>> {
        let oldest = self.published - self.events.len() as u64;
        let (published, events) = (self.published, &self.events);
        let subscriber = self.subscribers.iter_mut().find(|subscriber| subscriber.id == id)?;
        if subscriber.read < oldest {
            let missed = oldest - subscriber.read;
            subscriber.read = oldest;
            return Some(Next::Lagged(missed));
        }
        if subscriber.read == published {
            return Some(Next::Empty);
        }
        let event = events.get((subscriber.read - oldest) as usize)?;
        subscriber.read += 1;
        Some(Next::Event(*event))
    }

    pub(super) fn wait(&mut self, id: SubscriberId, waiter: u32) -> Result<Option<u32>, u32> {
        let Some(subscriber) = self.get(id) else { return Err(waiter) };
        let old = subscriber.waiter.replace(waiter);
        let read = subscriber.read;
        self.stop_waiting(id);
        let list = if read < self.published { &mut self.to_wake } else { &mut self.waiting };
        list.push_back(id);
        Ok(old)
    }

    pub(super) fn has_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }

    pub(super) fn wake(&mut self) -> Option<u32> {
        let id = self.to_wake.pop_front()?;
        self.get(id)?.waiter.take()
    }

    /// Takes any one out, those to be woken first, then those who wait: the waiter.
    pub(super) fn remove_any(&mut self) -> Option<Option<u32>> {
        let first = self.to_wake.front().or_else(|| self.waiting.front()).copied();
        let id = first.or_else(|| self.subscribers.first().map(|subscriber| subscriber.id))?;
        self.unsubscribe(id)
    }

    fn stop_waiting(&mut self, id: SubscriberId) {
        self.waiting.retain(|&other| other != id);
        self.to_wake.retain(|&other| other != id);
    }

    fn get(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers.iter_mut().find(|subscriber| subscriber.id == id)
    }
}

#[derive(Clone, Copy, Debug)]
struct Cached {
    key: u8,
    token: u32,
    value: u32,
    written: Instant,
    /// When it was last moved to the end of the order in which entries are given up.
    turn: u64,
    /// When it was last written, as a number.
    write: u64,
}

/// The cache as a list.
#[derive(Debug, Default)]
pub(super) struct CacheModel {
    entries: Vec<Cached>,
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

    fn has_expired(&self, limits: &crate::CacheLimits, now: Instant) -> bool {
        limits.ttl.is_some_and(|ttl| now.saturating_since(self.written) >= ttl)
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
        limits: &crate::CacheLimits,
        now: Instant,
        (key, token, value): Pair,
    ) -> (&'static str, Option<Pair>) {
        if self.is_closed || limits.entries == 0 {
            self.now = self.now.max(now);
            return ("Refused", Some((key, token, value)));
        }
        self.now = self.now.max(now);
        self.turns += 1;
        let (now, turn) = (self.now, self.turns);
        let new = Cached { key, token, value, written: now, turn, write: turn };
        if let Some(at) = self.entries.iter().position(|entry| entry.key == key) {
            let old = self.entries.remove(at);
            let has_expired = old.has_expired(limits, now);
            let keeps_turn = !has_expired && limits.policy == crate::Policy::Fifo;
            self.entries.push(Cached { turn: if keeps_turn { old.turn } else { turn }, ..new });
            return (if has_expired { "Expired" } else { "Replaced" }, Some(old.pair()));
        }
        let out = if self.entries.len() < limits.entries as usize {
            ("New", None)
        } else if let Some(at) = self.expired(limits) {
            ("Expired", Some(self.entries.remove(at).pair()))
        } else {
            let victim =
                self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.turn).map(|(at, _)| at);
            ("Evicted", victim.map(|at| self.entries.remove(at).pair()))
        };
        self.entries.push(new);
        out
    }

    pub(super) fn get(
        &mut self,
        limits: &crate::CacheLimits,
        now: Instant,
        key: u8,
        counted: bool,
    ) -> Option<u32> {
        let now = self.now.max(now);
        if counted {
            self.now = now;
            self.turns += 1;
        }
        let turn = self.turns;
        let found =
            self.entries.iter_mut().find(|entry| entry.key == key && !entry.has_expired(limits, now))?;
        if counted && limits.policy == crate::Policy::Lru {
            found.turn = turn;
        }
        Some(found.value)
    }

    pub(super) fn remove(&mut self, key: u8) -> Option<Pair> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at).pair())
    }

    /// The one whose last write is the longest ago.
    pub(super) fn pop(&mut self) -> Option<Pair> {
        let oldest = self.oldest()?;
        Some(self.entries.remove(oldest).pair())
    }

    pub(super) fn sweep(&mut self, limits: &crate::CacheLimits, now: Instant) -> Option<Pair> {
        self.now = self.now.max(now);
        let at = self.expired(limits)?;
        Some(self.entries.remove(at).pair())
    }

    pub(super) fn sweep_due(&self, limits: &crate::CacheLimits, now: Instant) -> bool {
        self.entries.iter().any(|entry| entry.has_expired(limits, self.now.max(now)))
    }

    fn oldest(&self) -> Option<usize> {
        self.entries.iter().enumerate().min_by_key(|(_, entry)| entry.write).map(|(at, _)| at)
    }

    fn expired(&self, limits: &crate::CacheLimits) -> Option<usize> {
        self.oldest()
            .filter(|&at| self.entries.get(at).is_some_and(|entry| entry.has_expired(limits, self.now)))
    }
}
