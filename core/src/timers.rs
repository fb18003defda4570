//! The only place where a deadline lives: a hierarchical timing wheel (Varghese and Lauck, 1987,
//! scheme 7).
//!
//! Arm, disarm and `next_wake` are O(1) whatever the number of timers, and a disarmed timer's slot
//! is free at once. A binary heap costs O(log n) for each and frees lazily, or needs a position
//! kept up to date in every entry.
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

use crate::ids::TimerId;
use crate::list::{Linked, Links, List};
use crate::slots::Slots;
use crate::time::Instant;

const TICK: u64 = 1_000_000;
const DIGIT_BITS: u32 = 6;
const LEVELS: usize = 8;
const LISTS: usize = LEVELS << DIGIT_BITS;

/// The tick at whose start a deadline fires.
const fn tick_of(deadline: Instant) -> u64 {
    deadline.as_nanos().div_ceil(TICK)
}

/// When a tick begins.
const fn start_of(tick: u64) -> Instant {
    Instant::from_nanos(tick.saturating_mul(TICK))
}

/// The last tick that has begun.
fn tick_at(now: Instant) -> u64 {
    if now == Instant::MAX { tick_of(now) } else { now.as_nanos() / TICK }
}

#[derive(Debug)]
struct Node<O> {
    tick: u64,
    owner: O,
    links: Links,
    level: u8,
}

impl<O> Linked for Node<O> {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
    fn links_ref(&self) -> &Links {
        &self.links
    }
}

/// One slot of the wheel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    level: u8,
    digit: u8,
}

impl Place {
    /// Where `tick` stands on `level`.
    fn on(level: u8, tick: u64) -> Self {
        let digit = (tick >> (DIGIT_BITS * u32::from(level))) & 0x3f;
        Self { level, digit: digit as u8 }
    }

    /// Where `tick` stands, seen from the tick `elapsed`.
    fn seen_from(elapsed: u64, tick: u64) -> Self {
        let level = (elapsed ^ tick).checked_ilog2().unwrap_or(0) / DIGIT_BITS;
        Self::on(level as u8, tick)
    }

    fn list(self) -> usize {
        (usize::from(self.level) << DIGIT_BITS) | usize::from(self.digit)
    }
}

/// A slot of the wheel that has timers, and its first tick.
#[derive(Clone, Copy, Debug)]
struct Due {
    place: Place,
    tick: u64,
}

/// What one [`Timers::step`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step<O> {
    /// A timer fired; it is gone.
    Fired(O),
    /// A timer moved one level or more down.
    Moved,
    /// Nothing is left to do at this instant.
    Idle,
}

/// At most `capacity` armed timers, each with the `owner` to whom it is given back when it fires.
#[derive(Debug)]
pub(crate) struct Timers<O> {
    nodes: Slots<TimerId, Node<O>>,
    lists: Vec<List>,
    /// One bit for each slot that has timers, level by level.
    occupied: [u64; LEVELS],
    /// The tick from which all places are seen; no armed timer's tick is earlier.
    elapsed: u64,
    /// The slot that is being emptied downwards; never an empty one.
    cascading: Option<Due>,
}

impl<O: Copy> Timers<O> {
    /// No timers yet. Allocates [`Timers::bytes`], O(capacity).
    pub(crate) fn new(capacity: u32, now: Instant) -> Self {
        let mut lists = Vec::with_capacity(LISTS);
        lists.resize_with(LISTS, List::new);
        Self {
            nodes: Slots::new(capacity, 0),
            lists,
            occupied: [0; LEVELS],
            elapsed: tick_at(now),
            cascading: None,
        }
    }

