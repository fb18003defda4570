//! Nodes are looked at before their turn comes.
//!
//! The nodes of a slot can only be fetched one after the other: each tells where the next one is, and in a large store
//! each costs a miss of the caches and of the address translation. Those of different slots have nothing to do with
//! each other, so the computer fetches them side by side. Each of the slots that come next has a scout that walks round
//! its list; all move on together, every so many timers that fire, so that a timer costs one move, and a scout is
//! through with its slot about when that slot's turn comes.
//!
//! Nothing depends on where a scout is: a node it stands on may have been unlinked, or linked elsewhere.

use super::Node;
use super::shape::Shape;

/// How many scouts there are, so many slots ahead they look, and so often they move: once in so many timers.
const SCOUTS: u32 = 8;

/// One scout for each of the slots that come next.
#[derive(Debug)]
pub(super) struct Scouts {
    /// Where they stand: that of a slot at the slot's number modulo [`SCOUTS`].
    places: [u32; SCOUTS as usize],
    /// The slot that fired when they last moved.
    slot: u32,
    /// How many timers have fired, wrapping.
    fired: u32,
}

impl Scouts {
    /// Those of a wheel of this shape, if it is large enough to need any.
    pub(super) fn of(shape: Shape) -> Option<Self> {
        shape.is_wide().then_some(Self { places: [0; SCOUTS as usize], slot: 0, fired: 0 })
    }

    /// Notes that a timer has fired. The scouts, if it is their turn to move.
    #[inline]
    pub(super) fn at_turn(&mut self) -> Option<&mut Self> {
        self.fired = self.fired.wrapping_add(1);
        (self.fired % SCOUTS == 0).then_some(self)
    }

    /// Moves each scout to the next node while timers of a slot fire; O([`SCOUTS`]).
    pub(super) fn advance(&mut self, slot: u32, nodes: &[Node]) {
        if slot != self.slot {
            self.assign(slot);
        }
        for place in &mut self.places {
            if let Some(node) = nodes.get(*place as usize) {
                *place = node.next;
            }
        }
    }

    /// Sends the scouts of slots whose turn is over, or has come, to the next slots that have none.
    fn assign(&mut self, slot: u32) {
        let begun = slot.wrapping_sub(self.slot).min(SCOUTS);
        for later in 1 + SCOUTS.saturating_sub(begun)..=SCOUTS {
            let target = slot.saturating_add(later);
            if let Some(place) = self.places.get_mut((target % SCOUTS) as usize) {
                *place = target;
            }
        }
        self.slot = slot;
    }

    /// Where the scouts stand, for tests.
    #[cfg(test)]
    pub(super) const fn places(&self) -> &[u32] {
        &self.places
    }
}
