//! S3-FIFO (Yang, Zhang, Qiu, Yue and Vinayak, "FIFO queues are all you need for cache eviction", SOSP '23), with
//! parameters that adapt to the load.
//!
//! Once the cache has evicted, an entry gets into the main queue in two ways: it is used in the small queue
//! (*promoted*), or its key comes back after its eviction (*recalled*). Which of them deserve their place depends on
//! the load. Where interest comes and goes, as in the web and database traces of the paper, it is the recalled entries,
//! and the parameters of the authors' libCacheSim are hard to improve. Where popularity is steady (Zipf), it is the
//! promoted entries, and recalled entries mostly waste their place. So this policy counts, for both, whether an entry
//! has been used by its first turn in the main queue. That decides between [`AUTHORS`] and [`STEADY`].

use alloc::vec;
use alloc::vec::Vec;

use super::CacheLimits;
use super::ghost::{Ghost, Reach};
use super::weight::Weights;
use crate::list::{Links, List};

/// The parameters that adapt to the load.
#[derive(Debug)]
struct Parameters {
    /// The share of the small queue, in hundredths of the whole.
    small: u8,
    /// How many uses move an entry from the small queue to the main queue.
    to_main: u8,
    /// How many uses count at most in the main queue.
    most_uses: u8,
}

/// How many entries one eviction passes over at most.
pub(super) const MOST_PASSED: u32 = 64;

/// The parameters of libCacheSim.
const AUTHORS: Parameters = Parameters { small: 10, to_main: 2, most_uses: 3 };

/// The parameters for steady popularity.
const STEADY: Parameters = Parameters { small: 7, to_main: 1, most_uses: 15 };

/// How many uses of an entry are counted at most.
const MOST_USES: u8 = 15;

/// The weight of an observation against steady popularity, while this is not assumed. It is 3, so that more than three
/// quarters of the observations have to be for it.
const WEIGHT_AGAINST: i32 = 3;

/// The queue of an entry, and how it got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Small,
    /// In the main queue before its first turn there, from the small queue.
    Promoted,
    /// In the main queue before its first turn there, because its key came back.
    Recalled,
    /// In the main queue after its first turn there, or because it came before the first eviction.
    Main,
}

/// The state of an entry.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Counted uses that have not saved the entry from eviction yet.
    uses: u8,
    place: Place,
}

/// How many entries may be in a queue, and how much they may weigh together, before they have to leave.
#[derive(Clone, Copy, Debug)]
struct Share {
    places: u32,
    weight: u64,
}

/// A queue of entries, and how much they weigh together.
#[derive(Debug)]
struct Queue {
    list: List,
    weight: u64,
}

/// The two queues of entries, and the fingerprints of the keys that left the small one.
#[derive(Debug)]
pub(super) struct S3Fifo {
    states: Vec<State>,
    small: Queue,
    main: Queue,
    ghost: Ghost,
    /// The share of both queues together.
    whole: Share,
    /// The share of the small queue by [`AUTHORS`] and by [`STEADY`].
    small_shares: [Share; 2],
    /// Whether an entry was ever evicted. Until then a new entry that finds the small queue full enters the main queue.
    has_evicted: bool,
    /// The evidence for steady popularity, which is assumed while this is above 0.
    evidence: i32,
    /// The bound of the evidence on both sides, so that old observations stop counting.
    most_evidence: i32,
}

