//! A thousand tenants on one machine in virtual time, and one of them that floods it.
//!
//! The tenants' tasks come at random instants (a Poisson process), the tenant of each drawn by Zipf's law, and take an
//! exponentially distributed time. Together they need nine tenths of the machine. One more tenant, the flooding one, offers ten
//! times as much as the whole machine can do, and so gets what the others leave.
//!
//! The ten largest of the thousand have two fifths of the traffic, and the largest alone asks for more than the flooding one
//! gets. So these wait longer: they are at their share, as the flooding one is. What lanes promise is for those below it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;
use plimsoll_core::{
    AttemptId, Effect, Instant, Lane, LaneLimits, Limits, Offer, Processor, Rate, Simple, Terms, Wake,
};

use crate::waits::Waits;

/// How many tenants there are, without the flooding one.
pub const TENANTS: usize = 1_000;
/// How many attempts may run at the same time.
const CONCURRENCY: u32 = 64;
/// How many tasks may wait, and how many of one tenant.
const QUEUE: u32 = 4_096;
const QUEUE_OF_ONE: u32 = 256;
const MEAN_SERVICE: f64 = 0.020;
/// What the tenants ask for together, and the flooding one, as a part of what the machine can do.
const LOAD: f64 = 0.9;
const FLOOD: f64 = 10.0;
/// How many of the tenants are the largest ones.
const LARGEST: u32 = 10;
/// The key of the flooding tenant.
const FLOODING: u32 = TENANTS as u32;

/// How tenants are treated.
#[derive(Clone, Copy, Debug)]
pub struct Treatment {
    /// Whether each has a lane.
    pub has_lanes: bool,
    /// How many attempts of one may run at the same time.
    pub concurrency: Option<u32>,
    /// How many of its attempts may be started in a time.
    pub rate: Option<Rate>,
    /// The weight of each but the flooding one.
    pub weight: u16,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// The concurrency places that were in use on average: of the tenants, and of the flooding one.
    pub places: [f64; 2],
    /// How many tasks were completed, of both.
    pub completed: [u64; 2],
    /// How many were refused, of both.
    pub refused: [u64; 2],
    /// How long 99 in a hundred of the tenants' tasks waited at most for their start: of the ten largest tenants, and of the
    /// others.
    pub waits: [Duration; 2],
}

/// A task, as its job: whose it is, and when it came.
#[derive(Clone, Copy, Debug)]
struct Job {
    tenant: u32,
    came: Instant,
}

struct World {
    machine: Processor<Simple<Job, (), ()>>,
    treatment: Treatment,
    rng: Rng,
    /// The sum of the weights of the tenants up to each.
    zipf: Vec<f64>,
    now: Instant,
    ends: BinaryHeap<Reverse<(u64, u64, u32)>>,
    waits: [Waits; 2],
    outcome: Outcome,
}

/// Runs the tenants for so long.
///
/// # Panics
/// If the machine breaks a promise.
#[must_use]
pub fn run(treatment: Treatment, has_flood: bool, time: Duration) -> Outcome {
    let mut limits = Limits::default();
    (limits.queue, limits.concurrency, limits.delayed) = (QUEUE, CONCURRENCY, 0);
    (limits.unclaimed, limits.subscribers) = (Some(0), 0);
    if treatment.has_lanes {
        limits.lanes = LaneLimits::new(FLOODING + 1).queue(QUEUE_OF_ONE);
    }
    let weights = (1..=TENANTS).scan(0.0, |sum, rank| {
        *sum += 1.0 / rank as f64;
        Some(*sum)
    });
    let mut world = World {
        machine: Processor::new(limits, Instant::ZERO).expect("the limits are right"),
        treatment,
        rng: Rng::with_seed(1),
        zipf: weights.collect(),
        now: Instant::ZERO,
        ends: BinaryHeap::new(),
        waits: [Waits::new(), Waits::new()],
        outcome: Outcome { places: [0.0; 2], completed: [0; 2], refused: [0; 2], waits: [Duration::ZERO; 2] },
    };
    world.run(has_flood, time);
    world.outcome.waits = [0, 1].map(|group| world.waits[group].percentiles()[1]);
    world.outcome
}

impl World {
    fn run(&mut self, has_flood: bool, time: Duration) {
        let capacity = f64::from(CONCURRENCY) / MEAN_SERVICE;
        let gaps = [1.0 / (capacity * LOAD), 1.0 / (capacity * FLOOD)];
        let end = Instant::ZERO.saturating_add(time);
        let mut next = [self.after(gaps[0]), if has_flood { self.after(gaps[1]) } else { Instant::MAX }];
        loop {
            let ends = self.ends.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let timer = match self.machine.next_wake() {
                Wake::Now(_) => self.now,
                Wake::At(at, _) => at,
                Wake::Never => Instant::MAX,
            };
            let at = next[0].min(next[1]).min(Instant::from_nanos(ends)).min(timer);
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            if ends == at.as_nanos() {
                self.end_one();
            }
            let _ = self.machine.advance(self.now, 64);
            for (which, next) in next.iter_mut().enumerate().filter(|(_, next)| **next == at) {
                *next = self.after(gaps[which]);
                let tenant = if which == 0 { self.tenant() } else { FLOODING };
                self.submit(tenant);
            }
            self.start_all();
        }
        assert_eq!(self.machine.census(), self.machine.audit());
        self.outcome.places = self.outcome.places.map(|seconds| seconds / time.as_secs_f64());
    }

