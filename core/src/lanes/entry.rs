//! One lane, as the machine keeps it.

use super::lane::Lane;
use super::turns::Turn;
use crate::Instant;
use crate::queue::{Classes, EVERY_CLASS};
use crate::rate::Shutter;

/// The pass of a lane with weight 1 moves on by this with each start.
const STRIDE: u128 = 1 << 32;

/// A lane that exists.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) lane: Lane,
    /// Its queued tasks.
    pub(super) waiting: Classes,
    /// The classes that are not paused.
    pub(super) open: u8,
    /// Its tasks, from admission until their attempts are over.
    pub(super) tasks: u32,
    pub(super) queued: u32,
    /// Its concurrency places.
    pub(super) running: u32,
    /// How many attempts it could start now, as it was counted last.
    pub(super) startable: u32,
    pass: u128,
    /// The number of the start with which it was served last.
    served: u64,
    pub(super) shutter: Shutter,
    /// Whether it waits for its timer before the next start.
    pub(super) is_shut: bool,
}

impl Entry {
    /// A lane that comes when these classes are not paused and the pass served last is `pass`.
    pub(super) fn new(lane: Lane, open: u8, pass: u128, now: Instant) -> Self {
        Self {
            lane,
            waiting: Classes::new(),
            open,
            tasks: 0,
            queued: 0,
            running: 0,
            startable: 0,
            pass: pass.saturating_add(stride(&lane)),
            served: 0,
            shutter: Shutter::new(now),
            is_shut: false,
        }
    }

    /// When it opens, as its rate and a hold say.
    pub(super) fn opens_at(&self) -> Instant {
        self.shutter.opens_at(self.lane.rate)
    }

    /// How many attempts it could start.
    pub(super) fn count_startable(&self) -> u32 {
        let queued = if self.open == EVERY_CLASS { self.queued } else { self.waiting.len_of(self.open) };
        queued.min(self.free(self.lane.concurrency.get()))
    }

    /// How many more attempts may run under this limit, whether or not there is a task for them.
    pub(super) fn free(&self, concurrency: u32) -> u32 {
        if self.is_shut { 0 } else { concurrency.saturating_sub(self.running) }
    }

    /// Its place in the order.
    pub(super) fn turn(&self, number: u32) -> Turn {
        let round = self.running / u32::from(self.lane.weight.get());
        Turn { round, pass: self.pass, served: self.served, lane: number }
    }

    /// Counts a start, the one with the number `served`. Returns the pass that was served, if `pass` was served before.
    pub(super) fn serve(&mut self, pass: u128, served: u64, now: Instant) -> u128 {
        let pass = self.pass.max(pass);
        self.pass = pass.saturating_add(stride(&self.lane));
        self.served = served;
        self.shutter.start(self.lane.rate, now);
        pass
    }
}

/// How far a start moves the pass of a lane.
fn stride(lane: &Lane) -> u128 {
    STRIDE / u128::from(lane.weight.get())
}