    /// The bytes that [`Timers::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Slots::<TimerId, Node<O>>::bytes(capacity).saturating_add(LISTS * size_of::<List>())
    }

    /// Arms a timer; O(1). A deadline that is over already fires at the next step. `None` when
    /// there is no room.
    pub(crate) fn arm(&mut self, at: Instant, owner: O) -> Option<TimerId> {
        let earliest = self.cascading.map_or(self.elapsed, |due| due.tick);
        let tick = tick_of(at).max(earliest);
        let id = self.nodes.insert(Node { tick, owner, links: Links::default(), level: 0 }).ok()?;
        self.link(self.nodes.index_of(id), self.elapsed);
        Some(id)
    }

    /// Disarms a timer and frees its slot at once; O(1). `None` when it has fired or was disarmed
    /// before.
    pub(crate) fn disarm(&mut self, id: TimerId) -> Option<O> {
        self.nodes.get(id)?;
        self.take(self.nodes.index_of(id))
    }

    /// When [`Timers::step`] has work next, and whether a timer fires then (`true`) or the wheel
    /// only cascades; `None` when nothing is armed. Never later than the tick of the earliest
    /// deadline; O(1).
    pub(crate) fn next_wake(&self) -> Option<(Instant, bool)> {
        self.next().map(|due| (start_of(due.tick), due.place.level == 0))
    }

    /// Does one unit of work that is due at `now`: fires one timer or moves one down; O(1).
    pub(crate) fn step(&mut self, now: Instant) -> Step<O> {
        let now = tick_at(now);
        let Some(due) = self.next().filter(|due| due.tick <= now) else {
            self.elapsed = self.elapsed.max(now);
            return Step::Idle;
        };
        let Some(index) = self.lists.get(due.place.list()).and_then(List::front) else {
            debug_assert!(false, "an occupied slot has timers");
            self.vacated(due.place);
            return Step::Moved;
        };
        if due.place.level == 0 {
            return self.take(index).map_or(Step::Moved, Step::Fired);
        }
        self.cascading = Some(due);
        self.unlink(index);
        self.link(index, due.tick);
        Step::Moved
    }

    /// How many timers are armed.
    pub(crate) fn len(&self) -> u32 {
        self.nodes.len()
    }

    /// How many slots are used up for good, see [`Slots::retired`].
    pub(crate) fn retired(&self) -> u32 {
        self.nodes.retired()
    }

    /// The owners of all armed timers, in no particular order; O(capacity).
    pub(crate) fn iter(&self) -> impl Iterator<Item = O> {
        self.nodes.iter().map(|(_, node)| node.owner)
    }

    /// The slot whose turn is next.
    fn next(&self) -> Option<Due> {
        if self.cascading.is_some() {
            return self.cascading;
        }
        let (level, &occupied) = self.occupied.iter().enumerate().find(|(_, occupied)| **occupied != 0)?;
        let digit = occupied.trailing_zeros();
        let shift = DIGIT_BITS * level as u32;
        let above = self.elapsed & (u64::MAX << (shift + DIGIT_BITS));
        let place = Place { level: level as u8, digit: digit as u8 };
        Some(Due { place, tick: above | (u64::from(digit) << shift) })
    }

    /// Puts a timer in the slot where it stands seen from `elapsed`, behind those in it.
    fn link(&mut self, index: u32, elapsed: u64) {
        let Some(node) = self.nodes.at_mut(index) else {
            return;
        };
        let place = Place::seen_from(elapsed, node.tick);
        node.level = place.level;
        if let (Some(list), Some(occupied)) =
            (self.lists.get_mut(place.list()), self.occupied.get_mut(usize::from(place.level)))
        {
            list.push_back(&mut self.nodes, index);
            *occupied |= 1 << place.digit;
        }
    }

    /// Takes a timer out of its slot.
    fn unlink(&mut self, index: u32) {
        let Some(node) = self.nodes.at(index) else {
            return;
        };
        let place = Place::on(node.level, node.tick);
        if let Some(list) = self.lists.get_mut(place.list()) {
            list.remove(&mut self.nodes, index);
            if list.is_empty() {
                self.vacated(place);
            }
        }
    }

    /// Notes that a slot has no timers any more, which ends its cascade.
    fn vacated(&mut self, place: Place) {
        if let Some(occupied) = self.occupied.get_mut(usize::from(place.level)) {
            *occupied &= !(1 << place.digit);
        }
        if let Some(due) = self.cascading.take_if(|due| due.place == place) {
            self.elapsed = due.tick;
        }
    }

    /// Takes a timer out altogether.
    fn take(&mut self, index: u32) -> Option<O> {
        self.unlink(index);
        self.nodes.remove_at(index).map(|node| node.owner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
