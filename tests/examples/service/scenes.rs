//! What is run live, and how much faster than the world.

use std::path::Path;
use std::time::Duration;

use plimsoll_tests::trace::{Job, Trace};

use crate::arrivals::{self, Arrival};
use crate::live::Scene;
use crate::options::Options;
use crate::report::Log;

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
        what: "the production scenario".to_owned(),
        arrivals: arrivals::of_production(options.seed, span),
        span,
        speed,
        attempts: 2,
        log: Log::default(),
    }
}

/// A job log.
pub fn of_log(options: &Options, file: &Path, trace: &Trace) -> Scene<impl Iterator<Item = Arrival>> {
    let span = span_of_log(options, trace);
    let seconds = SHOW.max(trace.jobs.len() as f64 / FASTEST);
    let speed = options.speed.unwrap_or((span.as_secs_f64() / seconds).max(1.0));
    Scene {
        what: file.display().to_string(),
        arrivals: arrivals::of_log(trace),
        span,
        speed,
        attempts: 1,
        log: log(trace),
    }
}

/// How long a log takes at its own speed: as it is, or for its work if no worker ever rests, whatever is longer.
pub fn span_of_log(options: &Options, trace: &Trace) -> Duration {
    let held = |job: &Job| job.limit.map_or(job.duration, |limit| limit.min(job.duration));
    let last_end = trace.jobs.iter().map(|job| job.arrival.saturating_add(held(job))).max();
    let work: u128 = trace.jobs.iter().map(|job| u128::from(held(job))).sum();
    let millis = u128::from(last_end.unwrap_or(0)).max(work / u128::from(options.workers()));
    Duration::from_secs(u64::try_from(millis / 1_000).unwrap_or(u64::MAX))
        .saturating_add(Duration::from_millis((millis % 1_000) as u64))
}

/// What the report says of a log, which may have been cut after it was read.
pub fn log(trace: &Trace) -> Log {
    let mut remarks = trace.remarks.sentences();
    let beyond = trace.remarks.jobs - trace.jobs.len() as u64;
    if beyond > 0 {
        remarks.push(format!("{beyond} more jobs: beyond --duration, and left out"));
    }
    Log { skipped: trace.remarks.skipped(), remarks }
}
