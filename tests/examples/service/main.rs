//! A long-running service as its users would write it, on the public API only.
//!
//! `cargo run --release --example service -- --help` tells what it can do. The production scenario and a
//! job log can both be run in real time, faster than the world, on any of the runtimes (`live`), or on a
//! simulated clock by driving the core by hand (`--virtual`).

mod arrivals;
mod dashboard;
mod live;
mod memory;
mod options;
mod replayed;
mod report;
mod scenes;
mod signals;
mod simulated;
mod words;

use std::io::{Write, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use arrivals::Arrival;
use live::Scene;
use options::{Options, RuntimeName};
use plimsoll::Smol;
use plimsoll::Thread;
use plimsoll::Tokio;
use plimsoll_tests::trace::Trace;
use report::Report;

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
    let trace =
        options.trace.as_deref().map(|file| read(file, &options).map(|trace| (file, trace))).transpose()?;
    signals::listen()?;
    let report = match &trace {
        Some((file, trace)) if options.simulated => replayed::run(&options, file, trace)?,
        None if options.simulated => simulated::run(&options)?,
        Some((file, trace)) => on_runtime(&options, scenes::of_log(&options, file, trace))?,
        None => on_runtime(&options, scenes::of_production(&options))?,
    };
    show(&report, &options)?;
    Ok(report.balances())
}

/// Runs a scene live, on the runtime that was asked for.
fn on_runtime(options: &Options, scene: Scene<impl Iterator<Item = Arrival>>) -> Result<Report, String> {
    match options.runtime {
        RuntimeName::Smol => live::run(options, Smol::global(), scene),
        RuntimeName::Tokio => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
            let runtime = runtime.map_err(|error| format!("tokio: {error}"))?;
            live::run(options, Tokio::on(runtime.handle().clone()), scene)
        }
        RuntimeName::Thread => {
            let thread = Thread::start().map_err(|error| format!("thread: {error}"))?;
            live::run(options, thread, scene)
        }
    }
}

fn read(file: &Path, options: &Options) -> Result<Trace, String> {
    let mut trace = Trace::open(file, None).map_err(|error| error.to_string())?;
    if let Some(duration) = options.duration {
        let end = trace.jobs.partition_point(|job| Duration::from_millis(job.arrival) < duration);
        trace.jobs.truncate(end);
    }
    Ok(trace)
}

fn show(report: &Report, options: &Options) -> Result<(), String> {
    if options.json { print(&format!("{}\n", report.to_json())) } else { print(&report.to_string()) }
}

fn print(text: &str) -> Result<(), String> {
    stdout().write_all(text.as_bytes()).map_err(|error| format!("cannot write the report: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_tests::trace::Format;
    use report::Claim;

    /// What a live run leaves is left out: it is counted over all threads, and other tests allocate at the same time.
    fn failing(report: &Report) -> Vec<String> {
        let fails = |claim: &Claim| !claim.holds && !claim.text.ends_with("bytes are left");
        report.claims().into_iter().filter(fails).map(|claim| claim.text).collect()
    }

    #[test]
    fn the_production_scenario_balances_on_every_runtime() {
        for runtime in [RuntimeName::Smol, RuntimeName::Tokio, RuntimeName::Thread] {
            let duration = Some(Duration::from_secs(60));
            let options =
                Options { runtime, duration, workers: Some(8), queue: Some(16), ..Options::default() };
            let report = on_runtime(&options, scenes::of_production(&options)).unwrap();
            assert_eq!(failing(&report), Vec::<String>::new(), "{runtime:?}");
            assert!(report.totals.offered > 4_000 && report.totals.settled.total() > 0, "{runtime:?}");
        }
    }

    #[test]
    fn a_log_comes_out_as_recorded_on_every_runtime() {
        let log = "0,20,-1,failed,1\n5,10,-1,cancelled,2\n9,999999,30,x,3\n10,5,-1,x,1\n10,-1,-1,x,4\n";
        let file = Path::new("log.csv");
        let trace = Trace::read(file, Format::Csv, log.as_bytes()).unwrap();
        for runtime in [RuntimeName::Smol, RuntimeName::Tokio, RuntimeName::Thread] {
            let options = Options { runtime, speed: Some(1.0), ..Options::default() };
            let report = on_runtime(&options, scenes::of_log(&options, file, &trace)).unwrap();
            assert_eq!(failing(&report), Vec::<String>::new(), "{runtime:?}");
            let settled = report.totals.settled;
            let counts = (settled.completed, settled.failed, settled.cancelled, settled.timed_out);
            assert_eq!((report.answer.arrivals, counts, report.skipped), (4, (1, 1, 1, 1), 1), "{runtime:?}");
        }
    }

    #[test]
    fn what_does_not_balance_is_said() {
        let options = Options { duration: Some(Duration::from_secs(30)), ..Options::default() };
        let mut report = simulated::run(&options).unwrap();
        assert_eq!(failing(&report), Vec::<String>::new());
        assert_eq!(report.to_json()["ledger"]["timers"]["live"], 0);
        report.ledger.timers.left -= 1;
        assert!(!report.balances() && report.to_json()["balanced"] == false);
        let text = report.to_string();
        assert!(text.contains("DOES NOT HOLD: task timers") && text.ends_with("DO NOT BALANCE\n"), "{text}");
    }
}
