//! `--virtual --trace`: a job log through the core's machine, driven by hand on a simulated clock.

use std::path::Path;
use std::time::Duration;

use plimsoll_core::{CacheLimits, Drain, Instant, Limits, Processor};
use plimsoll_tests::replay::{Jobs, Replay};
use plimsoll_tests::trace::Trace;

use crate::dashboard::{self, Dashboard, Figures};
use crate::options::Options;
use crate::report::{Claim, Memory, Report};
use crate::scenes::{log, span_of_log};
use crate::{memory, signals};

/// No log has many more intervals of health checks.
const MOST_INTERVALS: u32 = 10_000;

/// Replays the log.
pub fn run(options: &Options, file: &Path, trace: &Trace) -> Result<Report, String> {
    let limits = limits(options, trace);
    let mut dashboard = Dashboard::new();
    let before = memory::own_bytes();
    let machine = Processor::new(limits, Instant::ZERO).map_err(|error| options.blame(&error))?;
    let built = (memory::own_bytes() - before) as u64;
    let mut replay = Replay::new(&trace.jobs, machine);
    let mut steps = 0_u32;
    let mut mode = Drain::Abort;
    while replay.step().map_err(|overrun| format!("--trace: {}: {overrun}", file.display()))? {
        steps = steps.wrapping_add(1);
        if steps % 256 == 0 {
            dashboard.tick(|| figures(&mut replay, trace));
            if signals::interrupts() > 0 {
                dashboard.say("interrupted: nothing more arrives, what was admitted goes on");
                mode = Drain::Graceful(Duration::MAX);
                break;
            }
        }
    }
    let simulated = Duration::from_millis(replay.now_ms());
    let ended = replay.end(mode);
    let left = (memory::own_bytes() - before) as u64;
    let admitted = ended.totals.admitted;
    Ok(Report {
        title: format!("{} on a simulated clock, {}", file.display(), options.size()),
        answer: ended.answer,
        log: log(trace),
        source: None,
        totals: ended.totals,
        ledger: ended.ledger,
        census: ended.census,
        remains: Some(ended.remains),
        cache: ended.books.cache,
        memory: Memory { promised: limits.footprint::<Jobs>().total() as u64, built, left },
        simulated,
        wall: dashboard.finish(),
        claims: vec![
            Claim::equal("callbacks called = tasks admitted", ended.books.called, admitted),
            Claim::equal("listeners still registered", ended.listeners as u64, 0),
            Claim::equal("attempts abandoned", ended.remains.abandoned.into(), 0),
            Claim::equal("bytes left", left, 0),
        ],
    })
}

fn limits(options: &Options, trace: &Trace) -> Limits {
    let mut limits = Limits::default();
    limits.queue = options.queue();
    limits.concurrency = options.workers();
    // Jobs of a log are not delayed and answer by callback, and nobody waits for room: a log does not slow down.
    limits.delayed = 0;
    limits.unclaimed = Some(0);
    limits.waiters = 0;
    limits.emitters = 1;
    limits.subscribers = 1;
    limits.cache =
        CacheLimits { entries: 1_024, ttl: Some(Duration::from_secs(86_400)), ..CacheLimits::default() };
    limits.health_every = Some(interval(options, trace));
    limits.sweep_every = Some(interval(options, trace));
    limits.seed = options.seed;
    limits
}

/// An hour, or more for a log of years: a century has a million hours, in which nothing else may happen.
fn interval(options: &Options, trace: &Trace) -> Duration {
    (span_of_log(options, trace) / MOST_INTERVALS).max(Duration::from_secs(3_600))
}

fn figures(replay: &mut Replay<'_>, trace: &Trace) -> Figures {
    let (census, totals, cache) = {
        let machine = replay.machine();
        (machine.census(), machine.totals(), machine.cache().stats())
    };
    Figures {
        progress: Some(totals.offered as f64 / trace.jobs.len().max(1) as f64),
        time: Duration::from_millis(replay.now_ms()),
        count: totals.offered,
        processor: Some(dashboard::Processor::of(&census, &cache, replay.waits().percentiles())),
        ..Figures::default()
    }
}
