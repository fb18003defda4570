//! What is run live, and how much faster than the world.

use std::path::Path;
use std::time::Duration;

use plimsoll_tests::trace::Trace;

use crate::arrivals::{self, Arrival};
use crate::live::Scene;
use crate::options::Options;

/// A run takes about so long, unless the options say otherwise.
const SHOW: f64 = 15.0;
/// But no more tasks than these arrive in a second.
const FASTEST: f64 = 20_000.0;
/// The production scenario shows an hour in that time.
const HOUR: Duration = Duration::from_secs(3_600);

/// The production scenario.
pub fn of_production(options: &Options) -> Scene<impl Iterator<Item = Arrival>> {
    let span = options.duration.unwrap_or(HOUR);
    let speed = options.speed.unwrap_or(HOUR.as_secs_f64() / SHOW);
    Scene {
        title: title(options, "the production scenario", speed),
        arrivals: arrivals::of_production(options.seed, span),
        span,
        speed,
        attempts: 2,
        skipped: 0,
    }
}

/// A job log.
pub fn of_log(options: &Options, file: &Path, trace: &Trace) -> Scene<impl Iterator<Item = Arrival>> {
    let held = |duration: u64, limit: Option<u64>| limit.map_or(duration, |limit| limit.min(duration));
    let last_end =
        trace.jobs.iter().map(|job| job.arrival.saturating_add(held(job.duration, job.limit))).max();
    let work = trace.jobs.iter().fold(0_u64, |sum, job| sum.saturating_add(held(job.duration, job.limit)));
    // Whatever takes longer: the log as it is, or its work if no worker ever rests.
    let span = Duration::from_millis(last_end.unwrap_or(0).max(work / u64::from(options.workers())));
    let seconds = SHOW.max(trace.jobs.len() as f64 / FASTEST);
    let speed = options.speed.unwrap_or((span.as_secs_f64() / seconds).max(1.0));
    Scene {
        title: title(options, &file.display().to_string(), speed),
        arrivals: arrivals::of_log(trace),
        span,
        speed,
        attempts: 1,
        skipped: trace.remarks.skipped(),
    }
}

fn title(options: &Options, what: &str, speed: f64) -> String {
    format!(
        "{what} on {:?}, {speed:.0} times faster than the world, {} workers, queue of {}",
        options.runtime,
        options.workers(),
        options.queue(),
    )
}
