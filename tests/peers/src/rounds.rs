//! Runs of all contenders, each a fresh process, interleaved in rounds so that a busy minute hurts all alike.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::contenders::Entry;
use crate::measure::{Order, Sample};
use crate::options::Plan;
use crate::report;
use crate::work::Workload;

/// What one run has found.
pub struct Run {
    pub round: usize,
    pub workload: Workload,
    pub entry: Entry,
    pub sample: Sample,
}

/// Makes all rounds and prints the report. Fails when any run has.
pub fn run(plan: &Plan) -> ExitCode {
    let mut runs = Vec::new();
    let mut failures = Vec::new();
    let terminal = io::stderr().is_terminal();
    for round in 1..=plan.rounds {
        for &workload in plan.workloads.iter().filter(|&&workload| plan.has(workload, round)) {
            for &entry in plan.contenders.iter().filter(|entry| (entry.does)(workload)) {
                if terminal {
                    eprint!("\r\x1b[Kround {round} of {}: {} {}", plan.rounds, workload.name(), entry.name);
                }
                match child(entry, plan.order(workload), &[]) {
                    Ok((sample, _)) => runs.push(Run { round, workload, entry, sample }),
                    Err(error) => failures.push(format!("{} {}: {error}", workload.name(), entry.name)),
                }
            }
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    if let Some(path) = &plan.csv {
        let written = File::create(path).and_then(|mut file| file.write_all(report::csv(&runs).as_bytes()));
        if let Err(error) = written {
            failures.push(format!("{}: {error}", path.display()));
        }
    }
    print!("{}", report::table(&runs));
    conclude(&failures)
}

/// Prints how many instructions a task takes: the difference of two lengths, so that starting up does not count.
pub fn instructions(plan: &Plan) -> ExitCode {
    let mut failures = Vec::new();
    for &workload in &plan.workloads {
        println!("{} ({}), instructions a task", workload.name(), workload.about());
        for &entry in plan.contenders.iter().filter(|entry| (entry.does)(workload)) {
            match instructions_of(entry, workload) {
                Ok(count) => println!("  {:<28}{count:>8.0}", entry.name),
                Err(error) => failures.push(format!("{} {}: {error}", workload.name(), entry.name)),
            }
        }
    }
    conclude(&failures)
}

fn instructions_of(entry: Entry, workload: Workload) -> Result<f64, String> {
    let window = workload.limits().window() as u64;
    let count = |tasks| {
        let order = Order { workload, size: tasks, at_least: Duration::ZERO, bare: true };
        let valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let (_, told) = child(entry, order, &valgrind)?;
        let collected = told.lines().find_map(|line| line.split_once("Collected : "));
        let number = collected.and_then(|(_, number)| number.trim().parse::<u64>().ok());
        number.ok_or_else(|| format!("callgrind said: {told}"))
    };
    let (short, long) = (2 * window, 6 * window);
    Ok((count(long)? as f64 - count(short)? as f64) / (long - short) as f64)
}

fn conclude(failures: &[String]) -> ExitCode {
    for failure in failures {
        eprintln!("FAILED {failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Waits for a child to end, and ends it if that takes too long: a contender that has lost a wake-up hangs for ever.
fn output(mut command: Command, patience: Duration) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not come to an end"));
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output()
}

/// Starts this program again, under `wrapper` if that is not empty. Returns what it found, and what it said on its
/// standard error.
fn child(entry: Entry, order: Order, wrapper: &[&str]) -> Result<(Sample, String), String> {
    // Nobody takes a hundredth of this, but under valgrind.
    let patience = Duration::from_secs(if wrapper.is_empty() { 60 } else { 600 });
    let own = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = match wrapper {
        [] => Command::new(&own),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&own);
            command
        }
    };
    command.args(["--child", entry.name, order.workload.name()]);
    command.args([order.size.to_string(), order.at_least.as_millis().to_string()]);
    if order.bare {
        command.arg("bare");
    }
    let output = output(command, patience).map_err(|error| error.to_string())?;
    let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match out.lines().find_map(Sample::parse) {
        Some(sample) if output.status.success() => Ok((sample, told.into_owned())),
        _ => {
            let mut first = told.lines().filter(|line| !line.starts_with("==")).take(4);
            Err(format!("{}: {}", output.status, first.by_ref().collect::<Vec<_>>().join(" ")))
        }
    }
}
