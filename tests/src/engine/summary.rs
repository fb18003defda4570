//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};

use plimsoll::{Instant, OutcomeKind};

/// What a run came to, so that tests see that it came to something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Steps that were done.
    pub steps: u64,
    /// Tasks that were submitted.
    pub tasks: u64,
    /// Events that were seen.
    pub events: u64,
    /// Outcomes that were seen, by kind.
    pub settled: [u64; OutcomeKind::COUNT],
    /// How often a subscriber had missed events.
    pub lagged: u64,
    /// Whether a shutdown has ended.
    pub shut_down: u64,
    /// What keys, schedules, the monitor and the rest have come to, by name, and how often.
    pub reached: BTreeMap<&'static str, u64>,
    /// Virtual time that has passed, in nanoseconds.
    pub nanos: u64,
    /// A hash of these events and their times.
    pub trace: u64,
}

impl Summary {
    pub(super) fn note(&mut self, now: Instant, event: &dyn fmt::Debug) {
        self.events += 1;
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.trace);
        hasher.write(format!("{now:?} {event:?}").as_bytes());
        self.trace = hasher.finish();
    }

    /// Adds another run to this one.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.tasks += other.tasks;
        self.events += other.events;
        self.settled.iter_mut().zip(other.settled).for_each(|(sum, more)| *sum += more);
        self.lagged += other.lagged;
        self.shut_down += other.shut_down;
        other.reached.iter().for_each(|(what, times)| *self.reached.entry(what).or_default() += times);
        self.nanos = self.nanos.saturating_add(other.nanos);
        self.trace ^= other.trace.rotate_left(self.steps as u32);
    }
}
