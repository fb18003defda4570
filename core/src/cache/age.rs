//! When the entries of a cache with a time to live were written.

use alloc::vec::Vec;
use core::time::Duration;

use super::chain::{Chain, Links, put};
use crate::Instant;

/// The times of the last writes, under the indices of the entries, and their order. The time to live is the same for
/// all, so the first expires first. Each call is O(1).
#[derive(Debug)]
pub(super) struct Ages {
    ttl: Duration,
    /// The latest time that was told.
    now: Instant,
    written: Vec<Instant>,
    links: Vec<Links>,
    order: Chain,
}

impl Ages {
    /// Allocates [`Ages::bytes`].
    pub(super) fn new(ttl: Duration, entries: u32) -> Self {
        Self {
            ttl,
            now: Instant::ZERO,
            written: Vec::with_capacity(entries as usize),
            links: Vec::with_capacity(entries as usize),
            order: Chain::new(),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(entries: u32) -> usize {
        (entries as usize).saturating_mul(size_of::<Instant>() + size_of::<Links>())
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
        put(&mut self.written, index, self.now);
        put(&mut self.links, index, Links::NONE);
        self.order.push_back(&mut self.links, index);
    }

    /// The entry at `index` was written anew.
    pub(super) fn rewritten(&mut self, index: u32) {
        if let Some(written) = self.written.get_mut(index as usize) {
            *written = self.now;
        }
        self.order.move_to_back(&mut self.links, index);
    }

    /// The entry at `index` is taken out.
    pub(super) fn removed(&mut self, index: u32) {
        self.order.remove(&mut self.links, index);
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.written.capacity() * size_of::<Instant>() + self.links.capacity() * size_of::<Links>()
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.order.iter(&self.links).count()
    }
}