    fn submit(&mut self, tenant: u32) {
        let terms =
            if self.treatment.has_lanes { Terms::new().lane(self.lane(tenant)) } else { Terms::new() };
        if self.machine.submit(self.now, Offer::new(Job { tenant, came: self.now }, ()), &terms).is_err() {
            self.outcome.refused[usize::from(tenant == FLOODING)] += 1;
        }
    }

    fn lane(&self, tenant: u32) -> Lane {
        let mut lane = Lane::new(tenant.into());
        if tenant != FLOODING {
            lane = lane.weight(self.treatment.weight);
        }
        if let Some(concurrency) = self.treatment.concurrency {
            lane = lane.concurrency(concurrency);
        }
        match self.treatment.rate {
            Some(rate) => lane.rate(rate),
            None => lane,
        }
    }

    fn start_all(&mut self) {
        while let Some(start) = self.machine.start_next(self.now) {
            let Job { tenant, came } = start.job;
            let is_flooding = usize::from(tenant == FLOODING);
            if is_flooding == 0 {
                let wait = self.now.saturating_since(came);
                self.waits[usize::from(tenant >= LARGEST)]
                    .record_mut(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
            }
            let at = self.after(MEAN_SERVICE);
            self.outcome.places[is_flooding] += at.saturating_since(self.now).as_secs_f64();
            self.ends.push(Reverse((at.as_nanos(), start.attempt.to_bits(), tenant)));
        }
    }

    fn end_one(&mut self) {
        let Some(Reverse((_, attempt, tenant))) = self.ends.pop() else { return };
        let attempt = AttemptId::from_bits(attempt).expect("it was an id");
        self.machine.completed(self.now, attempt, ()).expect("it runs");
        while let Some(effect) = self.machine.poll_effect() {
            assert!(matches!(effect, Effect::Settle(_)), "{effect:?}");
        }
        self.outcome.completed[usize::from(tenant == FLOODING)] += 1;
    }

    /// An instant after now, exponentially distributed with this mean in seconds.
    fn after(&mut self, mean: f64) -> Instant {
        let wait = -mean * (1.0 - self.rng.f64()).ln();
        self.now.saturating_add(Duration::from_secs_f64(wait))
    }

    fn tenant(&mut self) -> u32 {
        let all = self.zipf.last().copied().unwrap_or_default();
        let drawn = self.rng.f64() * all;
        self.zipf.partition_point(|sum| *sum < drawn).min(TENANTS - 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(20);
    const LANES: Treatment = Treatment { has_lanes: true, concurrency: None, rate: None, weight: 1 };

    /// Those below their share wait at most twice as long as without the flood, and all get done what they got done then.
    fn check(treatment: Treatment) -> Outcome {
        let [without, with] = [false, true].map(|has_flood| run(treatment, has_flood, TIME));
        assert!(with.waits[1] <= 2 * without.waits[1], "{with:?}\n{without:?}");
        let [tenants, alone] = [with.completed[0], without.completed[0]];
        assert!(tenants.abs_diff(alone) * 50 < alone, "{tenants} of {alone}");
        with
    }

    #[test]
    fn a_flooding_tenant_gets_what_the_others_leave() {
        let flooded = check(LANES);
        assert!((63.0..64.5).contains(&flooded.places.iter().sum()), "{flooded:?}");
        let weighted = check(Treatment { weight: 4, ..LANES });
        assert!(weighted.waits[0] * 2 < flooded.waits[0], "{weighted:?}\n{flooded:?}");
    }

    #[test]
    fn limits_and_rates_hold_it_down_further() {
        let limited = check(Treatment { concurrency: Some(2), ..LANES });
        assert!((1.5..2.1).contains(&limited.places[1]), "{limited:?}");
        let rated =
            check(Treatment { rate: Some(Rate::new(200, Duration::from_secs(1)).burst(20)), ..LANES });
        assert!((3_500..4_100).contains(&rated.completed[1]), "{rated:?}");
    }

    #[test]
    fn without_lanes_it_takes_nearly_all() {
        let flooded = run(Treatment { has_lanes: false, ..LANES }, true, TIME);
        assert!(flooded.places[1] > 50.0 && flooded.refused[0] > 10_000, "{flooded:?}");
    }
}
