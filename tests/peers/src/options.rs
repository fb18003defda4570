//! What can be asked for on the command line.

use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt};

use crate::contenders::{ALL, Entry, find};
use crate::measure::Order;
use crate::work::Workload;

pub const HELP: &str = "\
plimsoll beside its peers

cargo run --release --manifest-path tests/peers/Cargo.toml [-- OPTIONS]

  --full               the whole: 5 rounds of the full sizes, a soak of 30 s (else a short run, under 4 minutes)
  --only W1,W2         only these workloads: W1 to W7, W1@200k, W1@2M
  --contenders a,b     only these contenders; a name's beginning is enough
  --rounds N           how many rounds
  --tasks-scale F      multiplies the numbers of tasks
  --csv FILE           writes every single run there
  --before PROGRAM     measures plimsoll's contenders by this program too, which was built at an earlier commit, and
                       compares within each round; all workloads, 7 rounds, also for the latencies, unless told
  --instructions       instructions a task by callgrind, instead of times (of W1, W2 and W5 unless --only)
";

/// What a child says that was asked for a contender it does not have.
pub const NO_SUCH_CONTENDER: &str = "no such contender";

/// What to do.
pub enum Asked {
    Child(Entry, Order),
    Rounds(Plan),
    Instructions(Plan),
    Help,
}

/// Which children to start.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workloads: Vec<Workload>,
    pub contenders: Vec<Entry>,
    pub rounds: usize,
    /// In how many of the rounds latencies are taken. One soak says as much as many.
    pub latency_rounds: usize,
    pub scale: f64,
    /// How long a run takes at least.
    pub at_least: Duration,
    pub soak_seconds: u64,
    pub latency_seconds: u64,
    pub csv: Option<PathBuf>,
    /// This program, built at an earlier commit.
    pub before: Option<PathBuf>,
}

impl Plan {
    fn short() -> Self {
        let workloads = Workload::ALL.into_iter().filter(|&workload| workload != Workload::LatencyHigh);
        Self {
            workloads: workloads.collect(),
            contenders: ALL.to_vec(),
            rounds: 3,
            latency_rounds: 1,
            scale: 0.1,
            at_least: Duration::from_millis(100),
            soak_seconds: 3,
            latency_seconds: 1,
            csv: None,
            before: None,
        }
    }

    fn full() -> Self {
        Self {
            workloads: Workload::ALL.to_vec(),
            rounds: 5,
            latency_rounds: 5,
            scale: 1.0,
            at_least: Duration::from_millis(400),
            soak_seconds: 30,
            latency_seconds: 2,
            ..Self::short()
        }
    }

    /// Compares with this program. Fewer rounds would say little, also of the latencies.
    fn comparing(self, before: PathBuf) -> Self {
        let (rounds, latency_rounds) = (7, 7);
        Self { workloads: Workload::ALL.to_vec(), rounds, latency_rounds, before: Some(before), ..self }
    }

    /// Whether this round has this workload.
    pub fn has(&self, workload: Workload, round: usize) -> bool {
        round
            <= match workload {
                Workload::Soak => 1,
                Workload::Latency | Workload::LatencyHigh => self.latency_rounds.min(self.rounds),
                _ => self.rounds,
            }
    }

    /// What a child is asked to do for this workload.
    pub fn order(&self, workload: Workload) -> Order {
        let size = match workload {
            Workload::Soak => self.soak_seconds,
            Workload::Latency | Workload::LatencyHigh => self.latency_seconds,
            _ => ((workload.tasks() as f64 * self.scale) as u64).max(1_000),
        };
        Order { workload, size, at_least: self.at_least, bare: false }
    }
}

/// Reads the command line.
pub fn parse() -> Result<Asked, lexopt::Error> {
    let mut parser = Parser::from_env();
    let mut plan = Plan::short();
    let (mut only, mut contenders, mut rounds, mut scale, mut csv) = (None, None, None, None, None);
    let (mut before, mut instructions) = (None, false);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("child") => return child(&mut parser),
            Arg::Long("full") => plan = Plan::full(),
            Arg::Long("only") => only = Some(parser.value()?.parse_with(workloads)?),
            Arg::Long("contenders") => contenders = Some(parser.value()?.parse_with(entries)?),
            Arg::Long("rounds") => rounds = Some(parser.value()?.parse()?),
            Arg::Long("tasks-scale") => scale = Some(parser.value()?.parse()?),
            Arg::Long("csv") => csv = Some(PathBuf::from(parser.value()?)),
            Arg::Long("before") => before = Some(program(PathBuf::from(parser.value()?))?),
            Arg::Long("instructions") => instructions = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(Asked::Help),
            other => return Err(other.unexpected()),
        }
    }
    if instructions && before.is_some() {
        return Err("--before compares times, not --instructions".into());
    }
    if let Some(before) = before {
        plan = plan.comparing(before);
    }
    plan.csv = csv;
    plan.contenders = contenders.unwrap_or(plan.contenders);
    plan.rounds = rounds.unwrap_or(plan.rounds);
    plan.scale = scale.unwrap_or(plan.scale);
    if instructions {
        let counted = vec![Workload::Ready, Workload::Yield, Workload::Faults];
        plan.workloads = only.unwrap_or(counted);
        return Ok(Asked::Instructions(plan));
    }
    plan.workloads = only.unwrap_or(plan.workloads);
    Ok(Asked::Rounds(plan))
}

/// `--child CONTENDER WORKLOAD SIZE MILLISECONDS [bare]`: how a run is started in a process of its own.
fn child(parser: &mut Parser) -> Result<Asked, lexopt::Error> {
    let entry = parser.value()?.parse_with(|name| find(name).ok_or(NO_SUCH_CONTENDER))?;
    let workload = parser.value()?.parse_with(|name| Workload::parse(name).ok_or("no such workload"))?;
    let size = parser.value()?.parse()?;
    let at_least = Duration::from_millis(parser.value()?.parse()?);
    let bare = parser.optional_value().is_some() || parser.next()?.is_some();
    Ok(Asked::Child(entry, Order { workload, size, at_least, bare }))
}

fn program(path: PathBuf) -> Result<PathBuf, String> {
    path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))
}

fn workloads(names: &str) -> Result<Vec<Workload>, String> {
    let parse = |name| Workload::parse(name).ok_or(format!("no workload is called {name}"));
    names.split(',').map(parse).collect()
}

fn entries(names: &str) -> Result<Vec<Entry>, String> {
    let mut found = Vec::new();
    for name in names.split(',') {
        let fitting = ALL.iter().filter(|entry| entry.name.starts_with(name));
        let before = found.len();
        found.extend(fitting);
        if found.len() == before {
            return Err(format!("no contender is called {name}"));
        }
    }
    Ok(found)
}
