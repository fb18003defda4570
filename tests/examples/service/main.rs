//! A long-running service as its users would write it, on the public API only.
//!
//! `cargo run --release --example service -- --help` tells what it can do. The production scenario and a
//! job log can both be run in real time, faster than the world, on any of the runtimes (`live`), or on a
//! simulated clock by driving the core by hand (`--virtual`). With `--source` they go through a durable queue, which processes share:
//! one puts them in (`producer`), and any number work them off (`live/from_queue`).

mod arrivals;
mod dashboard;
mod live;
mod memory;
mod options;
mod producer;
mod queue;
mod replayed;
mod report;
mod scenes;
mod signals;
mod simulated;
#[cfg(test)]
mod tests;
mod words;

use std::fmt::Display;
use std::io::{Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use arrivals::Arrival;
use live::Scene;
use options::{Options, RuntimeName};
use plimsoll::{Runtime, Smol, Thread, Tokio};
use plimsoll_tests::trace::{Trace, Why};
use queue::Location;
use report::Report;
use serde_json::Value;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs what the options say; tells whether the books balance.
fn run() -> Result<bool, String> {
    let Some(options) = options::parse(std::env::args_os().skip(1))? else {
        print(options::HELP)?;
        return Ok(true);
    };
    let log = options.trace.as_deref().map(|file| read(file, &options)).transpose()?;
    signals::listen()?;
    let report = match (&options.source, &log) {
        (Some(location), log) if options.produce => {
            let produced = match log {
                Some((name, trace)) => producer::produce(location, scenes::of_log(&options, name, trace))?,
                None => producer::produce(location, scenes::of_production(&options))?,
            };
            show(&options, || produced.to_json(), &produced)?;
            return Ok(true);
        }
        (Some(location), _) => on_runtime(&options, WorkOff(location))?,
        (None, Some((name, trace))) if options.simulated => replayed::run(&options, name, trace)?,
        (None, None) if options.simulated => simulated::run(&options)?,
        (None, Some((name, trace))) => on_runtime(&options, scenes::of_log(&options, name, trace))?,
        (None, None) => on_runtime(&options, scenes::of_production(&options))?,
    };
    show(&options, || report.to_json(), &report)?;
    Ok(report.balances())
}

/// What can be run live, on any runtime.
trait Live {
    fn run<R: Runtime + Clone + Send + Sync + 'static>(
        self,
        options: &Options,
        runtime: R,
    ) -> Result<Report, String>;
}

impl<A: Iterator<Item = Arrival>> Live for Scene<A> {
    fn run<R: Runtime + Clone + Send + Sync + 'static>(
        self,
        options: &Options,
        runtime: R,
    ) -> Result<Report, String> {
        live::run(options, runtime, self)
    }
}

/// The jobs of a durable queue.
struct WorkOff<'l>(&'l Location);

impl Live for WorkOff<'_> {
    fn run<R: Runtime + Clone + Send + Sync + 'static>(
        self,
        options: &Options,
        runtime: R,
    ) -> Result<Report, String> {
        live::work_off(options, runtime, self.0)
    }
}

/// Runs something live, on the runtime that was asked for.
fn on_runtime(options: &Options, what: impl Live) -> Result<Report, String> {
    match options.runtime {
        RuntimeName::Smol => what.run(options, Smol::global()),
        RuntimeName::Tokio => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
            let runtime = runtime.map_err(|error| format!("tokio: {error}"))?;
            what.run(options, Tokio::on(runtime.handle().clone()))
        }
        RuntimeName::Thread => {
            let thread = Thread::start().map_err(|error| format!("thread: {error}"))?;
            what.run(options, thread)
        }
    }
}

/// Reads the log, and gives it with its name.
fn read(file: &Path, options: &Options) -> Result<(PathBuf, Trace), String> {
    let (name, trace) = match options.format.filter(|_| options.reads_stdin()) {
        Some(format) => {
            let name = Path::new("the standard input");
            (name, Trace::read(name, format, stdin().lock()))
        }
        None => (file, Trace::open(file, options.format)),
    };
    let mut trace = trace.map_err(|error| match error.why {
        Why::Format => format!("--trace: {error}; or say it with --format"),
        _ => format!("--trace: {error}"),
    })?;
    if let Some(duration) = options.duration {
        let end = trace.jobs.partition_point(|job| Duration::from_millis(job.arrival) < duration);
        trace.jobs.truncate(end);
    }
    Ok((name.to_owned(), trace))
}

fn show(options: &Options, to_json: impl FnOnce() -> Value, text: &impl Display) -> Result<(), String> {
    if options.json { print(&format!("{}\n", to_json())) } else { print(&text.to_string()) }
}

fn print(text: &str) -> Result<(), String> {
    stdout().write_all(text.as_bytes()).map_err(|error| format!("cannot write the report: {error}"))
}
