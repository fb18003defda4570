//! The only place where a deadline lives: a hierarchical timing wheel (Varghese and Lauck, 1987,
//! scheme 7).
//!
//! Arm, disarm and `next_wake` are O(1) whatever the number of timers, and a disarmed timer is gone
//! at once. A binary heap costs O(log n) for each and frees lazily, or needs a position kept up to
//! date in every entry.
//!
//! **A node for each timer there can ever be.** Whoever owns a timer names it by a fixed index:
//! nothing is allotted when it is armed, and nothing can run out. Each slot of the wheel is a
//! circular list through the nodes with a sentinel of its own, so that unlinking is two stores
//! without a branch, and a slot that turns out empty is known by the sentinel that is left.
//!
//! **Resolution.** A tick is one millisecond, and a deadline is rounded up to its tick: one on a
//! whole millisecond fires exactly there, none fires early, none more than 1 ms late by the wheel's
//! doing. The last tick, where `u64` nanoseconds end, begins at [`Instant::MAX`].
//!
//! **Shape.** Eight levels of 64 slots cover all ticks there are. A timer stands on the level of
//! the highest six-bit digit in which its tick differs from the tick `elapsed`, in the slot of that
//! digit. So everything on a level comes before everything on the levels above it, and what is next
//! is the first occupied slot of the lowest occupied level: eight words to look at. A slot of level
//! 0 holds one tick, whose timers fire; one of a higher level *cascades*: when its first tick is
//! reached, its timers move down, each at most seven times in its life.
//!
//! **Order.** Timers fire in the order of their ticks, those of one tick in arming order. A step
//! moves one timer, so a cascade can be under way for many steps. Until its slot is empty `elapsed`
//! stays where it was, and a new timer of that range queues in the cascading slot behind the older
//! ones.

use alloc::vec::Vec;

use crate::time::Instant;

const TICK: u64 = 1_000_000;
const DIGIT_BITS: u32 = 6;
const LEVELS: usize = 8;
/// Slots of the wheel, and so sentinels.
const SLOTS: u32 = (LEVELS as u32) << DIGIT_BITS;
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

/// A timer, or the sentinel of a slot.
#[derive(Clone, Copy, Debug)]
struct Node {
    tick: u64,
    prev: u32,
    next: u32,
}

/// A slot of the wheel and its first tick.
#[derive(Clone, Copy, Debug)]
struct Due {
    slot: u32,
    tick: u64,
}

/// Which slot `tick` stands in, seen from the tick `elapsed`: the level, then the digit.
#[inline]
const fn slot_of(elapsed: u64, tick: u64) -> u32 {
    let level = ((elapsed ^ tick) | 1).ilog2() / DIGIT_BITS;
    let digit = (tick >> (DIGIT_BITS * level)) & 0x3f;
    (level << DIGIT_BITS) | digit as u32
}

/// Where a timer stands that was armed not long ago. Those armed at one time mostly have the same tick: then
/// there is nothing to compute. It is good as long as the wheel has not moved on.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// So many deadlines from the first one on have this tick; 0 when nothing is known.
    first: u64,
    count: u64,
    tick: u64,
    slot: u32,
}

impl Recent {
    const NONE: Self = Self { first: 0, count: 0, tick: 0, slot: 0 };
}

/// What one [`Timers::step`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// This timer fired; it is not armed any more.
    Fired(u32),
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
    /// The tick from which all places are seen; no armed timer's tick is earlier.
    elapsed: u64,
    /// The earliest tick that a new timer may have: `elapsed`, or where a cascade under way begins.
    earliest: u64,
    recent: Recent,
    /// The slot that is being emptied downwards; never an empty one.
    cascading: Option<Due>,
    /// One bit for each slot that has timers, level by level.
    occupied: [u64; LEVELS],
}

impl Timers {
    /// No timer is armed. Allocates [`Timers::bytes`], O(capacity).
    pub(crate) fn new(capacity: u32, now: Instant) -> Self {
        let elapsed = tick_at(now);
        let mut nodes = Vec::with_capacity(node_count(capacity));
        nodes.extend((0..SLOTS).map(|slot| Node { tick: 0, prev: slot, next: slot }));
        nodes.resize(node_count(capacity), Node { tick: 0, prev: NIL, next: NIL });
        Self {
            nodes,
            armed: 0,
            elapsed,
            earliest: elapsed,
            recent: Recent::NONE,
            cascading: None,
            occupied: [0; LEVELS],
        }
    }

