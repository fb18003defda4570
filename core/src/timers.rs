//! The timer store: a hierarchical timing wheel (Varghese and Lauck, 1987, scheme 7). It is the only place that keeps
//! timers. It knows them by number; whose they are is in `processor/deadlines.rs`.
//!
//! Arm, disarm and `next_wake` are O(1) whatever the number of timers, and a disarmed timer is gone at once. A binary
//! heap costs O(log n) for each, and removes lazily or needs a position kept up to date in every entry.
//!
//! **A node for each timer there can be.** The owner of a timer names it by a fixed index: arming allocates nothing,
//! and nothing can run out. Each slot of the wheel is a circular list through the nodes with a sentinel of its own. So
//! unlinking is two stores without a branch, and an empty slot shows by its sentinel linking to itself.
//!
//! **Resolution.** A tick is one millisecond, and a deadline is rounded up to a tick. A deadline on a whole millisecond
//! fires exactly then; none fires early, and the wheel makes none more than 1 ms late. The last tick, where `u64`
//! nanoseconds end, begins at [`Instant::MAX`].
//!
//! **Shape.** Levels of slots cover all ticks: 64 slots a level, and up to 2,048 on the lowest level if there are very
//! many timers. A timer stands on the level of the highest digit in which its tick differs from the tick `elapsed`, in
//! the slot of that digit. So all timers on a level come before all timers on the levels above it, and the next slot is
//! the first occupied one: two words to look at. A slot of the lowest level holds one tick, whose timers fire. A slot
//! of a higher level *cascades*: when its first tick is reached, its timers move down, each at most seven times in its
//! life.
//!
//! **Memory.** To fire many timers costs mostly cache misses: their nodes lie anywhere, and only a node knows the next
//! one. With a wide lowest level most timers fire without having moved before. `prefetch` fetches the nodes of several
//! slots side by side, shortly before they are needed. A cascading slot is split into four lists, by the lowest bits of
//! the ticks, and timers are taken from these in turn.
//!
//! **Order.** Timers fire in the order of their ticks, and timers of one tick in arming order. A step moves one timer,
//! so a cascade can take many steps. Until its slot is empty `elapsed` stays where it was, and a new timer of that
//! range is linked into the cascading slot, behind the older ones.

use alloc::vec::Vec;

use crate::time::Instant;

use self::occupied::Occupied;
use self::prefetch::Prefetch;
use self::shape::{Due, Shape};

mod occupied;
mod prefetch;
mod shape;

/// In nanoseconds.
pub(crate) const TICK: u64 = 1_000_000;
/// The neighbour of a timer that is not armed.
const NIL: u32 = u32::MAX;

/// The tick at whose start a deadline fires.
const fn tick_of(deadline: Instant) -> u64 {
    let begun = deadline.as_nanos() / TICK;
    // Cheaper than `div_ceil`; the product is not above the deadline.
    begun + (begun.wrapping_mul(TICK) < deadline.as_nanos()) as u64
}

/// When a tick begins.
const fn start_of(tick: u64) -> Instant {
    Instant::from_nanos(tick.saturating_mul(TICK))
}

/// The last tick that has begun.
const fn tick_at(now: Instant) -> u64 {
    match now {
        Instant::MAX => tick_of(now),
        _ => now.as_nanos() / TICK,
    }
}

/// Whether a timer with this deadline has fired by now, if it was set in time. The last instant stands for none.
pub(crate) fn has_come(deadline: Instant, now: Instant) -> bool {
    deadline != Instant::MAX && tick_of(deadline) <= tick_at(now)
}

/// A timer, or the sentinel of a slot.
#[derive(Clone, Copy, Debug)]
struct Node {
    tick: u64,
    prev: u32,
    next: u32,
}

/// The place of a timer that was armed lately. Timers that are armed together mostly have the same tick, and then need
/// no computation. Valid until the wheel moves on.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// The first deadline with this tick. `count` deadlines from it on have the tick; 0 means none.
    first: u64,
    count: u64,
    tick: u64,
    slot: u32,
}

impl Recent {
    const NONE: Self = Self { first: 0, count: 0, tick: 0, slot: 0 };
}

/// What one [`Timers::step`] did. A `T` names the timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step<T = u32> {
    /// This timer fired; it is not armed any more.
    Fired(T),
    /// A timer moved one level or more down.
    Moved,
    /// Nothing is left to do at this instant.
    Idle,
}

