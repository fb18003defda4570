//! The terms of a schedule, and what is known of it.

use std::time::Duration;

use plimsoll::{Instant, Missed, Overlap, Schedule, ScheduleId};

use super::choice::{ms, pick};
use super::plan::Order;

/// What is known of a schedule.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) order: Order,
    pub(super) id: Option<ScheduleId>,
    /// The tasks that its function has made, and how many of these events have told of.
    pub(super) made: Vec<u32>,
    pub(super) told: usize,
    pub(super) calls: u64,
    pub(super) panics: u64,
    pub(super) last: Option<Instant>,
    pub(super) has_ended: bool,
}

impl Order {
    pub(super) fn period(self) -> Duration {
        ms(u64::from(self.0[8] % 12) + 1)
    }

    pub(super) const fn overlaps(self) -> bool {
        self.0[9] % 3 == 0
    }

    pub(super) const fn has_grid(self) -> bool {
        self.0[9] & 16 == 0
    }

    pub(super) fn schedule(self) -> Schedule {
        let schedule = Schedule::fixed_rate(self.period());
        let schedule = schedule.missed(if self.has_grid() { Missed::Skip } else { Missed::Delay });
        let schedule = schedule.overlap(if self.overlaps() { Overlap::Allow } else { Overlap::Skip });
        let schedule = schedule.jitter(pick(self.0[10], &[ms(0), ms(0), ms(1), ms(5)]));
        match self.0[9] >> 6 {
            0 => schedule,
            1 => schedule.first_after(Duration::ZERO),
            _ => schedule.first_after(ms(2)),
        }
    }

    /// Whether the function panics when it is called on its n-th call.
    pub(super) const fn panics_at(self, call: u64) -> bool {
        self.0[10] & 8 != 0 && call % 3 == 0
    }
}
