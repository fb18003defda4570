//! A seeded stress run: processors from their first job to their end, on every runtime, through the public API only.
//!
//! `cargo run --release -p plimsoll-tests --example stress -- --seconds 60 --seed 1`; `--help` tells what else it can
//! do. What is submitted, what handlers do and how it all ends is drawn from the seed; how threads interleave is not, so
//! an episode that has found something may have to be repeated: `--episode` does that.

mod actors;
mod batches;
mod checks;
mod dice;
mod endings;
mod episode;
mod handler;
mod hearing;
mod host;
mod lender;
mod memory;
mod names;
mod options;
mod parts;
mod record;
mod schedules;
mod script;
mod shares;
mod steering;
mod submit;
mod tokens;
mod values;
mod watchdog;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use episode::Episode;
use fastrand::Rng;
use lender::Lender;
use memory::Baseline;
use names::{Action, Check, End, Runtime, Seen};
use options::Options;

/// So many findings of one kind are told in full.
const TOLD: u64 = 3;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("stress: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs what the options say; tells whether nothing was found.
fn run() -> Result<bool, String> {
    let Some(options) = options::parse(std::env::args_os().skip(1))? else {
        print!("{}", options::HELP);
        return Ok(true);
    };
    names::skip(options.skipped.clone());
    watchdog::start(options.patience * 4).map_err(|error| error.to_string())?;
    let lender = Lender::start().map_err(|error| error.to_string())?;
    let mut run = Run { options, lender, baseline: None, episodes: 0, jobs: 0 };
    let nothing = run.go_on()?;
    run.summarise();
    Ok(nothing)
}

struct Run {
    options: Options,
    lender: Lender,
    /// Once each runtime has been there.
    baseline: Option<Baseline>,
    episodes: u64,
    jobs: u64,
}

impl Run {
    fn go_on(&mut self) -> Result<bool, String> {
        let start = Instant::now();
        let limit = Duration::from_secs(self.options.seconds);
        let mut nothing = true;
        while self.options.episodes.map_or(start.elapsed() < limit, |most| self.episodes < most) {
            let episode = self.draw();
            if self.options.verbose {
                eprintln!("{}", episode.label());
            }
            let found = episode.run(&self.lender)?;
            self.episodes += 1;
            if self.options.verbose {
                eprintln!("live: {}", Baseline::live());
            }
            self.jobs += found.jobs;
            let findings = found.findings.into_iter().chain(self.check_process());
            for (check, text) in findings {
                nothing = false;
                check.count();
                if check.counted() <= TOLD {
                    println!("FINDING {}: {}: {text}", check.name(), episode.label());
                }
            }
            if !nothing && self.options.first {
                break;
            }
        }
        Ok(nothing)
    }

    /// The episode that is next.
    fn draw(&self) -> Episode {
        let Options { seed, patience, ref runtimes, ref ends, episode, .. } = self.options;
        let number = episode.unwrap_or(self.episodes);
        let mut dice = Rng::with_seed(seed.rotate_left(32) ^ number);
        let runtime = runtimes[usize::try_from(self.episodes).unwrap_or(0) % runtimes.len()];
        let end = ends[dice.usize(0..ends.len())];
        Episode { seed, number, runtime, end, patience }
    }

    /// What is left in the process, once every runtime has left what it keeps for good.
    fn check_process(&mut self) -> Vec<(Check, String)> {
        let warm = 3 * self.options.runtimes.len() as u64;
        let Some(baseline) = &mut self.baseline else {
            self.baseline = (self.episodes >= warm).then(Baseline::now);
            return Vec::new();
        };
        let threads = baseline.threads_left(self.options.patience);
        let bytes = baseline.bytes_left(self.options.patience);
        let threads = threads.map(|left| (Check::Threads, format!("{left} threads are left")));
        let bytes =
            bytes.map(|left| (Check::Heap, format!("{left} bytes more than at the start are in use")));
        let found = threads.into_iter().chain(bytes).filter(|(check, _)| !names::is_skipped(check.name()));
        let found = found.collect::<Vec<_>>();
        if !found.is_empty() {
            *baseline = Baseline::now();
        }
        found
    }

    /// What was done, so that it is seen that everything was.
    fn summarise(&self) {
        println!("{} episodes, {} jobs", self.episodes, self.jobs);
        println!("runtimes: {}", list(Runtime::ALL, |one| (one.name(), one.counted())));
        println!("ends: {}", list(End::ALL, |one| (one.name(), one.counted())));
        println!("actions: {}", list(Action::ALL, |one| (one.name(), one.counted())));
        println!("outcomes: {}", list(Seen::ALL, |one| (one.name(), one.counted())));
        let findings = Check::ALL.iter().filter(|check| check.counted() > 0).copied().collect::<Vec<_>>();
        if findings.is_empty() {
            println!("NOTHING FOUND");
        } else {
            println!("FINDINGS: {}", list(&findings, |one| (one.name(), one.counted())));
        }
    }
}

fn list<T: Copy>(all: &[T], item: impl Fn(T) -> (&'static str, u64)) -> String {
    let items = all.iter().map(|&one| item(one)).map(|(name, count)| format!("{name} {count}"));
    items.collect::<Vec<_>>().join(", ")
}