    /// The bytes that [`Timers::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        node_count(capacity).saturating_mul(size_of::<Node>())
    }

    /// Arms timer number `index`, anew if it was armed; O(1). A deadline that is over already fires
    /// at the next step.
    pub(crate) fn arm(&mut self, index: u32, at: Instant) {
        let place = node_of(index);
        let Some(node) = self.nodes.get(place) else {
            debug_assert!(false, "there is a timer for everything that can need one");
            return;
        };
        if node.prev != NIL {
            self.disarm_anew(index);
        }
        self.armed = self.armed.wrapping_add(1);
        if at.as_nanos().wrapping_sub(self.recent.first) >= self.recent.count {
            self.recent = self.place_of(at);
        }
        self.link(place as u32, self.recent.tick, self.recent.slot);
    }

    /// Where a timer with this deadline stands.
    fn place_of(&self, at: Instant) -> Recent {
        let tick = tick_of(at).max(self.earliest);
        let slot = slot_of(self.elapsed, tick);
        let first = tick.wrapping_sub(1).wrapping_mul(TICK).wrapping_add(1);
        // Of the first and of the last tick there is, most deadlines lie outside of time.
        let count = if first.checked_add(TICK).is_some() { TICK } else { 0 };
        Recent { first, count, tick, slot }
    }

    #[cold]
    fn disarm_anew(&mut self, index: u32) {
        self.disarm(index);
    }

    /// Disarms timer number `index`; O(1). Whether it was armed.
    #[inline]
    pub(crate) fn disarm(&mut self, index: u32) -> bool {
        let armed = self.unlink(node_of(index));
        self.armed = self.armed.wrapping_sub(u32::from(armed));
        armed
    }

    /// Whether timer number `index` is armed.
    #[inline]
    pub(crate) fn is_armed(&self, index: u32) -> bool {
        self.nodes.get(node_of(index)).is_some_and(|node| node.prev != NIL)
    }

    /// When [`Timers::step`] has work next, and whether a timer fires then (`true`) or the wheel
    /// only cascades; `None` when nothing is armed. Never later than the tick of the earliest
    /// deadline; O(1).
    #[inline]
    pub(crate) fn next_wake(&self) -> Option<(Instant, bool)> {
        self.next().map(|due| (start_of(due.tick), is_lowest(due.slot)))
    }

    /// Does one unit of work that is due at `now`: fires one timer or moves one down; O(1).
    pub(crate) fn step(&mut self, now: Instant) -> Step {
        let now = tick_at(now);
        let Some(due) = self.next().filter(|due| due.tick <= now) else {
            if self.elapsed < now {
                self.move_to(now);
            }
            return Step::Idle;
        };
        let Some((place, tick)) = self.first(due.slot) else {
            debug_assert!(false, "an occupied slot has timers");
            self.vacated(due.slot);
            return Step::Moved;
        };
        if is_lowest(due.slot) {
            self.unlink(place as usize);
            self.armed = self.armed.wrapping_sub(1);
            return Step::Fired(place.wrapping_sub(SLOTS));
        }
        self.cascading = Some(due);
        self.earliest = due.tick;
        self.recent = Recent::NONE;
        self.unlink(place as usize);
        self.link(place, tick, slot_of(due.tick, tick));
        Step::Moved
    }

    /// How many timers are armed.
    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.armed
    }

    /// The numbers of all armed timers; O(capacity).
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let timers = self.nodes.iter().skip(SLOTS as usize);
        (0..).zip(timers).filter_map(|(index, node)| (node.prev != NIL).then_some(index))
    }

    /// The slot whose turn is next.
    #[inline]
    fn next(&self) -> Option<Due> {
        if self.cascading.is_some() || self.armed == 0 {
            return self.cascading;
        }
        let (level, occupied) = (0..).zip(self.occupied).find(|(_, occupied)| *occupied != 0)?;
        let digit = occupied.trailing_zeros();
        let shift = DIGIT_BITS * level;
        let above = self.elapsed & (u64::MAX << (shift + DIGIT_BITS));
        Some(Due { slot: (level << DIGIT_BITS) | digit, tick: above | (u64::from(digit) << shift) })
    }

    /// The node and the tick of the first timer in a slot.
    fn first(&self, slot: u32) -> Option<(u32, u64)> {
        let place = self.nodes.get(slot as usize)?.next;
        let node = self.nodes.get(place as usize)?;
        (place >= SLOTS).then_some((place, node.tick))
    }

    /// Links a timer's node as the last in a slot.
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
        if let Some(occupied) = self.occupied.get_mut((slot >> DIGIT_BITS) as usize) {
            *occupied |= 1 << (slot & 0x3f);
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
        // Both neighbours are the same only where none but the sentinel is left.
        if prev == next {
            self.vacated(prev);
        }
        true
    }

    /// Moves on to a tick from which all places are seen from now on.
    fn move_to(&mut self, tick: u64) {
        self.elapsed = tick;
        self.earliest = tick;
        self.recent = Recent::NONE;
    }

    /// Notes that a slot has no timers any more, which ends its cascade.
    #[inline]
    fn vacated(&mut self, slot: u32) {
        if let Some(occupied) = self.occupied.get_mut((slot >> DIGIT_BITS) as usize) {
            *occupied &= !(1 << (slot & 0x3f));
        }
        if let Some(due) = self.cascading.take_if(|due| due.slot == slot) {
            self.move_to(due.tick);
        }
    }
}

/// The node of a timer.
#[inline]
const fn node_of(index: u32) -> usize {
    (index as usize).saturating_add(SLOTS as usize)
}

/// How many nodes there are for so many timers.
const fn node_count(capacity: u32) -> usize {
    (capacity as usize).saturating_add(SLOTS as usize)
}

/// Whether a slot is on level 0, where it holds a single tick.
#[inline]
const fn is_lowest(slot: u32) -> bool {
    slot < 1 << DIGIT_BITS
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
