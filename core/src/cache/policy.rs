//! Which entry makes room for the next one.

use super::entry::ORDER;
use crate::ids::Id;
use crate::list::{Linked, List};
use crate::slots::Slots;

/// Which entry a full [`Cache`](super::Cache) gives up for a new one. Expired entries go before any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// First in, first out: the key that was inserted first. A read or an overwrite changes nothing.
    #[default]
    Fifo,
    /// Least recently used: the key whose last read, insert or overwrite is the longest ago.
    Lru,
}

/// A policy at work: told of everything that happens to an entry, asked for a victim. Each call is O(1).
///
/// A further policy is a further variant with what it keeps; the cache only knows these five methods.
#[derive(Debug)]
pub(super) enum Order {
    Fifo(List<ORDER>),
    Lru(List<ORDER>),
}

impl Order {
    pub(super) const fn new(policy: Policy) -> Self {
        match policy {
            Policy::Fifo => Self::Fifo(List::new()),
            Policy::Lru => Self::Lru(List::new()),
        }
    }

    /// The entry at `index` is new.
    pub(super) fn inserted<I: Id, T: Linked<ORDER>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        match self {
            Self::Fifo(list) | Self::Lru(list) => list.push_back(slots, index),
        }
    }

    /// The entry at `index` was read.
    pub(super) fn hit<I: Id, T: Linked<ORDER>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        match self {
            Self::Fifo(_) => {}
            Self::Lru(list) => {
                list.remove(slots, index);
                list.push_back(slots, index);
            }
        }
    }

    /// The entry at `index` has a new value.
    pub(super) fn overwritten<I: Id, T: Linked<ORDER>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        match self {
            Self::Fifo(_) => {}
            Self::Lru(_) => self.hit(slots, index),
        }
    }

    /// The entry at `index` is about to go, for whatever reason.
    pub(super) fn removed<I: Id, T: Linked<ORDER>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        match self {
            Self::Fifo(list) | Self::Lru(list) => list.remove(slots, index),
        }
    }

    /// The entry to give up next; it stays until [`removed`](Self::removed) is called for it. `&mut`, because a policy
    /// may reorder its entries while it looks for one.
    pub(super) fn victim(&mut self) -> Option<u32> {
        match self {
            Self::Fifo(list) | Self::Lru(list) => list.front(),
        }
    }
}
