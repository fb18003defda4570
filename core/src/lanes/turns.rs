//! Whose turn is it? The lanes that can start an attempt now, in order.

use alloc::vec;
use alloc::vec::Vec;

use crate::list::NIL;

/// The place of a lane in the order. The least is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    /// How many times its weight the lane has in concurrency places.
    pub(super) round: u32,
    /// The lane's pass: see [`Lanes`](super::Lanes).
    pub(super) pass: u128,
    /// The number of the start with which the lane was served last.
    pub(super) served: u64,
    pub(super) lane: u32,
}

/// A binary heap in which a lane can be found, moved and removed. Every call is O(log lanes). It never has more than
/// one entry for a lane.
#[derive(Debug)]
pub(super) struct Turns {
    heap: Vec<Turn>,
    /// The place of each lane in the heap; [`NIL`] if it has none.
    places: Vec<u32>,
}

impl Turns {
    /// For `lanes` lanes, of which none has a turn. Allocates [`Turns::bytes`].
    pub(super) fn new(lanes: u32) -> Self {
        Self { heap: Vec::with_capacity(lanes as usize), places: vec![NIL; lanes as usize] }
    }

    pub(super) const fn bytes(lanes: u32) -> usize {
        (lanes as usize).saturating_mul(size_of::<Turn>() + size_of::<u32>())
    }

    /// The lane that is next.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        self.heap.first().map(|turn| turn.lane)
    }

    /// Gives a lane this turn, in place of the one that it has.
    pub(super) fn set(&mut self, turn: Turn) {
        let Some(place) = self.places.get(turn.lane as usize) else { return };
        let mut at = *place as usize;
        if let Some(old) = self.heap.get_mut(at) {
            *old = turn;
        } else {
            debug_assert!(self.heap.len() < self.heap.capacity(), "one entry a lane");
            at = self.heap.len();
            self.heap.push(turn);
        }
        self.settle(at);
    }

    /// Takes a lane out, if it has a turn.
    pub(super) fn remove(&mut self, lane: u32) {
        let Some(place) = self.places.get_mut(lane as usize) else { return };
        let at = core::mem::replace(place, NIL) as usize;
        if at < self.heap.len() {
            self.heap.swap_remove(at);
            if at < self.heap.len() {
                self.settle(at);
            }
        }
    }

    /// Moves the entry at this place to where it belongs.
    fn settle(&mut self, at: usize) {
        let at = self.rise(at);
        self.sink(at);
    }

    fn rise(&mut self, mut at: usize) -> usize {
        while at > 0 {
            let above = (at - 1) / 2;
            if !self.is_before(at, above) {
                break;
            }
            self.swap(at, above);
            at = above;
        }
        self.note(at);
        at
    }

    fn sink(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let least = if self.is_before(right, left) { right } else { left };
            if !self.is_before(least, at) {
                break;
            }
            self.swap(at, least);
            at = least;
        }
        self.note(at);
    }

    /// Whether there is an entry at `a` that comes before the one at `b`, if there is one.
    fn is_before(&self, a: usize, b: usize) -> bool {
        match (self.heap.get(a), self.heap.get(b)) {
            (Some(a), Some(b)) => a < b,
            _ => false,
        }
    }

    /// Swaps two entries, and notes the new place of the one that is now at `from`.
    fn swap(&mut self, from: usize, to: usize) {
        if from.max(to) < self.heap.len() {
            self.heap.swap(from, to);
            self.note(from);
        }
    }

    fn note(&mut self, at: usize) {
        let Some(lane) = self.heap.get(at).map(|turn| turn.lane) else { return };
        if let Some(place) = self.places.get_mut(lane as usize) {
            *place = u32::try_from(at).unwrap_or(NIL);
        }
    }

    /// How many lanes have a turn, and whether the order and the places are right. O(lanes).
    pub(super) fn audit(&self) -> (usize, bool) {
        let is_ordered = (1..self.heap.len()).all(|at| !self.is_before(at, (at - 1) / 2));
        let place_of = |lane: u32| self.places.get(lane as usize).map(|place| *place as usize);
        let is_found = (0..).zip(&self.heap).all(|(at, turn)| place_of(turn.lane) == Some(at));
        let placed = self.places.iter().filter(|place| **place != NIL).count();
        (self.heap.len(), is_ordered && is_found && placed == self.heap.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_behaves_like_a_sorted_list() {
        const LANES: u32 = 9;
        let (mut rng, mut turns) = (fastrand::Rng::with_seed(3), Turns::new(LANES));
        let mut list: Vec<Turn> = Vec::new();
        for step in 0..30_000 {
            let lane = rng.u32(..LANES);
            list.retain(|turn| turn.lane != lane);
            if rng.u8(..3) == 0 {
                turns.remove(lane);
            } else {
                let turn = Turn { round: rng.u32(..3), pass: rng.u128(..3), served: rng.u64(..3), lane };
                turns.set(turn);
                list.push(turn);
            }
            assert_eq!(turns.first(), list.iter().min().map(|turn| turn.lane), "step {step}");
            assert_eq!(turns.audit(), (list.len(), true), "step {step}");
        }
        assert_eq!(turns.heap.capacity(), LANES as usize);
    }
}
