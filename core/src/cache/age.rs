//! When the entries of a cache with a time to live were written.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Instant;
use crate::list::ListWithLinks;

/// The times of the last writes, under the indices of the entries, and their order. The time to live is the same for
/// all, so the first expires first. Each call is O(1).
#[derive(Debug)]
pub(super) struct Ages {
    ttl: Duration,
    /// The latest time that was told.
    now: Instant,
    written: Vec<Instant>,
    order: ListWithLinks,
}

impl Ages {
    /// Allocates [`Ages::bytes`].
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

    /// Moves the clock on, never back.
    pub(super) fn tell(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Whether the entry at `index` has expired by now, or by `now` if that is later.
    pub(super) fn has_expired(&self, index: u32, now: Instant) -> bool {
        let written = self.written.get(index as usize);
        written.is_some_and(|&written| self.now.max(now).saturating_since(written) >= self.ttl)
    }

    /// The entry whose last write is the longest ago, if it has expired by now, or by `now` if that is later.
    pub(super) fn expired(&self, now: Instant) -> Option<u32> {
        self.order.front().filter(|&index| self.has_expired(index, now))
    }

    /// An entry was added at `index`.
    pub(super) fn added(&mut self, index: u32) {
        if let Some(written) = self.written.get_mut(index as usize) {
            *written = self.now;
        }
        self.order.push_back(index);
    }

    /// The entry at `index` was written anew.
    pub(super) fn rewritten(&mut self, index: u32) {
        self.order.remove(index);
        self.added(index);
    }

    /// The entry at `index` is taken out.
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
