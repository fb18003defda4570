//! The ages of the entries of a cache with a time to live.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Instant;
use crate::list::ListWithLinks;

/// The times of the last writes, by the indices of the entries, and their order. All entries have the same time to
/// live, so the one written first expires first. Every call is O(1).
#[derive(Debug)]
pub(super) struct Ages {
    ttl: Duration,
    /// The latest instant that the caller has passed.
    now: Instant,
    written: Vec<Instant>,
    order: ListWithLinks,
}

impl Ages {
    /// Ages for `entries` entries. Allocates [`Ages::bytes`], O(entries).
    pub(super) fn new(ttl: Duration, entries: u32) -> Self {
        Self {
            ttl,
            now: Instant::ZERO,
            written: vec![Instant::ZERO; entries as usize],
            order: ListWithLinks::new(entries),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(entries: u32) -> usize {
        (entries as usize).saturating_mul(size_of::<Instant>()).saturating_add(ListWithLinks::bytes(entries))
    }

    /// Advances the time to `now`, never back.
    pub(super) fn observe_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Whether the entry at `index` has expired at the later of `now` and the latest instant so far.
    pub(super) fn has_expired(&self, index: u32, now: Instant) -> bool {
        let written = self.written.get(index as usize);
        written.is_some_and(|&written| self.now.max(now).saturating_since(written) >= self.ttl)
    }

    /// The entry with the oldest write, if it has expired at the later of `now` and the latest instant so far.
    pub(super) fn expired(&self, now: Instant) -> Option<u32> {
        self.order.front().filter(|&index| self.has_expired(index, now))
    }

    /// Notes that an entry was added at `index`.
    pub(super) fn added(&mut self, index: u32) {
        if let Some(written) = self.written.get_mut(index as usize) {
            *written = self.now;
        }
        self.order.push_back(index);
    }

    /// Notes that the entry at `index` was overwritten or replaced.
    pub(super) fn rewritten(&mut self, index: u32) {
        self.order.remove(index);
        self.added(index);
    }

    /// Notes that the entry at `index` is removed.
    pub(super) fn removed(&mut self, index: u32) {
        self.order.remove(index);
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.written.capacity() * size_of::<Instant>() + self.order.allocated()
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.order.iter().count()
    }
}
