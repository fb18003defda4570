//! `--virtual --trace`: a job log through the core's machine, driven by hand on a simulated clock.

use std::path::Path;
use std::time::Duration;

use plimsoll_core::{CacheLimits, Drain, Instant, Limits, Processor};
use plimsoll_tests::replay::{Jobs, Replay};
use plimsoll_tests::trace::Trace;

use crate::dashboard::{Dashboard, Figures};
use crate::options::Options;
use crate::report::{Claim, Memory, Report};
use crate::{memory, signals};

/// Replays the log.
pub fn run(options: &Options, file: &Path, trace: &Trace) -> Result<Report, String> {
    let limits = limits(options);
    let mut dashboard = Dashboard::new();
    let before = memory::own_bytes();
    let machine = Processor::new(limits, Instant::ZERO).map_err(|error| error.to_string())?;
    let built = (memory::own_bytes() - before) as u64;
    let mut replay = Replay::new(&trace.jobs, machine);
    let mut steps = 0_u32;
    let mut mode = Drain::Abort;
    while replay.step().map_err(|overrun| format!("{}: {overrun}", file.display()))? {
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
        title: format!(
            "{} on a simulated clock, {} workers, queue of {}",
            file.display(),
            options.workers(),
            options.queue()
        ),
        answer: ended.answer,
        skipped: trace.remarks.skipped(),
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

fn limits(options: &Options) -> Limits {
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
    limits.health_every = Some(Duration::from_secs(3_600));
    limits.sweep_every = Some(Duration::from_secs(3_600));
    limits.seed = options.seed;
    limits
}

fn figures(replay: &mut Replay<'_>, trace: &Trace) -> Figures {
    let (census, totals, cache) = {
        let machine = replay.machine();
        (machine.census(), machine.totals(), machine.cache().stats())
    };
    Figures {
        progress: totals.offered as f64 / trace.jobs.len().max(1) as f64,
        simulated: Duration::from_millis(replay.now_ms()),
        offered: totals.offered,
        queued: census.queued,
        running: census.running,
        orphans: census.orphans,
        hits: cache.hits,
        misses: cache.misses,
        waits: replay.waits().percentiles(),
    }
}
