//! Which entry makes room for the next one.

use super::s3fifo::{MOST_PASSED, S3Fifo};
use crate::list::{Links, List};

/// Which entry a full [`Cache`](super::Cache) gives up for a new one. Expired entries go before any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// First in, first out: the key that was inserted first. A read or an overwrite changes nothing.
    #[default]
    Fifo,
    /// Least recently used: the key whose last read, insert or overwrite is the longest ago.
    Lru,
    /// Three FIFO queues, of which a new key enters the small one and is soon given up unless it is used there (Yang,
    /// Zhang, Qiu, Yue and Vinayak, "FIFO queues are all you need for cache eviction", SOSP '23): a far better hit
    /// ratio than the other two where many keys are asked for once, and reads are as cheap as with FIFO.
    ///
    /// A tenth of the places are the small queue's, as long as the main queue has filled the others; as long as nothing was
    /// given up, what finds no place there fills the main queue. The first entry of the small queue
    /// moves on to the main queue if it was read or overwritten twice, and otherwise leaves; about as many of those
    /// keys as nine tenths of the places are remembered by a fingerprint, and enter the main queue when they come
    /// back. There the first leaves unless it was used, which takes it to the end again, up to three times. Where
    /// that lets in the wrong ones, because some keys are always asked for more than others, it notices: then seven
    /// hundredths are the small queue's, one use there is enough, up to 15 count in the main queue, and only a third
    /// of the fingerprints do. One insert passes over at most [`MOST_PASSED`](Policy::MOST_PASSED) entries, and gives
    /// up the next whether it was used or not.
    ///
    /// It takes up to 6 bytes more for each place.
    S3Fifo,
}

impl Policy {
    /// The most entries that one insert under [`Policy::S3Fifo`] passes over.
    pub const MOST_PASSED: u32 = MOST_PASSED;
}

/// A policy at work: told of everything that happens to an entry, asked for a victim.
///
/// A further policy is a further [`Kind`] with what it keeps; the cache only knows these methods. Each is O(1), within
/// [`Policy::MOST_PASSED`].
#[derive(Debug)]
pub(super) struct Order {
    kind: Kind,
    /// Of each entry, in the one list that it is in.
    links: Links,
}

/// Its tag is a byte of its own: every read asks for it.
#[derive(Debug)]
#[repr(u8)]
enum Kind {
    Fifo(List),
    Lru(List),
    S3Fifo(S3Fifo),
}

impl Order {
    /// Allocates [`Order::bytes`].
    pub(super) fn new(policy: Policy, entries: u32) -> Self {
        let kind = match policy {
            Policy::Fifo => Kind::Fifo(List::new()),
            Policy::Lru => Kind::Lru(List::new()),
            Policy::S3Fifo => Kind::S3Fifo(S3Fifo::new(entries)),
        };
        Self { kind, links: Links::new(entries) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(policy: Policy, entries: u32) -> usize {
        let own = match policy {
            Policy::Fifo | Policy::Lru => 0,
            Policy::S3Fifo => S3Fifo::bytes(entries),
        };
        Links::bytes(entries).saturating_add(own)
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let own = if let Kind::S3Fifo(queues) = &self.kind { queues.allocated() } else { 0 };
        self.links.allocated() + own
    }

    /// Whether a key of this tag, which is about to be inserted, is remembered from before.
    #[inline]
    pub(super) fn recalls(&mut self, tag: u32) -> bool {
        match &mut self.kind {
            Kind::Fifo(_) | Kind::Lru(_) => false,
            Kind::S3Fifo(queues) => queues.recalls(tag),
        }
    }

    /// There is a new entry at `index`; `is_known` is what [`recalls`](Self::recalls) said.
    #[inline]
    pub(super) fn inserted(&mut self, index: u32, is_known: bool) {
        match &mut self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.push_back(&mut self.links, index),
            Kind::S3Fifo(queues) => queues.inserted(&mut self.links, index, is_known),
        }
    }

    /// The entry at `index` was read, or has a new value.
    #[inline]
    pub(super) fn used(&mut self, index: u32) {
        match &mut self.kind {
            Kind::Fifo(_) => {}
            Kind::Lru(list) => list.move_to_back(&mut self.links, index),
            Kind::S3Fifo(queues) => queues.used(index),
        }
    }

    /// Unlinks the entry at `index`, which goes for another reason than [`give_up`](Self::give_up).
    #[inline]
    pub(super) fn removed(&mut self, index: u32) {
        match &mut self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.remove(&mut self.links, index),
            Kind::S3Fifo(queues) => queues.removed(&mut self.links, index),
        }
    }

    /// Any entry.
    pub(super) fn any(&self) -> Option<u32> {
        match &self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.front(),
            Kind::S3Fifo(queues) => queues.any(),
        }
    }

    /// Chooses an entry to give up for a new one, and unlinks it.
    #[inline]
    pub(super) fn give_up(&mut self, tag_of: impl FnOnce(u32) -> u32) -> Option<u32> {
        match &mut self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.pop_front(&mut self.links),
            Kind::S3Fifo(queues) => queues.give_up(&mut self.links, tag_of),
        }
    }
}
