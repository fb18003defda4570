//! The timers, with the moves that the machine makes to re-sort them.
//!
//! A far timer moves in the machine's wheel as its time comes nearer. Each move uses one unit of the budget of
//! `advance`, and can be the reason of a wake-up. So the model predicts for each timer whether it moves next or fires:
//!
//! A timer is on the level of the highest digit in which its tick differs from the tick that it is seen from. Digits
//! have six bits; the lowest digit has more if there are very many timers. On the lowest level a timer fires when its
//! tick has come. On a higher level it moves when the first tick comes that has its digits from that level up, and is
//! seen from that tick from then on. So it moves at most once a level, and only the first time past each of its digits
//! that are not zero.
//!
//! New timers are seen from the last tick at which all work was done. While only some of the timers that move at one
//! tick have moved, the others go first, and new timers are still seen from the tick before.

use alloc::vec::Vec;

use super::Owner;
use crate::testkit::flaws::Flaw;
use crate::{Instant, Limits, Reason};

/// Bits of a digit.
const DIGIT: u32 = 6;

/// An armed timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) at: Instant,
    pub(super) owner: Owner,
    /// Its deadline rounded up to a millisecond.
    tick: u64,
    /// The tick from which it is seen.
    from: u64,
}

/// The next unit of work.
#[derive(Debug)]
pub(super) enum Unit {
    Fires(Timer),
    Moves,
    /// Nothing is due.
    None,
}

/// All timers.
#[derive(Debug)]
pub(super) struct Timers {
    /// The armed timers, in the order in which they were armed.
    all: Vec<Timer>,
    /// Bits of the lowest digit.
    lowest: u32,
    /// Timers that move at one tick are taken in turn from this many lists, which the lowest bits of their ticks
    /// choose; and the list that is next.
    lists: u64,
    list: u64,
    /// The tick from which new timers are seen.
    seen_from: u64,
    /// The tick at which some timers have moved, but not all.
    moving: Option<u64>,
}

impl Timers {
    pub(super) fn new(limits: &Limits, now: Instant, flaw: Option<Flaw>) -> Self {
        let capacity = if flaw == Some(Flaw::NarrowsWheels) { 1 } else { limits.timer_slots() };
        let lowest = (capacity / 64).max(1).ilog2().clamp(DIGIT, 11);
        let lists = if lowest > DIGIT { 4 } else { 1 };
        Self { all: Vec::new(), lowest, lists, list: 0, seen_from: last_tick(now), moving: None }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Timer> {
        self.all.iter()
    }

    pub(super) fn has(&self, owner: Owner) -> bool {
        self.all.iter().any(|timer| timer.owner == owner)
    }

    /// A deadline that has passed is due at once.
    pub(super) fn arm(&mut self, at: Instant, owner: Owner) {
        let tick = tick(at).max(self.moving.unwrap_or(self.seen_from));
        self.all.push(Timer { at, owner, tick, from: self.seen_from });
    }

    pub(super) fn disarm(&mut self, owner: Owner) {
        self.all.retain(|timer| timer.owner != owner);
        self.note_if_all_have_moved();
    }

    /// When the first timer of these owners fires.
    pub(super) fn first_of(&self, which: impl Fn(Owner) -> bool) -> Option<Instant> {
        let ticks = self.all.iter().filter(|timer| which(timer.owner)).map(|timer| timer.tick);
        ticks.min().map(Instant::from_millis)
    }

    /// When the next unit of work is due, and what it is.
    pub(super) fn next(&self) -> Option<(Instant, Reason)> {
        let (tick, fires) = self.all.iter().map(|timer| self.turn(timer)).min()?;
        Some((Instant::from_millis(tick), if fires { Reason::Timer } else { Reason::Cascade }))
    }

    /// Does the next unit of work, if it is due.
    pub(super) fn step(&mut self, now: Instant) -> Unit {
        let now = last_tick(now);
        let next = self.all.iter().map(|timer| self.turn(timer)).min();
        match next.filter(|(tick, _)| *tick <= now) {
            None => {
                self.seen_from = self.seen_from.max(now);
                Unit::None
            }
            Some((tick, true)) => {
                let first = self.all.iter().position(|timer| self.turn(timer) == (tick, true));
                first.map_or(Unit::None, |first| Unit::Fires(self.all.remove(first)))
            }
            Some((tick, false)) => {
                self.move_one(tick);
                Unit::Moves
            }
        }
    }

    /// Moves the first timer of the list whose turn it is.
    fn move_one(&mut self, turn: u64) {
        let behind = |tick: u64| tick.wrapping_sub(self.list) % self.lists;
        let due = self.all.iter().enumerate().filter(|(_, timer)| self.turn(timer) == (turn, false));
        let first = due.min_by_key(|(at, timer)| (behind(timer.tick), *at)).map(|(at, _)| at);
        let Some(timer) = first.and_then(|first| self.all.get_mut(first)) else { return };
        timer.from = turn;
        self.list = (timer.tick + 1) % self.lists;
        self.moving = Some(turn);
        self.note_if_all_have_moved();
    }

    fn note_if_all_have_moved(&mut self) {
        let left = |turn| self.all.iter().any(|timer| self.turn(timer) == (turn, false));
        if let Some(turn) = self.moving.filter(|turn| !left(*turn)) {
            self.moving = None;
            self.seen_from = turn;
        }
    }

    /// The tick at which a timer moves or fires, and whether it fires. At one tick, timers move before others fire.
    fn turn(&self, timer: &Timer) -> (u64, bool) {
        match ((timer.tick ^ timer.from) >> self.lowest).checked_ilog2() {
            None => (timer.tick, true),
            Some(bit) => {
                let below = self.lowest + bit / DIGIT * DIGIT;
                (timer.tick >> below << below, false)
            }
        }
    }
}

/// Whether a timer with this deadline has fired by now.
pub(super) fn has_come(deadline: Instant, now: Instant) -> bool {
    tick(deadline) <= last_tick(now)
}

/// A deadline rounded up to the millisecond at which it fires.
fn tick(at: Instant) -> u64 {
    at.as_nanos().div_ceil(1_000_000)
}

/// The last tick that has come. The very last tick comes at the end of time.
fn last_tick(now: Instant) -> u64 {
    if now == Instant::MAX { tick(now) } else { now.as_nanos() / 1_000_000 }
}
