//! May an attempt start now? The concurrency limit, and all other reasons to hold attempts back.
//!
//! [`Gate::free`] also counts as room for [`Admission`](super::admission::Admission), beside the queue. So every
//! reason to hold attempts back takes that room, too.

use super::tally::Tally;
use crate::{Hold, Limits};

/// Lets an attempt start while a concurrency place is free.
pub(super) struct Gate {
    concurrency: u32,
    most_concurrency: u32,
    most_orphans: u32,
    is_paused: bool,
    is_ending: bool,
}

impl Gate {
    pub(super) const fn new(limits: &Limits) -> Self {
        let Limits { concurrency, orphans, .. } = *limits;
        Self {
            concurrency,
            most_concurrency: concurrency,
            most_orphans: orphans,
            is_paused: false,
            is_ending: false,
        }
    }

    /// How many attempts may run at the same time while the gate is open.
    pub(super) const fn concurrency(&self) -> u32 {
        self.concurrency
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Sets the concurrency, at most to [`Limits::concurrency`], and returns it.
    pub(super) fn set_concurrency(&mut self, concurrency: u32) -> u32 {
        self.concurrency = concurrency.min(self.most_concurrency);
        self.concurrency
    }

    pub(super) fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Shuts the gate for good.
    pub(super) fn end(&mut self) {
        self.is_ending = true;
    }

    /// How many attempts may start now, if tasks are queued: the free concurrency places.
    #[inline]
    pub(super) fn free(&self, tally: &Tally) -> u32 {
        // Not `||`: both are compared at once.
        if (self.is_paused | self.is_ending) || tally.orphans() >= self.most_orphans {
            return 0;
        }
        self.concurrency.saturating_sub(tally.placed())
    }

    /// The reason that holds attempts back, other than running attempts.
    pub(super) fn hold(&self, tally: &Tally) -> Hold {
        if self.is_ending {
            Hold::Ending
        } else if self.is_paused {
            Hold::Paused
        } else if self.concurrency == 0 {
            Hold::Concurrency
        } else if tally.orphans() >= self.most_orphans.min(self.concurrency) {
            Hold::Orphans
        } else {
            Hold::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::State;

    fn gate(concurrency: u32, orphans: u32) -> Gate {
        Gate::new(&Limits { concurrency, orphans, ..Limits::default() })
    }

    #[test]
    fn attempts_and_orphans_take_places() {
        let (gate, mut tally) = (gate(4, 2), Tally::default());
        for (state, free) in [(State::Running, 3), (State::Halting, 2), (State::Stopping, 1)] {
            tally.enter(state);
            assert_eq!((gate.free(&tally), gate.hold(&tally)), (free, Hold::None));
        }
        tally.enter(State::Orphan);
        assert_eq!((gate.free(&tally), gate.hold(&tally)), (0, Hold::Orphans));
    }

    #[test]
    fn too_many_orphans_shut_it_even_with_free_places() {
        let (gate, mut tally) = (gate(4, 1), Tally::default());
        tally.enter(State::Orphan);
        assert_eq!((gate.free(&tally), gate.hold(&tally)), (0, Hold::Orphans));
    }

    #[test]
    fn orphans_may_have_all_places_of_a_lower_limit() {
        let (mut gate, mut tally) = (gate(4, 4), Tally::default());
        tally.enter(State::Orphan);
        gate.set_concurrency(1);
        assert_eq!((gate.free(&tally), gate.hold(&tally)), (0, Hold::Orphans));
    }

    #[test]
    fn causes_of_a_shut_gate_are_told_apart() {
        let (mut gate, tally) = (gate(4, 4), Tally::default());
        assert_eq!(gate.set_concurrency(9), 4, "no more than the limit");
        assert_eq!(
            (gate.set_concurrency(0), gate.free(&tally), gate.hold(&tally)),
            (0, 0, Hold::Concurrency)
        );
        gate.set_paused(true);
        assert_eq!((gate.set_concurrency(3), gate.free(&tally), gate.hold(&tally)), (3, 0, Hold::Paused));
        gate.set_paused(false);
        assert_eq!((gate.free(&tally), gate.hold(&tally)), (3, Hold::None));
        gate.end();
        gate.set_paused(false);
        gate.set_concurrency(4);
        assert_eq!((gate.free(&tally), gate.hold(&tally)), (0, Hold::Ending), "for good");
    }

    #[test]
    fn a_lower_limit_stops_no_attempt() {
        let (mut gate, mut tally) = (gate(4, 4), Tally::default());
        (0..4).for_each(|_| tally.enter(State::Running));
        gate.set_concurrency(1);
        assert_eq!((gate.free(&tally), gate.concurrency()), (0, 1));
    }
}
