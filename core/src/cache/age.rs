//! When the entries of a cache expire.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::CacheLimits;
use crate::Instant;
use crate::list::ListWithLinks;

/// The ages of the entries since their last write, since their last use, or both. An entry has expired when one of them
/// has reached its limit. Every call is O(1).
#[derive(Debug)]
pub(super) struct Expiry {
    /// The latest instant that the caller has passed.
    now: Instant,
    written: Ages,
    used: Ages,
}

impl Expiry {
    /// Allocates [`Expiry::bytes`], O(entries). `None` if entries never expire.
    pub(super) fn new(limits: &CacheLimits) -> Option<Self> {
        let ages = |limit| Ages::new(nanos(limit), limits.entries);
        let new = || Self { now: Instant::ZERO, written: ages(limits.ttl), used: ages(limits.time_to_idle) };
        (Self::kinds(limits) > 0).then(new)
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(limits: &CacheLimits) -> usize {
        Ages::bytes(limits.entries).saturating_mul(Self::kinds(limits))
    }

    /// How many of the two ages have a limit.
    const fn kinds(limits: &CacheLimits) -> usize {
        nanos(limits.ttl).is_some() as usize + nanos(limits.time_to_idle).is_some() as usize
    }

    /// Advances the time to `now`, never back.
    pub(super) fn observe_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Whether the entry at `index` has expired at the later of `now` and the latest instant so far.
    pub(super) fn has_expired(&self, index: u32, now: Instant) -> bool {
        let now = self.now.max(now);
        self.written.is_over(index, now) || self.used.is_over(index, now)
    }

    /// The entry with the oldest write, or else the one with the oldest use, if that has expired at the later of `now`
    /// and the latest instant so far.
    pub(super) fn expired(&self, now: Instant) -> Option<u32> {
        let now = self.now.max(now);
        self.written.first_over(now).or_else(|| self.used.first_over(now))
    }

    /// Notes that an entry was added at `index`.
    pub(super) fn added(&mut self, index: u32) {
        self.written.start(index, self.now);
        self.used.start(index, self.now);
    }

    /// Notes that the entry at `index` was overwritten or replaced.
    #[inline]
    pub(super) fn rewritten(&mut self, index: u32) {
        self.written.restart(index, self.now);
        self.used.restart(index, self.now);
    }

    /// Whether the entry at `index` can still be read, at the latest instant so far. Then this counts as its use.
    pub(super) fn read(&mut self, index: u32) -> bool {
        let is_live = !self.has_expired(index, self.now);
        if is_live {
            self.used.restart(index, self.now);
        }
        is_live
    }

    /// Notes that the entry at `index` is removed.
    pub(super) fn removed(&mut self, index: u32) {
        self.written.end(index);
        self.used.end(index);
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let of = |ages: &Ages| ages.since.capacity() * size_of::<Instant>() + ages.order.allocated();
        of(&self.written) + of(&self.used)
    }

    /// Whether each order that is kept has this many entries.
    #[cfg(test)]
    pub(super) fn has_count(&self, count: usize) -> bool {
        [&self.written, &self.used]
            .iter()
            .all(|ages| ages.since.is_empty() || ages.order.iter().count() == count)
    }
}

/// The instants from which one age of the entries counts, by their indices, and their order. The limit is the same for
/// all entries, so the first in the order expires first. Without a limit both are empty, and every call does nothing.
#[derive(Debug)]
struct Ages {
    /// In nanoseconds.
    limit: u64,
    since: Vec<Instant>,
    order: ListWithLinks,
}

impl Ages {
    /// Ages for `entries` entries. With a limit, allocates [`Ages::bytes`], O(entries).
    fn new(limit: Option<u64>, entries: u32) -> Self {
        let entries = if limit.is_some() { entries } else { 0 };
        let (since, order) = (vec![Instant::ZERO; entries as usize], ListWithLinks::new(entries));
        Self { limit: limit.unwrap_or(0), since, order }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    const fn bytes(entries: u32) -> usize {
        (entries as usize).saturating_mul(size_of::<Instant>()).saturating_add(ListWithLinks::bytes(entries))
    }

    fn is_over(&self, index: u32, now: Instant) -> bool {
        let since = self.since.get(index as usize);
        since.is_some_and(|since| now.as_nanos().saturating_sub(since.as_nanos()) >= self.limit)
    }

    /// The entry with the greatest age, if that is over.
    fn first_over(&self, now: Instant) -> Option<u32> {
        self.order.front().filter(|&index| self.is_over(index, now))
    }

    #[inline]
    fn start(&mut self, index: u32, now: Instant) {
        if let Some(since) = self.since.get_mut(index as usize) {
            *since = now;
            self.order.push_back(index);
        }
    }

    fn end(&mut self, index: u32) {
        if !self.since.is_empty() {
            self.order.remove(index);
        }
    }

    #[inline]
    fn restart(&mut self, index: u32, now: Instant) {
        if let Some(since) = self.since.get_mut(index as usize) {
            *since = now;
            self.order.remove(index);
            self.order.push_back(index);
        }
    }
}

/// A limit in nanoseconds. `None` if no age ever reaches it.
const fn nanos(limit: Option<Duration>) -> Option<u64> {
    match limit {
        Some(limit) if limit.as_nanos() <= u64::MAX as u128 => Some(limit.as_nanos() as u64),
        _ => None,
    }
}
