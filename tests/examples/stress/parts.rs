//! The parts of a processor that an episode uses beyond the plain ones, and the terms that go with them.

use std::time::Duration;

use fastrand::Rng;
use plimsoll::{
    Batching, Builder, CacheLimits, Cloning, Lane, LaneLimits, Options, Overflow, Policy, Rate, Timeouts,
    Unique,
};

use crate::dice::{chance, micros};
use crate::names::{Action, is_skipped};

/// So few keys that tasks meet at them.
pub const KEYS: std::ops::Range<u64> = 0..5;
/// Likewise of lanes.
pub const LANES: std::ops::Range<u64> = 0..4;

/// What the processor of an episode is built with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// How many keys are remembered, if there are keys.
    dedup: Option<u32>,
    /// Whether attempts are monitored.
    pub is_monitored: bool,
    /// How many lanes there may be.
    lanes: u32,
    rate: Option<Rate>,
    /// Whether a full queue sheds tasks.
    pub overflow: Overflow,
    /// How many jobs a batch may have at most.
    pub batching: Option<(usize, Batching)>,
    /// How many schedules there may be.
    pub schedules: u32,
}

fn is_used(dice: &mut Rng, percent: u32, action: Action) -> bool {
    chance(dice, percent) && !is_skipped(action.name())
}

impl Parts {
    pub fn draw(dice: &mut Rng) -> Self {
        let rate = Rate::new(dice.u32(1_500..6_000), Duration::from_secs(1)).burst(dice.u32(1..4));
        let most = dice.u32(0..6);
        let within = if chance(dice, 60) { micros(dice, 2_000) } else { Duration::ZERO };
        let batching = (most.max(1) as usize, Batching::new(most).within(within));
        Self {
            dedup: is_used(dice, 50, Action::Unique).then(|| dice.u32(0..4)),
            is_monitored: is_used(dice, 50, Action::Heartbeat),
            lanes: if is_used(dice, 40, Action::UseLane) { dice.u32(1..5) } else { 0 },
            rate: is_used(dice, 15, Action::HoldAll).then_some(rate),
            overflow: [Overflow::Refuse, Overflow::DropOldest, Overflow::DropLowest][dice.usize(0..3)],
            batching: is_used(dice, 25, Action::RunBatch).then_some(batching),
            schedules: if is_used(dice, 35, Action::Schedule) { dice.u32(1..3) } else { 0 },
        }
    }

    pub fn build(&self, dice: &mut Rng, mut builder: Builder<Cloning>) -> Builder<Cloning> {
        if let Some(remembered) = self.dedup {
            builder = builder.dedup(remembered);
        }
        if self.lanes > 0 {
            let limits = LaneLimits::new(self.lanes);
            builder = builder.lanes(if chance(dice, 50) { limits } else { limits.queue(dice.u32(0..4)) });
        }
        if let Some(rate) = self.rate {
            builder = builder.rate(rate);
        }
        if self.batching.is_some() {
            // An attempt that leaves its batch keeps its place for all of its grace, which must come to an end.
            builder = builder.cancel_grace(Duration::from_millis(dice.u64(0..3)));
        }
        builder.monitor(self.is_monitored).overflow(self.overflow).schedules(self.schedules)
    }

    pub const fn has_keys(&self) -> bool {
        self.dedup.is_some()
    }

    pub const fn has_lanes(&self) -> bool {
        self.lanes > 0
    }

    /// Adds terms that need one of the parts.
    pub fn add_terms(&self, dice: &mut Rng, mut options: Options<u64>) -> Options<u64> {
        if self.has_keys() && chance(dice, 40) {
            options = options.unique(draw_unique(dice));
        }
        if self.lanes > 0 && chance(dice, 60) {
            options = options.lane(lane(dice.u64(LANES)));
        }
        if self.is_monitored && chance(dice, 30) {
            options = options.slow_after(micros(dice, 3_000));
        }
        if self.is_monitored && chance(dice, 30) {
            let heartbeat = Some(Duration::from_micros(500) + micros(dice, 6_000));
            let timeouts = options.timeouts.unwrap_or(Timeouts::NONE);
            options = options.timeouts(Timeouts { heartbeat, ..timeouts });
        }
        options
    }
}

fn draw_unique(dice: &mut Rng) -> Unique {
    let unique = Unique::new(dice.u64(KEYS));
    match dice.u32(0..4) {
        0 => unique,
        1 => unique.window(micros(dice, 5_000)),
        2 => unique.replace(),
        _ => unique.replace().longest(micros(dice, 5_000)),
    }
}

/// The lane with this key.
fn lane(key: u64) -> Lane {
    Lane::new(key).weight(key as u16 + 1).concurrency(concurrency_of(key))
}

/// How many attempts of a lane may run at the same time.
pub const fn concurrency_of(key: u64) -> u32 {
    key as u32 % 3 + 1
}

/// Limits of the cache; its entries weigh as much as their keys.
pub fn draw_cache(dice: &mut Rng) -> CacheLimits {
    let limits = CacheLimits::new(dice.u32(0..4));
    let policy = if chance(dice, 50) { Policy::S3Fifo } else { Policy::Fifo };
    let limits = limits.policy(policy);
    let limits = if chance(dice, 50) { limits.weight(dice.u64(0..12)) } else { limits };
    let limits = if chance(dice, 30) { limits.ttl(micros(dice, 3_000)) } else { limits };
    if chance(dice, 30) { limits.time_to_idle(micros(dice, 2_000)) } else { limits }
}
