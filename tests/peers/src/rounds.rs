//! Runs of all contenders, each a fresh process, interleaved in rounds so that a busy minute hurts all alike.

use std::env;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::before;
use crate::contenders::{Entry, Side};
use crate::measure::{Order, Sample};
use crate::options::{NO_SUCH_CONTENDER, Plan};
use crate::report;
use crate::work::Workload;

/// What one run has found.
pub struct Run {
    pub round: usize,
    pub workload: Workload,
    pub entry: Entry,
    pub program: Program,
    pub sample: Sample,
}

/// By which program a run was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    This,
    /// The one of an earlier commit.
    Before,
}

/// What all rounds have found.
#[derive(Default)]
struct Found {
    runs: Vec<Run>,
    failures: Vec<String>,
    /// What the earlier program does not have.
    missing: Vec<&'static str>,
}

/// Makes all rounds and prints the report. Fails when any run has.
pub fn run(plan: &Plan) -> ExitCode {
    let mut found = Found::default();
    let terminal = io::stderr().is_terminal();
    for round in 1..=plan.rounds {
        for &workload in plan.workloads.iter().filter(|&&workload| plan.has(workload, round)) {
            for &entry in plan.contenders.iter().filter(|entry| (entry.does)(workload)) {
                if terminal {
                    eprint!("\r\x1b[Kround {round} of {}: {} {}", plan.rounds, workload.name(), entry.name);
                }
                for &program in programs(plan, entry, round) {
                    found.take(plan, round, workload, entry, program);
                }
            }
        }
    }
    if terminal {
        eprint!("\r\x1b[K");
    }
    let Found { runs, mut failures, missing } = found;
    if let Some(path) = &plan.csv {
        let written = File::create(path).and_then(|mut file| file.write_all(report::csv(&runs).as_bytes()));
        if let Err(error) = written {
            failures.push(format!("{}: {error}", path.display()));
        }
    }
    print!("{}", report::table(&runs));
    if plan.before.is_some() {
        print!("\n{}", before::table(&runs));
    }
    for name in missing {
        println!("The earlier program has no contender {name}.");
    }
    conclude(&failures)
}

/// Who makes a contender's run in a round. They take turns in being the first, for the second finds a warmer machine.
fn programs(plan: &Plan, entry: Entry, round: usize) -> &'static [Program] {
    let compared = plan.before.is_some() && entry.side == Side::Plimsoll;
    match (compared, round % 2) {
        (false, _) => &[Program::This],
        (true, 0) => &[Program::Before, Program::This],
        (true, _) => &[Program::This, Program::Before],
    }
}

impl Found {
    /// Makes one run.
    fn take(&mut self, plan: &Plan, round: usize, workload: Workload, entry: Entry, program: Program) {
        let (executable, name) = match program {
            Program::This => (None, entry.name),
            Program::Before => (plan.before.as_deref(), entry.before),
        };
        if program == Program::Before && self.missing.contains(&name) {
            return;
        }
        match child(executable, name, plan.order(workload), &[]) {
            Ok((sample, _)) => self.runs.push(Run { round, workload, entry, program, sample }),
            Err(error) if program == Program::Before && error.contains(NO_SUCH_CONTENDER) => {
                self.missing.push(name);
            }
            Err(error) => {
                let which = if program == Program::Before { "the earlier " } else { "" };
                self.failures.push(format!("{} {which}{name}: {error}", workload.name()));
            }
        }
    }
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
        let (_, told) = child(None, entry.name, order, &valgrind)?;
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

/// Starts this program again, or another one, under `wrapper` if that is not empty. Returns what it found, and what it
/// said on its standard error.
fn child(
    executable: Option<&Path>,
    name: &str,
    order: Order,
    wrapper: &[&str],
) -> Result<(Sample, String), String> {
    // Nobody takes a hundredth of this, but under valgrind.
    let patience = Duration::from_secs(if wrapper.is_empty() { 60 } else { 600 });
    let executable = match executable {
        Some(path) => path.to_owned(),
        None => env::current_exe().map_err(|error| error.to_string())?,
    };
    let mut command = match wrapper {
        [] => Command::new(&executable),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(&executable);
            command
        }
    };
    command.args(["--child", name, order.workload.name()]);
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
