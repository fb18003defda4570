//! May an attempt start now? The concurrency limit, and all other reasons to hold attempts back.
//!
//! [`Gate::free`] also counts as room for [`Admission`](super::admission::Admission), beside the queue. So what holds all
//! attempts back takes that room, too. What holds those of a lane or a class back does not: their tasks count as if they
//! could start.

use super::tally::Tally;
use crate::rate::Shutter;
use crate::{Hold, Instant, Limits, Rate};

/// Lets an attempt start while a concurrency place is free.
pub(super) struct Gate {
    /// `PAUSED` and so on, in one byte because they are asked for together.
    flags: u8,
    concurrency: u32,
    most_concurrency: u32,
    most_orphans: u32,
    rate: Option<Rate>,
    shutter: Shutter,
}

const PAUSED: u8 = 1;
/// Shut until the timer fires, by a hold or the rate.
const SHUT: u8 = 2;
const ENDING: u8 = 4;
/// What shuts it.
const CLOSED: u8 = PAUSED | SHUT | ENDING;
/// There are lanes.
const LANES: u8 = 8;
/// There is a rate.
const RATE: u8 = 16;
/// There is a monitor.
const MONITOR: u8 = 32;
/// There are keys.
const KEYS: u8 = 64;

impl Gate {
    pub(super) const fn new(limits: &Limits, now: Instant) -> Self {
        let Limits { concurrency, orphans, rate, .. } = *limits;
        let lanes = if limits.lanes.lanes > 0 { LANES } else { 0 };
        let monitor = if limits.monitor { MONITOR } else { 0 };
        let keys = if limits.dedup.is_some() { KEYS } else { 0 };
        Self {
            flags: lanes | monitor | keys | if rate.is_some() { RATE } else { 0 },
            concurrency,
            most_concurrency: concurrency,
            most_orphans: orphans,
            rate,
            shutter: Shutter::new(now),
        }
    }

    /// How many attempts may run at the same time while the gate is open.
    pub(super) const fn concurrency(&self) -> u32 {
        self.concurrency
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.flags & PAUSED != 0
    }

    /// Sets the concurrency, at most to [`Limits::concurrency`], and returns it.
    pub(super) fn set_concurrency(&mut self, concurrency: u32) -> u32 {
        self.concurrency = concurrency.min(self.most_concurrency);
        self.concurrency
    }

    pub(super) fn set_paused(&mut self, is_paused: bool) {
        self.set(PAUSED, is_paused);
    }

    /// Shuts the gate for good.
    pub(super) fn end(&mut self) {
        self.flags |= ENDING;
    }

    /// Whether lanes, the rate, the monitor or the keys have to hear of each task.
    #[inline]
    pub(super) const fn is_followed(&self) -> bool {
        self.flags & (LANES | RATE | MONITOR | KEYS) != 0
    }

    /// Sets the rate of starts. Returns the instant at which the gate opens; `None` if it is open.
    pub(super) fn set_rate(&mut self, rate: Option<Rate>, now: Instant) -> Option<Instant> {
        self.rate = rate;
        self.set(RATE, rate.is_some());
        self.shut_or_open(now)
    }

    /// Counts a start. Returns the instant at which the gate opens, if this start shuts it.
    pub(super) fn start(&mut self, now: Instant) -> Option<Instant> {
        let rate = self.rate?;
        self.shutter.start(Some(rate), now);
        self.shut_or_open(now)
    }

    /// Shuts the gate until an instant, or ends such a hold. Returns the instant at which the gate opens; `None` if it
    /// is open.
    pub(super) fn hold_until(&mut self, until: Instant, now: Instant) -> Option<Instant> {
        self.shutter.hold_until(until);
        self.shut_or_open(now)
    }

    /// Shuts or opens the gate, as the rate and the hold say at this instant. Returns when it opens; `None` if it is
    /// open.
    pub(super) fn shut_or_open(&mut self, now: Instant) -> Option<Instant> {
        let opens_at = self.shutter.opens_at(self.rate);
        self.set(SHUT, opens_at > now);
        (opens_at > now).then_some(opens_at)
    }

    fn set(&mut self, flag: u8, is_set: bool) {
        self.flags = if is_set { self.flags | flag } else { self.flags & !flag };
    }

    /// How many attempts may start now, if tasks are queued: the free concurrency places.
    #[inline]
    pub(super) fn free(&self, tally: &Tally) -> u32 {
        if self.flags & CLOSED != 0 || tally.orphans() >= self.most_orphans {
            return 0;
        }
        self.concurrency.saturating_sub(tally.placed())
    }

    /// The reason that holds attempts back, other than running attempts.
    pub(super) fn hold(&self, tally: &Tally) -> Hold {
        if self.flags & ENDING != 0 {
            Hold::Ending
        } else if self.is_paused() {
            Hold::Paused
        } else if self.flags & SHUT != 0 {
            if self.shutter.is_held(self.rate) { Hold::Held } else { Hold::Rate }
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
    use core::time::Duration;

    fn gate(concurrency: u32, orphans: u32) -> Gate {
        Gate::new(&Limits { concurrency, orphans, ..Limits::default() }, Instant::ZERO)
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

    #[test]
    fn a_rate_and_a_hold_shut_it_for_a_time() {
        let (mut gate, tally) = (gate(4, 4), Tally::default());
        let at = Instant::from_millis;
        let state = |gate: &Gate| (gate.free(&tally), gate.hold(&tally));
        assert_eq!(gate.set_rate(Some(Rate::new(100, Duration::from_secs(1))), at(0)), None);
        assert_eq!((gate.start(at(0)), state(&gate)), (Some(at(10)), (0, Hold::Rate)));
        assert_eq!((gate.hold_until(at(50), at(1)), state(&gate)), (Some(at(50)), (0, Hold::Held)));
        assert_eq!((gate.hold_until(at(1), at(1)), state(&gate)), (Some(at(10)), (0, Hold::Rate)));
        assert_eq!((gate.shut_or_open(at(10)), state(&gate)), (None, (4, Hold::None)));
        assert_eq!(
            (gate.start(at(10)), gate.set_rate(None, at(10)), state(&gate)),
            (Some(at(20)), None, (4, Hold::None))
        );
        assert_eq!((gate.start(at(10)), state(&gate)), (None, (4, Hold::None)), "nothing is counted");
    }
}
