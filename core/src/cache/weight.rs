//! The weights of the entries of a cache.

use alloc::vec;
use alloc::vec::Vec;

use super::CacheLimits;

/// The weights of the entries, by their indices, and their sum, which is never above the limit. Without a limit none is
/// kept.
#[derive(Debug)]
pub(super) struct Weights {
    limit: Option<u64>,
    total: u64,
    highest: u64,
    /// 0 for a place without an entry. Empty without a limit.
    of: Vec<u64>,
}

/// Whether an entry can be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Fits,
    /// The other entries leave too little.
    NoRoom,
    /// It alone is heavier than the limit.
    TooHeavy,
}

impl Weights {
    /// Allocates [`Weights::bytes`], O(entries).
    pub(super) fn new(limits: &CacheLimits) -> Self {
        let of = vec![0; Self::kept(limits)];
        Self { limit: limits.weight, total: 0, highest: 0, of }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(limits: &CacheLimits) -> usize {
        Self::kept(limits).saturating_mul(size_of::<u64>())
    }

    /// How many weights are kept.
    const fn kept(limits: &CacheLimits) -> usize {
        if limits.weight.is_some() { limits.entries as usize } else { 0 }
    }

    /// Whether an entry of this weight can be inserted, beside the entries or in the place of the one at `replaced`.
    #[inline]
    pub(super) fn fit(&self, weight: u64, replaced: Option<u32>) -> Fit {
        let Some(limit) = self.limit else { return Fit::Fits };
        let others = self.total.saturating_sub(replaced.map_or(0, |index| self.of(index)));
        if weight > limit {
            Fit::TooHeavy
        } else if weight > limit.saturating_sub(others) {
            Fit::NoRoom
        } else {
            Fit::Fits
        }
    }

    /// The weight of the entry at `index`; 0 if weights are not kept.
    #[inline]
    pub(super) fn of(&self, index: u32) -> u64 {
        self.of.get(index as usize).copied().unwrap_or(0)
    }

    /// Notes that the entry at `index` weighs this much from now on; 0 if it is removed. Returns what it weighed before;
    /// `None` if weights are not kept.
    #[inline]
    pub(super) fn set(&mut self, index: u32, weight: u64) -> Option<u64> {
        let of = self.of.get_mut(index as usize)?;
        let old = core::mem::replace(of, weight);
        self.total = self.total.saturating_sub(old).saturating_add(weight);
        self.highest = self.highest.max(self.total);
        Some(old)
    }

    /// The sum of the weights, and the highest that it ever was; `None` if weights are not kept.
    pub(super) fn total_and_highest(&self) -> Option<(u64, u64)> {
        self.limit.map(|_| (self.total, self.highest))
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.of.capacity() * size_of::<u64>()
    }

    /// Whether the sum is that of the weights.
    #[cfg(test)]
    pub(super) fn add_up(&self) -> bool {
        self.total == self.of.iter().sum()
    }
}
