//! S3-FIFO: Yang, Zhang, Qiu, Yue and Vinayak, "FIFO queues are all you need for cache eviction", SOSP '23, which
//! learns its parameters.
//!
//! Two doors lead to the main queue: use in the small queue, and coming back after it. Which one lets in what is
//! worth it depends on the load. Where interest comes and goes (as in the web and database traces of the paper) it is
//! those that come back, and the parameters of the authors' libCacheSim are hard to better. Where popularity is
//! steady (Zipf) it is those used early, and those that come back mostly waste their place. So it is counted whether
//! what came in by each door has been used by its first turn in the main queue, and that decides between [`AUTHORS`]
//! and [`STEADY`].

use alloc::vec;
use alloc::vec::Vec;

use super::ghost::{Ghost, Reach};
use crate::list::{Links, List};

/// What suits a load.
#[derive(Debug)]
struct Parameters {
    /// Places of the small queue, in hundredths of all.
    small: u8,
    /// As many uses take an entry from the small queue to the main queue.
    to_main: u8,
    /// More uses than this do not count in the main queue.
    most_uses: u8,
}

/// The most entries that are passed over to find one to give up.
pub(super) const MOST_PASSED: u32 = 64;

/// The parameters of libCacheSim.
const AUTHORS: Parameters = Parameters { small: 10, to_main: 2, most_uses: 3 };

/// For steady popularity.
const STEADY: Parameters = Parameters { small: 7, to_main: 1, most_uses: 15 };

/// More uses of an entry than this are not counted.
const MOST_USES: u8 = 15;

/// What speaks against steady popularity weighs as much until it is assumed: it takes three quarters to believe in it.
const DOUBT: i32 = 3;

/// How an entry came to where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Small,
    /// In the main queue for the first time round, from the small one.
    Promoted,
    /// In the main queue for the first time round, because its key came back.
    Recalled,
    Main,
}

/// What is known of an entry.
#[derive(Clone, Copy, Debug)]
struct State {
    /// Uses that were counted and have not saved it from eviction yet.
    uses: u8,
    place: Place,
}

/// The two queues of entries, and the fingerprints of the keys that left the small one.
#[derive(Debug)]
pub(super) struct S3Fifo {
    states: Vec<State>,
    small: List,
    main: List,
    ghost: Ghost,
    places: u32,
    /// Whether one was ever given up. Until then there is room in the main queue for what the small one has no place for.
    has_given_up: bool,
    /// Above zero where popularity seems steady.
    evidence: i32,
    /// As far as the evidence can go to each side, so that what was long ago counts no more.
    most_evidence: i32,
}

impl S3Fifo {
    /// Allocates [`S3Fifo::bytes`].
    pub(super) fn new(entries: u32) -> Self {
        let quarter = i32::try_from(entries / 4).unwrap_or(i32::MAX);
        Self {
            states: vec![State { uses: 0, place: Place::Small }; entries as usize],
            small: List::new(),
            main: List::new(),
            ghost: Ghost::new(ghosts(entries)),
            places: entries,
            has_given_up: false,
            // Until there is any, one use counts: a large cache takes long to judge.
            evidence: quarter / 4,
            most_evidence: quarter.saturating_add(64),
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
        let is_certain = self.evidence > self.most_evidence / 2;
        self.ghost.recall(tag, if is_certain { Reach::Third } else { Reach::Whole })
    }

    /// Links the new entry at `index`: into the main queue if its key is known, or if that is being filled for the first
    /// time.
    pub(super) fn inserted(&mut self, links: &mut Links, index: u32, is_known: bool) {
        let place = match is_known {
            true => Place::Recalled,
            false if !self.has_given_up && self.small.len() >= self.small_places() => Place::Main,
            false => Place::Small,
        };
        if let Some(state) = self.states.get_mut(index as usize) {
            *state = State { uses: 0, place };
        }
        self.queue_of(index).push_back(links, index);
    }

    /// Counts a use of the entry at `index`.
    #[inline]
    pub(super) fn used(&mut self, index: u32) {
        if let Some(state) = self.states.get_mut(index as usize) {
            state.uses += u8::from(state.uses < MOST_USES);
        }
    }

    /// Unlinks the entry at `index`.
    pub(super) fn removed(&mut self, links: &mut Links, index: u32) {
        self.queue_of(index).remove(links, index);
    }

    /// Any entry: the first of the small queue, or else of the main queue.
    pub(super) fn any(&self) -> Option<u32> {
        self.small.front().or_else(|| self.main.front())
    }

    /// Unlinks an entry to give it up. O([`MOST_PASSED`]), and O(1) amortised over the uses that were counted.
    pub(super) fn give_up(&mut self, links: &mut Links, tag_of: impl FnOnce(u32) -> u32) -> Option<u32> {
        self.has_given_up = true;
        let Parameters { to_main, most_uses, .. } = *self.parameters();
        let main_places = self.places.saturating_sub(self.small_places());
        let mut left = MOST_PASSED;
        loop {
            let from_main = self.main.len() > main_places || self.small.is_empty();
            let (queue, enough) = if from_main { (&mut self.main, 1) } else { (&mut self.small, to_main) };
            let index = queue.pop_front(links)?;
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
            self.main.push_back(links, index);
        }
    }

    const fn parameters(&self) -> &'static Parameters {
        if self.evidence > 0 { &STEADY } else { &AUTHORS }
    }

    /// How many places are the small queue's.
    fn small_places(&self) -> u32 {
        hundredths(self.places, self.parameters().small).max(1)
    }

    /// An entry had its turn in its queue, and was used before or not.
    fn learn(&mut self, place: Place, is_used: bool) {
        let is_steady = match place {
            Place::Small | Place::Main => return,
            Place::Promoted => is_used,
            Place::Recalled => !is_used,
        };
        let against = if self.evidence > 0 { -1 } else { -DOUBT };
        let weight = if is_steady { 1 } else { against };
        self.evidence = self.evidence.saturating_add(weight).clamp(-self.most_evidence, self.most_evidence);
    }

    /// The queue that the entry at `index` is in.
    fn queue_of(&mut self, index: u32) -> &mut List {
        match self.states.get(index as usize) {
            Some(State { place: Place::Promoted | Place::Recalled | Place::Main, .. }) => &mut self.main,
            _ => &mut self.small,
        }
    }
}

/// So many hundredths of `places`, rounded down.
fn hundredths(places: u32, hundredths: u8) -> u32 {
    u32::try_from(u64::from(places) * u64::from(hundredths) / 100).unwrap_or(places)
}

/// As many fingerprints as nine tenths of the places.
const fn ghosts(entries: u32) -> u32 {
    entries - entries.div_ceil(10)
}