/// Timers number 0 to `capacity - 1`, each armed or not.
#[derive(Debug)]
pub(crate) struct Timers {
    /// The sentinels, each at the number of its slot, then the timers.
    nodes: Vec<Node>,
    armed: u32,
    /// The tick from which all places are computed; no armed timer has an earlier tick.
    elapsed: u64,
    /// The earliest tick for a new timer: `elapsed`, or the first tick of a cascade under way.
    earliest: u64,
    recent: Recent,
    /// The slot that is cascading, if any; it has timers.
    cascading: Option<Due>,
    /// The strand of a cascading slot from which a timer is taken next, if it has one.
    strand: u32,
    /// The slots that have timers.
    occupied: Occupied,
    shape: Shape,
    /// Only if there are too many nodes for the caches.
    prefetch: Option<Prefetch>,
    /// The number of sentinels, and so the place of the first timer.
    slots: u32,
}

impl Timers {
    /// No timer is armed. Allocates [`Timers::bytes`], O(capacity).
    pub(crate) fn new(capacity: u32, now: Instant) -> Self {
        Self::with_shape(Shape::of(capacity), capacity, now)
    }

    fn with_shape(shape: Shape, capacity: u32, now: Instant) -> Self {
        let elapsed = tick_at(now);
        let slots = shape.slots();
        let count = node_count(shape, capacity);
        let mut nodes = Vec::with_capacity(count);
        nodes.extend((0..slots).map(|slot| Node { tick: 0, prev: slot, next: slot }));
        nodes.resize(count, Node { tick: 0, prev: NIL, next: NIL });
        Self {
            nodes,
            armed: 0,
            elapsed,
            earliest: elapsed,
            recent: Recent::NONE,
            cascading: None,
            strand: 0,
            occupied: Occupied::NONE,
            shape,
            prefetch: Prefetch::of(shape),
            slots,
        }
    }

