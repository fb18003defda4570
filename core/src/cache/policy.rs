//! The eviction policies.

use super::CacheLimits;
use super::s3fifo::{MOST_PASSED, S3Fifo};
use super::weight::Weights;
use crate::list::{Links, List};

/// Which entry a full [`Cache`](super::Cache) evicts for a new one. It replaces expired entries before it evicts any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Policy {
    /// First in, first out: evicts the key that was inserted first. Reads and overwrites do not change the order.
    #[default]
    Fifo,
    /// Least recently used: evicts the key whose last read, insert or overwrite is the longest ago.
    Lru,
    /// Two FIFO queues of entries, a small one and a main one, and a queue of fingerprints (Yang, Zhang, Qiu, Yue and
    /// Vinayak, "FIFO queues are all you need for cache eviction", SOSP '23). The hit ratio is far better than that of
    /// the other two where many keys are asked for once, and reads are as cheap as with FIFO.
    ///
    /// A new key enters the small queue, which has a tenth of the places, at least one. Until the first eviction, a key
    /// that finds the small queue full enters the main queue. An eviction looks at the first entry of the main queue if
    /// that has more than its places, or else of the small queue. In the small queue, an entry that was used twice,
    /// that is read or overwritten, moves on to the main queue; any other is evicted, and the cache remembers a
    /// fingerprint of its key. There are as many fingerprints as nine tenths of the places. A remembered key that comes
    /// back enters the main queue. There, an entry that was used moves to the end and loses one use, of which at most
    /// three count; any other is evicted.
    ///
    /// Where some keys are always asked for more often than others, that lets the wrong keys into the main queue. The
    /// cache measures this and adapts: then the small queue has seven hundredths of the places, one use there is
    /// enough, and up to 15 uses count in the main queue. Once this is certain, only the latest third of the
    /// fingerprints counts. A cache of 16 or more entries begins with these parameters, and a smaller one with those
    /// above.
    ///
    /// With a limit of the weight, each queue has the same share of the weight as of the places, and has more than its
    /// share if it has more of either. The authors' libCacheSim divides by weight alone (it counts bytes), and does not
    /// admit an entry heavier than the small queue; here it is admitted, and soon leaves unless it is used.
    ///
    /// One eviction passes over at most [`MOST_PASSED`](Policy::MOST_PASSED) entries, and then evicts the next one
    /// whether or not it was used.
    ///
    /// This policy takes 2 bytes more for each place, and 4 bytes for each fingerprint; the latter rounded up to 64
    /// bytes in all.
    S3Fifo,
}

impl Policy {
    /// The most entries that one eviction under [`Policy::S3Fifo`] passes over.
    pub const MOST_PASSED: u32 = MOST_PASSED;
}

/// The eviction order of the entries. The cache reports each event of an entry here, and asks for a victim.
///
/// To add a policy, add a [`Kind`]; the cache knows only these methods. Each is O(1), except that
/// [`evict`](Self::evict) may pass over [`Policy::MOST_PASSED`] entries.
#[derive(Debug)]
pub(super) struct Order {
    kind: Kind,
    /// The links of each entry in its list. An entry is in one list only.
    links: Links,
}

/// The discriminant is a byte of its own, because every read looks at it.
#[derive(Debug)]
#[repr(u8)]
enum Kind {
    Fifo(List),
    Lru(List),
    S3Fifo(S3Fifo),
}

impl Order {
    /// The order of no entries. Allocates [`Order::bytes`], O(entries).
    pub(super) fn new(limits: &CacheLimits) -> Self {
        let kind = match limits.policy {
            Policy::Fifo => Kind::Fifo(List::new()),
            Policy::Lru => Kind::Lru(List::new()),
            Policy::S3Fifo => Kind::S3Fifo(S3Fifo::new(limits)),
        };
        Self { kind, links: Links::new(limits.entries) }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(limits: &CacheLimits) -> usize {
        let own = match limits.policy {
            Policy::Fifo | Policy::Lru => 0,
            Policy::S3Fifo => S3Fifo::bytes(limits.entries),
        };
        Links::bytes(limits.entries).saturating_add(own)
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        let own = if let Kind::S3Fifo(queues) = &self.kind { queues.allocated() } else { 0 };
        self.links.allocated() + own
    }

    /// Whether the weights of the lists are those of their entries.
    #[cfg(test)]
    pub(super) fn adds_up(&self, weights: &Weights) -> bool {
        if let Kind::S3Fifo(queues) = &self.kind { queues.adds_up(&self.links, weights) } else { true }
    }

    /// Whether a key with this tag, which is about to be inserted, is remembered from an eviction. Forgets the key.
    #[inline]
    pub(super) fn recalls(&mut self, tag: u32) -> bool {
        match &mut self.kind {
            Kind::Fifo(_) | Kind::Lru(_) => false,
            Kind::S3Fifo(queues) => queues.recalls(tag),
        }
    }

    /// Notes a new entry at `index`. `is_known` is the result of [`recalls`](Self::recalls).
    #[inline]
    pub(super) fn inserted(&mut self, weights: &Weights, index: u32, is_known: bool) {
        match &mut self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.push_back(&mut self.links, index),
            Kind::S3Fifo(queues) => queues.inserted(&mut self.links, weights, index, is_known),
        }
    }

    /// Notes that the entry at `index` was read or overwritten.
    #[inline]
    pub(super) fn used(&mut self, index: u32) {
        match &mut self.kind {
            Kind::Fifo(_) => {}
            Kind::Lru(list) => list.move_to_back(&mut self.links, index),
            Kind::S3Fifo(queues) => queues.used(index),
        }
    }

    /// Unlinks the entry at `index`, which is removed for another reason than eviction.
    #[inline]
    pub(super) fn removed(&mut self, weights: &Weights, index: u32) {
        match &mut self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.remove(&mut self.links, index),
            Kind::S3Fifo(queues) => queues.removed(&mut self.links, weights, index),
        }
    }

    /// Any one entry; `None` if there is none.
    pub(super) fn any(&self) -> Option<u32> {
        match &self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.front(),
            Kind::S3Fifo(queues) => queues.any(),
        }
    }

    /// Notes that the weight of the entry at `index` has changed.
    pub(super) fn reweighed(&mut self, index: u32, old: u64, new: u64) {
        if let Kind::S3Fifo(queues) = &mut self.kind {
            queues.reweighed(index, old, new);
        }
    }

    /// Chooses the entry to evict, and unlinks it.
    #[inline]
    pub(super) fn evict(&mut self, weights: &Weights, tag_of: impl FnOnce(u32) -> u32) -> Option<u32> {
        match &mut self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.pop_front(&mut self.links),
            Kind::S3Fifo(queues) => queues.evict(&mut self.links, weights, tag_of),
        }
    }

    /// Chooses the entry to evict among all but the one at `spared`, and unlinks it. The spared one moves to the end of
    /// its list.
    pub(super) fn evict_beside(
        &mut self,
        weights: &Weights,
        spared: u32,
        tag_of: impl FnOnce(u32) -> u32,
    ) -> Option<u32> {
        self.removed(weights, spared);
        let chosen = self.evict(weights, tag_of);
        match &mut self.kind {
            Kind::Fifo(list) | Kind::Lru(list) => list.push_back(&mut self.links, spared),
            Kind::S3Fifo(queues) => queues.put_back(&mut self.links, weights, spared),
        }
        chosen
    }
}
