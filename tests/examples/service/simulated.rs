//! `--virtual` without a log: the production load through the core, driven by hand on a simulated clock.

use std::time::Duration;

use plimsoll_core::{Instant, Limits, Processor};
use plimsoll_tests::load::{Load, Work};
use plimsoll_tests::replay::Answer;

use crate::dashboard::{self, Dashboard, Figures};
use crate::options::Options;
use crate::report::{Claim, Log, Memory, Report};
use crate::words::span;
use crate::{memory, signals};

/// At each full hour the load is at rest.
const HOUR: Duration = Duration::from_secs(3_600);
/// The live line is looked after this often.
const STEP: Duration = Duration::from_secs(60);
/// How long the end may take.
const GRACE: Duration = Duration::from_secs(60);

/// Runs the load.
pub fn run(options: &Options) -> Result<Report, String> {
    let mut limits = Load::limits();
    limits.queue = options.queue.unwrap_or(limits.queue);
    limits.concurrency = options.workers.unwrap_or(limits.concurrency);
    limits.seed = options.seed;
    let duration = options.duration.unwrap_or(HOUR);
    let built = measure(limits, options)?;
    let before = memory::own_bytes();
    let mut load = Load::new(options.seed, limits).map_err(|error| options.blame(&error))?;
    let mut dashboard = Dashboard::new();
    let mut flat = Flat::default();
    let mut now = Duration::ZERO;
    while now < duration && signals::interrupts() == 0 {
        now = (now + STEP).min(duration);
        load.run_until(Instant::ZERO.saturating_add(now));
        if now.as_nanos() % HOUR.as_nanos() == 0 {
            flat.note(load.machine().census().tasks, memory::own_bytes());
        }
        dashboard.tick(|| figures(&mut load, now.as_secs_f64() / duration.as_secs_f64()));
    }
    if signals::interrupts() > 0 {
        dashboard.say("interrupted: nothing more arrives, what was admitted goes on");
    }
    let cache = load.cache_stats();
    let remains = load.end(Some(GRACE));
    let (totals, ledger, census) =
        (load.machine().totals(), load.machine().ledger(), load.machine().census());
    let (total_wait, max_wait) = load.waits().sums();
    let seen = load.snapshot().seen;
    drop(load);
    let left = (memory::own_bytes() - before) as u64;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Ok(Report {
        title: format!(
            "the production load on a simulated clock, {} workers, queue of {}, {} at rest after {} full hours",
            limits.concurrency,
            limits.queue,
            flat.words(),
            flat.hours,
        ),
        answer: Answer {
            max_queue: ledger.queued.highest.into(),
            max_running: ledger.running.highest.into(),
            total_wait_ms: millis(total_wait),
            max_wait_ms: millis(max_wait),
            makespan_ms: millis(now),
            ..Answer::of(&totals)
        },
        log: Log::default(),
        source: None,
        totals,
        ledger,
        census,
        remains: Some(remains),
        cache,
        memory: Memory { promised: limits.footprint::<Work>().total() as u64, built, left },
        simulated: now,
        wall: dashboard.finish(),
        claims: vec![
            Claim::equal("callbacks called = tasks admitted with one", seen.callbacks.1, seen.callbacks.0),
            Claim::equal("emitters detached = attached", seen.emitters.1, seen.emitters.0),
            Claim::equal("bytes left", left, 0),
            Claim {
                holds: flat.is_flat,
                text: format!("live slots and bytes are the same at every full hour, after {}", span(now)),
            },
        ],
    })
}

/// Whether every hour ends as the first one did.
struct Flat {
    hours: u64,
    first: Option<(u32, i64)>,
    is_flat: bool,
}

impl Default for Flat {
    fn default() -> Self {
        Self { hours: 0, first: None, is_flat: true }
    }
}

impl Flat {
    fn note(&mut self, slots: u32, bytes: i64) {
        self.hours += 1;
        self.is_flat &= *self.first.get_or_insert((slots, bytes)) == (slots, bytes);
    }

    fn words(&self) -> &'static str {
        if self.is_flat { "flat" } else { "NOT FLAT" }
    }
}

/// What a machine takes when it is built.
fn measure(limits: Limits, options: &Options) -> Result<u64, String> {
    let before = memory::own_bytes();
    let machine = Processor::<Work>::new(limits, Instant::ZERO).map_err(|error| options.blame(&error))?;
    let built = (memory::own_bytes() - before) as u64;
    drop(machine);
    Ok(built)
}

fn figures(load: &mut Load, progress: f64) -> Figures {
    let (snapshot, cache) = (load.snapshot(), load.cache_stats());
    Figures {
        progress: Some(progress),
        time: snapshot.now.saturating_since(Instant::ZERO),
        count: snapshot.totals.offered,
        processor: Some(dashboard::Processor::of(&snapshot.census, &cache, load.waits().percentiles())),
        ..Figures::default()
    }
}
