//! Fetches nodes into the caches shortly before their timers fire.
//!
//! The nodes of one slot can only be fetched one after the other: each says where the next one is, and in a large store
//! each costs a miss of the caches and of the address translation. Nodes of different slots do not depend on each
//! other, so the computer fetches them side by side. Each of the next slots has a cursor that walks along its list. All
//! cursors move on together, once every few timers that fire, so that a timer costs one move, and a cursor reaches the
//! end of its list about when its slot fires.
//!
//! Nothing depends on the place of a cursor: its node may have been unlinked, or linked elsewhere.

use super::Node;
use super::shape::Shape;

/// The number of cursors, of slots ahead that have one, and of timers that fire between two moves.
const CURSORS: u32 = 8;

/// A cursor for each of the next slots.
#[derive(Debug)]
pub(super) struct Prefetch {
    /// The nodes that the cursors stand at. The cursor of a slot is at the slot's number modulo [`CURSORS`].
    cursors: [u32; CURSORS as usize],
    /// The slot that fired when the cursors last moved.
    slot: u32,
    /// How many timers have fired, wrapping.
    fired: u32,
}

impl Prefetch {
    /// The cursors for a wheel of this shape; `None` if it is too small to need any.
    pub(super) fn of(shape: Shape) -> Option<Self> {
        shape.is_wide().then_some(Self { cursors: [0; CURSORS as usize], slot: 0, fired: 0 })
    }

    /// Counts a timer that has fired. Returns the cursors if it is time to move them.
    #[inline]
    pub(super) fn at_turn(&mut self) -> Option<&mut Self> {
        self.fired = self.fired.wrapping_add(1);
        (self.fired % CURSORS == 0).then_some(self)
    }

    /// Moves each cursor to its next node, while timers of `slot` fire; O([`CURSORS`]).
    pub(super) fn advance(&mut self, slot: u32, nodes: &[Node]) {
        if slot != self.slot {
            self.assign(slot);
        }
        for cursor in &mut self.cursors {
            if let Some(node) = nodes.get(*cursor as usize) {
                *cursor = node.next;
            }
        }
    }

    /// Sends the cursors of slots that have begun to fire to the next slots without a cursor.
    fn assign(&mut self, slot: u32) {
        let begun = slot.wrapping_sub(self.slot).min(CURSORS);
        for later in 1 + CURSORS.saturating_sub(begun)..=CURSORS {
            let target = slot.saturating_add(later);
            if let Some(cursor) = self.cursors.get_mut((target % CURSORS) as usize) {
                *cursor = target;
            }
        }
        self.slot = slot;
    }

    /// Where the cursors stand.
    #[cfg(test)]
    pub(super) const fn cursors(&self) -> &[u32] {
        &self.cursors
    }
}
