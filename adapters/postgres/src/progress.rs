//! Where a pull begins to look.
//!
//! The rows of jobs that are done stay in the index until `VACUUM` removes them, and they are at its front. While a backlog is worked
//! off, a pull from the front would pass over more and more of them: with a million, that takes longer than all else. So a pull
//! goes on from where the one before has begun to find something, and one begins at the front now and then: when it has paid for
//! itself, and at once when the one before has not filled its room.

use std::time::Duration;

use tokio::time::Instant;

use crate::sql;
use crate::wire::{self, Place};

/// How many times as long as a pull from the front takes the next one is put off.
const SHARE: u32 = 10;

/// For how long it is put off at most.
const LONGEST: Duration = Duration::from_secs(1);

/// How far a source has come in the order of delivery.
#[derive(Debug)]
pub(crate) struct Progress {
    place: Place,
    /// When the next pull is to begin at the front. `None` for now.
    front_at: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self { place: wire::START, front_at: None }
    }
}

impl Progress {
    /// Where the next pull begins.
    pub(crate) fn next_place(&self) -> Place {
        let is_put_off = self.front_at.is_some_and(|at| Instant::now() < at);
        if is_put_off { self.place } else { wire::START }
    }

    /// A pull that began at a place, at a time, has taken these jobs, which are in order.
    pub(crate) fn note(&mut self, from: Place, started: Instant, taken: &[sql::Pulled], room: u32) {
        match taken.first() {
            Some(first) if taken.len() >= room as usize => self.place = first.place,
            _ => return *self = Self::default(),
        }
        if from == wire::START {
            self.front_at = Some(Instant::now() + (started.elapsed() * SHARE).min(LONGEST));
        }
    }
}