impl S3Fifo {
    /// Empty queues for `entries` entries. Allocates [`S3Fifo::bytes`], O(entries).
    pub(super) fn new(limits: &CacheLimits) -> Self {
        let entries = limits.entries;
        let whole = Share { places: entries, weight: limits.weight.unwrap_or(u64::MAX) };
        let quarter = i32::try_from(entries / 4).unwrap_or(i32::MAX);
        Self {
            states: vec![State { uses: 0, place: Place::Small }; entries as usize],
            small: Queue::new(),
            main: Queue::new(),
            ghost: Ghost::new(ghost_places(entries)),
            whole,
            small_shares: [AUTHORS, STEADY].map(|parameters| whole.hundredths(parameters.small)),
            has_evicted: false,
            // Above 0 for 16 or more entries: a large cache takes long to judge, and until then one use is enough.
            evidence: quarter / 4,
            most_evidence: quarter.saturating_add(64),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(entries: u32) -> usize {
        Ghost::bytes(ghost_places(entries))
            .saturating_add((entries as usize).saturating_mul(size_of::<State>()))
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.states.capacity() * size_of::<State>() + self.ghost.allocated()
    }

    /// Whether each queue weighs as much as its entries.
    #[cfg(test)]
    pub(super) fn adds_up(&self, links: &Links, weights: &Weights) -> bool {
        let sum = |queue: &Queue| queue.list.iter(links).map(|index| weights.of(index)).sum::<u64>();
        [&self.small, &self.main].iter().all(|queue| queue.weight == sum(queue))
    }

    /// Whether a new key with this tag was lately evicted from the small queue. Forgets the key.
    pub(super) fn recalls(&mut self, tag: u32) -> bool {
        let is_certain = self.evidence > self.most_evidence / 2;
        self.ghost.recall(tag, if is_certain { Reach::Third } else { Reach::Whole })
    }

    /// Links the new entry at `index`: into the main queue if its key is known, or if nothing was evicted so far and
    /// the small queue is full; otherwise into the small queue.
    pub(super) fn inserted(&mut self, links: &mut Links, weights: &Weights, index: u32, is_known: bool) {
        let place = match is_known {
            true => Place::Recalled,
            false if !self.has_evicted && self.small.fills(self.small_share()) => Place::Main,
            false => Place::Small,
        };
        if let Some(state) = self.states.get_mut(index as usize) {
            *state = State { uses: 0, place };
        }
        self.put_back(links, weights, index);
    }

    /// Counts a use of the entry at `index`.
    #[inline]
    pub(super) fn used(&mut self, index: u32) {
        if let Some(state) = self.states.get_mut(index as usize) {
            state.uses += u8::from(state.uses < MOST_USES);
        }
    }

    /// Unlinks the entry at `index`.
    pub(super) fn removed(&mut self, links: &mut Links, weights: &Weights, index: u32) {
        let queue = self.queue_of(index);
        queue.list.remove(links, index);
        queue.weight = queue.weight.saturating_sub(weights.of(index));
    }

    /// Links the entry at `index`, which is in no list, to the end of its queue.
    pub(super) fn put_back(&mut self, links: &mut Links, weights: &Weights, index: u32) {
        self.queue_of(index).push_back(links, weights, index);
    }

    /// Notes that the weight of the entry at `index` has changed.
    pub(super) fn reweighed(&mut self, index: u32, old: u64, new: u64) {
        let queue = self.queue_of(index);
        queue.weight = queue.weight.saturating_sub(old).saturating_add(new);
    }

    /// Any entry: the first of the small queue, or else of the main queue.
    pub(super) fn any(&self) -> Option<u32> {
        self.small.list.front().or_else(|| self.main.list.front())
    }

    /// Chooses the entry to evict, and unlinks it. O([`MOST_PASSED`]), and amortised O(1) over the counted uses.
    pub(super) fn evict(
        &mut self,
        links: &mut Links,
        weights: &Weights,
        tag_of: impl FnOnce(u32) -> u32,
    ) -> Option<u32> {
        self.has_evicted = true;
        let Parameters { to_main, most_uses, .. } = *self.parameters();
        let main_share = self.whole.without(self.small_share());
        let mut left = MOST_PASSED;
        loop {
            let from_main = self.main.exceeds(main_share) || self.small.list.is_empty();
            let (queue, enough) = if from_main { (&mut self.main, 1) } else { (&mut self.small, to_main) };
            let index = queue.pop_front(links, weights)?;
            let State { uses, place } = *self.states.get(index as usize)?;
            self.learn(place, uses > 0);
            if uses < enough || left == 0 {
                if !from_main {
                    self.ghost.remember(tag_of(index));
                }
                return Some(index);
            }
            left -= 1;
            if let Some(state) = self.states.get_mut(index as usize) {
                *state = if from_main {
                    State { uses: uses.min(most_uses) - 1, place: Place::Main }
                } else {
                    State { uses: 0, place: Place::Promoted }
                };
            }
            self.main.push_back(links, weights, index);
        }
    }

    const fn parameters(&self) -> &'static Parameters {
        if self.evidence > 0 { &STEADY } else { &AUTHORS }
    }

    const fn small_share(&self) -> Share {
        let [authors, steady] = self.small_shares;
        if self.evidence > 0 { steady } else { authors }
    }

    /// Learns from an entry that has its turn in its queue, and whether it was used before.
    fn learn(&mut self, place: Place, is_used: bool) {
        let is_steady = match place {
            Place::Small | Place::Main => return,
            Place::Promoted => is_used,
            Place::Recalled => !is_used,
        };
        let against = if self.evidence > 0 { -1 } else { -WEIGHT_AGAINST };
        let weight = if is_steady { 1 } else { against };
        self.evidence = self.evidence.saturating_add(weight).clamp(-self.most_evidence, self.most_evidence);
    }

    /// The queue that the entry at `index` is in.
    fn queue_of(&mut self, index: u32) -> &mut Queue {
        match self.states.get(index as usize) {
            Some(State { place: Place::Promoted | Place::Recalled | Place::Main, .. }) => &mut self.main,
            _ => &mut self.small,
        }
    }
}

impl Share {
    /// The given number of hundredths of both, rounded down, but at least 1.
    fn hundredths(self, hundredths: u8) -> Self {
        let of = |whole: u64| {
            let hundredths = u64::from(hundredths);
            (whole / 100 * hundredths + whole % 100 * hundredths / 100).max(1)
        };
        let places = u32::try_from(of(self.places.into())).unwrap_or(self.places);
        Self { places, weight: of(self.weight) }
    }

    const fn without(self, part: Self) -> Self {
        let places = self.places.saturating_sub(part.places);
        Self { places, weight: self.weight.saturating_sub(part.weight) }
    }
}

impl Queue {
    const fn new() -> Self {
        Self { list: List::new(), weight: 0 }
    }

    const fn fills(&self, share: Share) -> bool {
        self.list.len() >= share.places || self.weight >= share.weight
    }

    const fn exceeds(&self, share: Share) -> bool {
        self.list.len() > share.places || self.weight > share.weight
    }

    #[inline]
    fn push_back(&mut self, links: &mut Links, weights: &Weights, index: u32) {
        self.list.push_back(links, index);
        self.weight = self.weight.saturating_add(weights.of(index));
    }

    #[inline]
    fn pop_front(&mut self, links: &mut Links, weights: &Weights) -> Option<u32> {
        let index = self.list.pop_front(links)?;
        self.weight = self.weight.saturating_sub(weights.of(index));
        Some(index)
    }
}

/// The number of fingerprints: nine tenths of the places, rounded down.
const fn ghost_places(entries: u32) -> u32 {
    entries - entries.div_ceil(10)
}