    /// The bytes that [`Timers::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        node_count(Shape::of(capacity), capacity).saturating_mul(size_of::<Node>())
    }

    /// Arms timer number `index`, or moves it if it was armed; O(1). Returns whether it was armed. A deadline that has
    /// passed already fires at the next step.
    pub(crate) fn arm(&mut self, index: u32, at: Instant) -> bool {
        let place = self.node_of(index);
        let Some(node) = self.nodes.get(place) else {
            debug_assert!(false, "there is a timer for everything that can need one");
            return false;
        };
        let was_armed = node.prev != NIL;
        if was_armed {
            self.unlink(place);
        } else {
            self.armed = self.armed.wrapping_add(1);
        }
        if at.as_nanos().wrapping_sub(self.recent.first) >= self.recent.count {
            self.recent = self.place_of(at);
        }
        self.link(place as u32, self.recent.tick, self.recent.slot);
        was_armed
    }

    /// The place of a timer with this deadline.
    fn place_of(&self, at: Instant) -> Recent {
        let tick = tick_of(at).max(self.earliest);
        let slot = self.shape.slot_of(self.elapsed, tick);
        let first = tick.wrapping_sub(1).wrapping_mul(TICK).wrapping_add(1);
        // The first and the last tick have fewer deadlines than `TICK` in range.
        let count = if first.checked_add(TICK).is_some() { TICK } else { 0 };
        Recent { first, count, tick, slot }
    }

    /// Disarms timer number `index`; O(1). Returns whether it was armed.
    #[inline]
    pub(crate) fn disarm(&mut self, index: u32) -> bool {
        let armed = self.unlink(self.node_of(index));
        self.armed = self.armed.wrapping_sub(u32::from(armed));
        armed
    }

    /// The node of a timer.
    #[inline]
    const fn node_of(&self, index: u32) -> usize {
        (index as usize).saturating_add(self.slots as usize)
    }

    /// Whether timer number `index` is armed.
    #[inline]
    pub(crate) fn is_armed(&self, index: u32) -> bool {
        self.nodes.get(self.node_of(index)).is_some_and(|node| node.prev != NIL)
    }

    /// When [`Timers::step`] has work next, and whether a timer fires then (`true`) or the wheel only cascades. `None`
    /// if nothing is armed. Never later than the tick of the earliest deadline; O(1).
    #[inline]
    pub(crate) fn next_wake(&self) -> Option<(Instant, bool)> {
        self.next().map(|due| (start_of(due.tick), self.shape.is_lowest(due.slot)))
    }

    /// Does one unit of the work that is due at `now`: fires a timer or moves one down; O(1).
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        let now = tick_at(now);
        let Some(due) = self.next().filter(|due| due.tick <= now) else {
            if self.elapsed < now {
                self.move_to(now);
            }
            return Step::Idle;
        };
        let slot = if self.shape.is_lowest(due.slot) { due.slot } else { self.take_turn(due.slot) };
        let Some((place, tick)) = self.take_first(slot) else {
            debug_assert!(false, "an occupied slot has timers");
            self.vacated(slot);
            return Step::Moved;
        };
        if self.shape.is_lowest(due.slot) {
            self.armed = self.armed.wrapping_sub(1);
            if let Some(prefetch) = self.prefetch.as_mut().and_then(Prefetch::at_turn) {
                prefetch.advance(due.slot, &self.nodes);
            }
            return Step::Fired(place.wrapping_sub(self.slots));
        }
        self.cascade(due, place, tick);
        Step::Moved
    }

    /// The strand of a cascading slot whose turn it is. The turn passes to the next strand.
    #[inline]
    fn take_turn(&mut self, slot: u32) -> u32 {
        let strands = self.shape.strands();
        let occupied = self.occupied.group_of(slot, strands);
        let waits = (((occupied << strands) | occupied) >> self.strand).trailing_zeros();
        let strand = self.strand.wrapping_add(waits) & (strands - 1);
        self.strand = (strand + 1) & (strands - 1);
        (slot & !(strands - 1)) | strand
    }

    /// Moves a timer down that was taken out of a slot, and ends the cascade if it was the slot's last one.
    #[inline]
    fn cascade(&mut self, due: Due, place: u32, tick: u64) {
        if self.occupied.group_of(due.slot, self.shape.strands()) != 0 {
            self.cascading = Some(due);
            self.earliest = due.tick;
            self.recent = Recent::NONE;
        } else {
            self.cascading = None;
            self.move_to(due.tick);
        }
        self.link(place, tick, self.shape.slot_of(due.tick, tick));
    }

    /// Takes the first timer out of a slot. Returns its node and its tick.
    #[inline]
    fn take_first(&mut self, slot: u32) -> Option<(u32, u64)> {
        let nodes = self.nodes.as_mut_slice();
        let place = nodes.get(slot as usize)?.next;
        let node = nodes.get_mut(place as usize).filter(|_| place >= self.slots)?;
        let (next, tick) = (node.next, node.tick);
        node.prev = NIL;
        if let Some(next) = nodes.get_mut(next as usize) {
            next.prev = slot;
        }
        if let Some(sentinel) = nodes.get_mut(slot as usize) {
            sentinel.next = next;
        }
        if next == slot {
            self.occupied.remove(slot);
        }
        Some((place, tick))
    }

    /// How many timers are armed.
    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.armed
    }

    /// The numbers of all armed timers; O(capacity).
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let timers = self.nodes.iter().skip(self.slots as usize);
        (0..).zip(timers).filter_map(|(index, node)| (node.prev != NIL).then_some(index))
    }

    /// The next slot that fires or cascades.
    #[inline]
    fn next(&self) -> Option<Due> {
        match self.cascading {
            None => self.occupied.first().map(|slot| self.shape.due(self.elapsed, slot)),
            cascading => cascading,
        }
    }

    /// Links a timer's node as the last one of a slot.
    #[inline]
    fn link(&mut self, place: u32, tick: u64, slot: u32) {
        let nodes = self.nodes.as_mut_slice();
        let Some(sentinel) = nodes.get_mut(slot as usize) else { return };
        let last = core::mem::replace(&mut sentinel.prev, place);
        if let Some(node) = nodes.get_mut(place as usize) {
            *node = Node { tick, prev: last, next: slot };
        }
        if let Some(last) = nodes.get_mut(last as usize) {
            last.next = place;
        }
        if last == slot {
            self.occupied.insert(slot);
        }
    }

    /// Takes a timer's node out of its slot, if it is in one.
    #[inline]
    fn unlink(&mut self, place: usize) -> bool {
        let nodes = self.nodes.as_mut_slice();
        let Some(node) = nodes.get_mut(place).filter(|node| node.prev != NIL) else {
            return false;
        };
        let (prev, next) = (core::mem::replace(&mut node.prev, NIL), node.next);
        if let Some(prev) = nodes.get_mut(prev as usize) {
            prev.next = next;
        }
        if let Some(next) = nodes.get_mut(next as usize) {
            next.prev = prev;
        }
        // Both neighbours are the same only if just the sentinel is left.
        if prev == next {
            self.vacated(prev);
        }
        true
    }

    /// Moves `elapsed` on to a tick.
    fn move_to(&mut self, tick: u64) {
        self.elapsed = tick;
        self.earliest = tick;
        self.recent = Recent::NONE;
    }

    /// Notes that a slot has become empty, which ends its cascade.
    #[inline]
    fn vacated(&mut self, slot: u32) {
        self.occupied.remove(slot);
        if let Some(due) =
            self.cascading.take_if(|due| self.occupied.group_of(due.slot, self.shape.strands()) == 0)
        {
            self.move_to(due.tick);
        }
    }
}

/// The number of nodes of a wheel of this shape with `capacity` timers.
const fn node_count(shape: Shape, capacity: u32) -> usize {
    (capacity as usize).saturating_add(shape.slots() as usize)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
