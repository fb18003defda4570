//! S3-FIFO: Yang, Zhang, Qiu, Yue and Vinayak, "FIFO queues are all you need for cache eviction", SOSP '23.

use alloc::vec::Vec;

use super::chain::{Chain, Links, swap_out};
use super::ghost::Ghost;
use super::policy::Policy;

/// More uses of an entry than this are not counted.
const MOST_USES: u8 = 3;

/// As many uses take an entry from the small queue to the main queue.
const TO_MAIN: u8 = 2;

/// What is known of an entry.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Uses that were counted and have not saved it from eviction yet.
    uses: u8,
    in_main: bool,
}

/// The two queues of entries, and the fingerprints of the keys that left the small one.
#[derive(Debug)]
pub(super) struct S3Fifo {
    states: Vec<State>,
    small: Chain,
    main: Chain,
    ghost: Ghost,
    /// Beyond so many entries the main queue gives one up.
    main_places: u32,
}

impl S3Fifo {
    /// Allocates [`S3Fifo::bytes`].
    pub(super) fn new(entries: u32) -> Self {
        Self {
            states: Vec::with_capacity(entries as usize),
            small: Chain::new(),
            main: Chain::new(),
            ghost: Ghost::new(ghosts(entries)),
            main_places: entries.saturating_sub((entries / 10).max(1)),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(super) const fn bytes(entries: u32) -> usize {
        Ghost::bytes(ghosts(entries)).saturating_add((entries as usize).saturating_mul(size_of::<State>()))
    }

    #[cfg(test)]
    pub(super) fn allocated(&self) -> usize {
        self.states.capacity() * size_of::<State>() + self.ghost.allocated()
    }

    /// Whether a key of this tag, which is new, left the small queue lately. Answers yes once.
    pub(super) fn recalls(&mut self, tag: u32) -> bool {
        self.ghost.recall(tag)
    }

    /// There is one more entry, behind all others.
    pub(super) fn added(&mut self) {
        self.states.push(State { uses: 0, in_main: false });
    }

    /// Links the new entry at `index`; into the main queue if its key is known.
    pub(super) fn inserted(&mut self, links: &mut [Links], index: u32, is_known: bool) {
        if let Some(state) = self.states.get_mut(index as usize) {
            *state = State { uses: 0, in_main: is_known };
        }
        let queue = if is_known { &mut self.main } else { &mut self.small };
        queue.push_back(links, index);
    }

    /// Counts a use of the entry at `index`.
    #[inline]
    pub(super) fn used(&mut self, index: u32) {
        if let Some(state) = self.states.get_mut(index as usize) {
            state.uses += u8::from(state.uses < MOST_USES);
        }
    }

    /// Unlinks the entry at `index`.
    pub(super) fn removed(&mut self, links: &mut [Links], index: u32) {
        self.queue_of(index).remove(links, index);
    }

    /// The unlinked entry at `index` was taken out, and the one that was last, at `last`, is there now.
    pub(super) fn swapped_out(&mut self, links: &mut [Links], index: u32, last: u32) {
        swap_out(&mut self.states, index);
        if index != last {
            self.queue_of(index).moved(links, last, index);
        }
    }

    /// Any entry: the first of the small queue, or else of the main queue.
    pub(super) fn any(&self) -> Option<u32> {
        self.small.front().or_else(|| self.main.front())
    }

    /// Unlinks an entry to give it up. O([`Policy::MOST_PASSED`]), and O(1) amortised over the uses that were counted.
    pub(super) fn give_up(&mut self, links: &mut [Links], tag_of: impl FnOnce(u32) -> u32) -> Option<u32> {
        let mut left = Policy::MOST_PASSED;
        loop {
            let from_main = self.main.len() > self.main_places || self.small.len() == 0;
            let (queue, enough) = if from_main { (&mut self.main, 1) } else { (&mut self.small, TO_MAIN) };
            let index = queue.pop_front(links)?;
            let state = self.states.get_mut(index as usize)?;
            if state.uses < enough || left == 0 {
                if !from_main {
                    self.ghost.remember(tag_of(index));
                }
                return Some(index);
            }
            left -= 1;
            *state = State { uses: if from_main { state.uses - 1 } else { 0 }, in_main: true };
            self.main.push_back(links, index);
        }
    }

    /// The queue that the entry at `index` is in.
    fn queue_of(&mut self, index: u32) -> &mut Chain {
        match self.states.get(index as usize) {
            Some(state) if state.in_main => &mut self.main,
            _ => &mut self.small,
        }
    }
}

/// As many fingerprints as nine tenths of the places.
const fn ghosts(entries: u32) -> u32 {
    entries - entries.div_ceil(10)
}
