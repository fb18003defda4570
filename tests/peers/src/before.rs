//! This program beside one that was built at an earlier commit: what is printed. Each ratio is taken inside a round,
//! where both ran one right after the other; what is told is the median of these.

use std::fmt::Write;

use crate::contenders::Entry;
use crate::measure::Sample;
use crate::report::{cpu_per_task, keeps_up, median, per_second, ratio};
use crate::rounds::{Program, Run};
use crate::work::Workload;

/// The runs of one contender in one workload, a pair for each round.
struct Compared<'a> {
    workload: Workload,
    entry: Entry,
    pairs: Vec<Pair<'a>>,
}

struct Pair<'a> {
    before: &'a Sample,
    now: &'a Sample,
}

/// A table of what a task costs, one of the latencies, and the worst of the ratios, as Markdown.
pub fn table(runs: &[Run]) -> String {
    let compared = compare(runs);
    let (latencies, costs): (Vec<_>, Vec<_>) =
        compared.iter().partition(|of| matches!(of.workload, Workload::Latency | Workload::LatencyHigh));
    let mut text = String::new();
    if !costs.is_empty() {
        text.push_str(
            "| | contender | CPU ns/task before | now | before / now | in single rounds | allocs before | now | rounds |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        costs.iter().for_each(|of| cost(&mut text, of));
        text.push('\n');
    }
    if !latencies.is_empty() {
        text.push_str(
            "| | contender | p99 us before | now | before / now | p99.9 us before | now | before / now | keeps up before \
             | now | rounds |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        latencies.iter().for_each(|of| latency(&mut text, of));
        text.push('\n');
    }
    for workload in Workload::ALL {
        worst(&mut text, workload, &costs);
    }
    text
}

fn compare(runs: &[Run]) -> Vec<Compared<'_>> {
    let mut compared: Vec<Compared> = Vec::new();
    for run in runs.iter().filter(|run| run.program == Program::Before) {
        let same = |other: &&Run| {
            (other.program, other.round, other.workload, other.entry.name)
                == (Program::This, run.round, run.workload, run.entry.name)
        };
        let Some(now) = runs.iter().find(same) else { continue };
        let pair = Pair { before: &run.sample, now: &now.sample };
        let known =
            compared.iter_mut().find(|of| (of.workload, of.entry.name) == (run.workload, run.entry.name));
        match known {
            Some(of) => of.pairs.push(pair),
            None => compared.push(Compared { workload: run.workload, entry: run.entry, pairs: vec![pair] }),
        }
    }
    compared.sort_by_key(|of| of.workload);
    compared
}

impl Compared<'_> {
    fn before(&self, value: impl Fn(&Sample) -> f64) -> f64 {
        median(self.pairs.iter().map(|pair| value(pair.before)).collect())
    }

    fn now(&self, value: impl Fn(&Sample) -> f64) -> f64 {
        median(self.pairs.iter().map(|pair| value(pair.now)).collect())
    }

    /// Inside each round, before over now: above 1 is cheaper than before.
    fn ratios(&self, value: impl Fn(&Sample) -> f64) -> Vec<f64> {
        self.pairs.iter().map(|pair| value(pair.before) / value(pair.now)).collect()
    }

    fn name(&self) -> String {
        let Entry { name, before, .. } = self.entry;
        if name == before { name.to_owned() } else { format!("{name} (before: {before})") }
    }

    fn threads(&self) -> usize {
        self.entry.threads.max(self.workload.limits().threads)
    }

    fn allocations(&self, of: impl Fn(&dyn Fn(&Sample) -> f64) -> f64) -> String {
        if self.pairs.iter().any(|pair| pair.now.counted == 0) {
            return "not counted".to_owned();
        }
        format!("{:.3}", of(&|sample| ratio(sample.allocations, sample.counted)))
    }
}

fn cost(text: &mut String, of: &Compared) {
    let ratios = of.ratios(cpu_per_task);
    let (lowest, highest) =
        ratios.iter().fold((f64::MAX, 0.0_f64), |(low, high), &r| (low.min(r), high.max(r)));
    let _ = writeln!(
        text,
        "| {} | {} | {:.1} | {:.1} | {:.2} | {lowest:.2} to {highest:.2} | {} | {} | {} |",
        of.workload.name(),
        of.name(),
        of.before(cpu_per_task),
        of.now(cpu_per_task),
        median(ratios),
        of.allocations(|value| of.before(value)),
        of.allocations(|value| of.now(value)),
        of.pairs.len(),
    );
}

fn latency(text: &mut String, of: &Compared) {
    let _ = write!(text, "| {} | {} |", of.workload.name(), of.name());
    for index in [1, 2] {
        let value = |sample: &Sample| sample.latency[index] as f64 / 1_000.0;
        let (before, now, ratio) = (of.before(value), of.now(value), median(of.ratios(value)));
        let _ = write!(text, " {before:.2} | {now:.2} | {ratio:.2} |");
    }
    for per_second in [of.before(per_second), of.now(per_second)] {
        let _ = write!(text, " {} |", if keeps_up(of.workload, per_second) { "yes" } else { "no" });
    }
    let _ = writeln!(text, " {} |", of.pairs.len());
}

/// The worst of the ratios of plimsoll on tokio and on smol, for each number of threads.
fn worst(text: &mut String, workload: Workload, costs: &[&Compared]) {
    const PLAIN: [&str; 3] = ["plimsoll-smol", "plimsoll-tokio", "plimsoll-tokio-mt"];
    for threads in [1, 2] {
        let here = costs.iter().filter(|of| of.workload == workload && of.threads() == threads);
        let ratios = here
            .filter(|of| PLAIN.contains(&of.entry.name))
            .map(|of| (median(of.ratios(cpu_per_task)), of.entry.name));
        if let Some((ratio, name)) = ratios.min_by(|a, b| a.0.total_cmp(&b.0)) {
            let _ =
                writeln!(text, "{} vs_before[threads={threads}] {ratio:.2} worst {name}", workload.name());
        }
    }
}
