//! The timer store by itself, for measuring.

use crate::Instant;
use crate::timers::{Step, Timers};

/// The machine's timer store: timers with fixed numbers, armed and disarmed in O(1).
///
/// ```
/// # use plimsoll_core::{Instant, testkit::Wheel};
/// let mut wheel = Wheel::new(10, Instant::ZERO);
/// wheel.arm(3, Instant::from_millis(5));
/// wheel.arm(4, Instant::from_millis(5));
/// assert!(wheel.disarm(4) && !wheel.disarm(4));
/// assert_eq!(wheel.fire(Instant::from_millis(4)), None);
/// assert_eq!(wheel.fire(Instant::from_millis(5)), Some(3));
/// assert_eq!(wheel.next_wake(), None);
/// ```
#[derive(Debug)]
pub struct Wheel(Timers);

impl Wheel {
    /// A wheel of `capacity` timers, none of them armed. O(capacity).
    #[must_use]
    pub fn new(capacity: u32, now: Instant) -> Self {
        Self(Timers::new(capacity, now))
    }

    /// Arms timer number `index`, or moves it if it was armed. O(1).
    pub fn arm(&mut self, index: u32, at: Instant) {
        self.0.arm(index, at);
    }

    /// Disarms timer number `index`. Returns whether it was armed. O(1).
    pub fn disarm(&mut self, index: u32) -> bool {
        self.0.disarm(index)
    }

    /// Fires the next timer that is due at `now`. O(timers that have to be re-sorted).
    pub fn fire(&mut self, now: Instant) -> Option<u32> {
        loop {
            match self.0.step(now) {
                Step::Fired(index) => return Some(index),
                Step::Moved => {}
                Step::Idle => return None,
            }
        }
    }

    /// Does one step of the work that is due at `now`: `Some` if there was one, with the timer if one fired. O(1).
    pub fn step(&mut self, now: Instant) -> Option<Option<u32>> {
        match self.0.step(now) {
            Step::Fired(index) => Some(Some(index)),
            Step::Moved => Some(None),
            Step::Idle => None,
        }
    }

    /// When there is work next. Never later than the tick of the earliest deadline. O(1).
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        self.0.next_wake().map(|(at, _)| at)
    }
}
