//! What arrives at a service that runs live: the production scenario, or a job log.

use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;
use plimsoll_tests::trace::{Ending, Job, Trace};

/// One task as the world sends it, in simulated time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    pub at: Duration,
    pub work: Work,
    pub way: Way,
}

/// The job itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    pub duration: Duration,
    /// Its start-to-close time-out.
    pub limit: Option<Duration>,
    pub fate: Fate,
    /// What it needs from the cache.
    pub key: u64,
}

/// How the work will end, left to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Completed,
    /// The first so many attempts fail.
    Fails(u32),
    Panics,
    /// It cancels its own task.
    Cancelled,
    /// It never ends.
    Hangs,
}

/// How a task comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the external emitter, alone.
    Task,
    /// From the external emitter, as one of a batch.
    Batch,
    /// From a part of the service that is called back.
    Callback,
    /// From a client that holds the handle, and may lose interest.
    Handle,
    /// From somebody who will ask for the result, or forget to.
    Retained,
}

/// The arrivals of a job log.
pub fn of_log(trace: &Trace) -> impl Iterator<Item = Arrival> {
    trace.jobs.iter().map(|&Job { arrival, duration, limit, key, ending }| Arrival {
        at: Duration::from_millis(arrival),
        work: Work {
            duration: Duration::from_millis(duration),
            limit: limit.map(Duration::from_millis),
            key,
            fate: match ending {
                Ending::Completed => Fate::Completed,
                Ending::Failed => Fate::Fails(u32::MAX),
                Ending::Cancelled => Fate::Cancelled,
            },
        },
        way: Way::Task,
    })
}

/// Tasks per second in the production scenario.
pub const RATE: f64 = 100.0;
/// Half of the tasks of the production scenario take at most this long…
const MEDIAN: f64 = 0.12;
/// …and 16 % take at least e times as long.
const SIGMA: f64 = 1.0;
/// No task of the production scenario may take longer.
const LIMIT: Duration = Duration::from_secs(10);

/// The production scenario: a Poisson process of [`RATE`] tasks a second whose durations have a log-normal
/// distribution. Some fail (half of these for good), some panic, some hang until they time out.
pub fn of_production(seed: u64, duration: Duration) -> impl Iterator<Item = Arrival> {
    let mut random = Rng::with_seed(seed);
    let mut at = 0.0;
    std::iter::from_fn(move || {
        at += exponential(&mut random) / RATE;
        let now = Duration::from_secs_f64(at);
        (now < duration).then(|| Arrival {
            at: now,
            work: Work {
                duration: Duration::from_secs_f64(MEDIAN * (SIGMA * normal(&mut random)).exp()),
                limit: Some(LIMIT),
                fate: fate(&mut random),
                key: key(&mut random),
            },
            way: way(&mut random),
        })
    })
}

fn exponential(random: &mut Rng) -> f64 {
    -(1.0 - random.f64()).ln()
}

/// By the transform of Box and Muller.
fn normal(random: &mut Rng) -> f64 {
    (2.0 * exponential(random)).sqrt() * (TAU * random.f64()).cos()
}

fn fate(random: &mut Rng) -> Fate {
    match random.u32(..1_000) {
        0..2 => Fate::Panics,
        2..5 => Fate::Hangs,
        5..15 => Fate::Fails(1),
        15..25 => Fate::Fails(u32::MAX),
        _ => Fate::Completed,
    }
}

/// A few keys are asked for often, most seldom.
fn key(random: &mut Rng) -> u64 {
    (10_000.0 * random.f64().powi(4)) as u64
}

fn way(random: &mut Rng) -> Way {
    match random.u32(..100) {
        0..15 => Way::Callback,
        15..20 => Way::Handle,
        20..22 => Way::Retained,
        22..42 => Way::Batch,
        _ => Way::Task,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_production_scenario_is_as_described_and_repeatable() {
        let hour = Duration::from_secs(3_600);
        let arrivals: Vec<_> = of_production(7, hour).collect();
        assert_eq!(arrivals, of_production(7, hour).collect::<Vec<_>>());
        let per_second = arrivals.len() as f64 / 3_600.0;
        assert!((99.0..101.0).contains(&per_second), "{per_second}");
        assert!(arrivals.windows(2).all(|pair| pair[0].at <= pair[1].at));
        let mut durations: Vec<_> = arrivals.iter().map(|arrival| arrival.work.duration).collect();
        durations.sort();
        let share = |quantile: f64| durations[(durations.len() as f64 * quantile) as usize].as_secs_f64();
        assert!((0.118..0.122).contains(&share(0.5)), "{}", share(0.5));
        assert!((2.6..2.8).contains(&(share(0.8413) / share(0.5))), "{}", share(0.8413));
        let failing = arrivals.iter().filter(|arrival| matches!(arrival.work.fate, Fate::Fails(_))).count();
        assert!((0.018..0.022).contains(&(failing as f64 / arrivals.len() as f64)));
    }
}
