//! What is printed: a table for each workload, and how many times less than the best peer plimsoll takes.

use std::fmt::Write;

use crate::contenders::{Entry, Side};
use crate::measure::Sample;
use crate::rounds::{Program, Run};
use crate::work::Workload;

/// The medians of one contender in one workload.
struct Line {
    entry: Entry,
    per_second: f64,
    cpu_ns: f64,
    allocations: f64,
    bytes: f64,
    peak_mib: f64,
    latency: [f64; 4],
    resident: [f64; 2],
}

/// Every single run.
pub fn csv(runs: &[Run]) -> String {
    let mut text = String::from(
        "round,workload,contender,runtime,program,tasks,wall_ns,cpu_ns,tasks_per_s,cpu_ns_per_task,allocations_per_task,\
         bytes_per_task,peak_kib,p50_ns,p99_ns,p999_ns,max_ns,resident_early_kib,resident_end_kib\n",
    );
    for Run { round, workload, entry, program, sample } in runs {
        let [p50, p99, p999, longest] = sample.latency;
        let [early, end] = sample.resident;
        let Sample { tasks, wall_ns, cpu_ns, peak_kib, .. } = sample;
        let _ = writeln!(
            text,
            "{round},{},{},{},{},{tasks},{wall_ns},{cpu_ns},{:.0},{:.1},{:.4},{:.1},{peak_kib},\
             {p50},{p99},{p999},{longest},{early},{end}",
            workload.name(),
            entry.name,
            entry.runtime,
            match program {
                Program::This => "this".to_owned(),
                Program::Before => format!("before:{}", entry.before),
            },
            per_second(sample),
            cpu_per_task(sample),
            ratio(sample.allocations, sample.counted),
            ratio(sample.bytes, sample.counted),
        );
    }
    text
}

/// A table for each workload, then the ratios, all of this program.
pub fn table(runs: &[Run]) -> String {
    let mut text = String::new();
    let mut ratios = String::new();
    for workload in Workload::ALL {
        let mut lines = lines(runs, workload);
        if lines.is_empty() {
            continue;
        }
        match workload {
            Workload::Latency | Workload::LatencyHigh => {
                lines.sort_by(|a, b| a.latency[1].total_cmp(&b.latency[1]));
            }
            _ => lines.sort_by(|a, b| a.cpu_ns.total_cmp(&b.cpu_ns)),
        }
        let _ = writeln!(text, "{} {}", workload.name(), workload.about());
        match workload {
            Workload::Latency | Workload::LatencyHigh => latencies(&mut text, workload, &lines),
            Workload::Soak => soak(&mut text, &lines),
            _ => costs(&mut text, &lines),
        }
        if !matches!(workload, Workload::Latency | Workload::LatencyHigh) {
            by_runtime(&mut text, workload, &lines);
            overall(&mut text, workload, &lines, Side::Tuned, "ratio_vs_tuned");
            overall(&mut text, workload, &lines, Side::Late, "ratio_vs_late");
            overall(&mut ratios, workload, &lines, Side::Peer, "ratio_vs_best");
        }
        text.push('\n');
    }
    text + &ratios
}

fn costs(text: &mut String, lines: &[Line]) {
    let _ = writeln!(
        text,
        "{:<28}{:>12}{:>12}{:>10}{:>10}{:>10}",
        "", "tasks/s", "CPU ns/task", "allocs", "bytes", "peak MiB"
    );
    for line in lines {
        let Line { entry, per_second, cpu_ns, allocations, bytes, peak_mib, .. } = line;
        let _ = writeln!(
            text,
            "{:<28}{per_second:>12.0}{cpu_ns:>12.1}{allocations:>10.3}{bytes:>10.1}{peak_mib:>10.1}",
            entry.name
        );
    }
}

fn soak(text: &mut String, lines: &[Line]) {
    let heads = ["CPU ns/task", "KiB at 1/6", "KiB at end", "difference"];
    let _ = writeln!(text, "{:<28}{:>12}{:>12}{:>12}{:>12}", "", heads[0], heads[1], heads[2], heads[3]);
    for Line { entry, cpu_ns, resident: [early, end], .. } in lines {
        let difference = end - early;
        let _ = writeln!(text, "{:<28}{cpu_ns:>12.1}{early:>12.0}{end:>12.0}{difference:>+12.0}", entry.name);
    }
}

fn latencies(text: &mut String, workload: Workload, lines: &[Line]) {
    let heads = ["p50 us", "p99 us", "p99.9 us", "max us"];
    let _ = writeln!(text, "{:<28}{:>12}{:>12}{:>12}{:>12}", "", heads[0], heads[1], heads[2], heads[3]);
    for Line { entry, latency, per_second, .. } in lines {
        let [p50, p99, p999, longest] = latency.map(|ns| ns / 1_000.0);
        let behind = if keeps_up(workload, *per_second) { "" } else { "  does not keep up" };
        let _ = writeln!(text, "{:<28}{p50:>12.2}{p99:>12.2}{p999:>12.2}{longest:>12.1}{behind}", entry.name);
    }
}

/// Whether a contender is as fast as the tasks come. One that is not has fallen behind, the more the longer it ran.
pub fn keeps_up(workload: Workload, per_second: f64) -> bool {
    per_second >= workload.rate().unwrap_or_default() as f64 * 0.98
}

/// plimsoll against the best peer on the same kind of runtime.
fn by_runtime(text: &mut String, workload: Workload, lines: &[Line]) {
    let least = workload.limits().threads;
    let mut groups = vec![("smol", "smol", least), ("tokio", "tokio", least)];
    if least == 1 {
        groups.push(("tokio-mt", "tokio", 2));
    }
    for (label, runtime, threads) in groups {
        let on = |line: &&Line| line.entry.runtime == runtime && line.entry.threads.max(least) == threads;
        let (Some(best), Some(ours)) = (best_peer(lines.iter().filter(on)), ours(lines, runtime, threads))
        else {
            continue;
        };
        let ratio = best.cpu_ns / ours.cpu_ns;
        let name = workload.name();
        let _ = writeln!(text, "{name} ratio_vs_best[{label}] {ratio:.2} best {}", best.entry.name);
    }
    for line in lines.iter().filter(|line| line.entry.name.ends_with("-ctx-sleep")) {
        if let Some(best) = best_peer(lines.iter()) {
            let (name, ratio) = (workload.name(), best.cpu_ns / line.cpu_ns);
            let _ = writeln!(
                text,
                "{name} ratio_vs_best[{}] {ratio:.2} best {}",
                line.entry.name, best.entry.name
            );
        }
    }
}

/// The best peer on any runtime against the worse of plimsoll on smol and on tokio: this does not flatter.
fn overall(text: &mut String, workload: Workload, lines: &[Line], side: Side, word: &str) {
    let threads = workload.limits().threads;
    let ours = ["smol", "tokio"].into_iter().filter_map(|runtime| ours(lines, runtime, threads));
    let worse = ours.max_by(|a, b| a.cpu_ns.total_cmp(&b.cpu_ns));
    if let (Some(best), Some(worse)) = (best(lines.iter(), side), worse) {
        let ratio = best.cpu_ns / worse.cpu_ns;
        let _ = writeln!(text, "{} {word} {ratio:.2} best {}", workload.name(), best.entry.name);
    }
}

fn best_peer<'a>(lines: impl Iterator<Item = &'a Line>) -> Option<&'a Line> {
    best(lines, Side::Peer)
}

fn best<'a>(lines: impl Iterator<Item = &'a Line>, side: Side) -> Option<&'a Line> {
    lines.filter(|line| line.entry.side == side).min_by(|a, b| a.cpu_ns.total_cmp(&b.cpu_ns))
}

/// plimsoll on this kind of runtime, with so many threads.
fn ours<'a>(lines: &'a [Line], runtime: &str, threads: usize) -> Option<&'a Line> {
    let name = match (runtime, threads) {
        ("tokio", 2) => "plimsoll-tokio-mt",
        ("tokio", _) => "plimsoll-tokio",
        _ => "plimsoll-smol",
    };
    lines.iter().find(|line| line.entry.name == name)
}

fn lines(runs: &[Run], workload: Workload) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let by_this = |run: &&Run| run.program == Program::This && run.workload == workload;
    for run in runs.iter().filter(by_this) {
        if lines.iter().all(|line| line.entry.name != run.entry.name) {
            lines.push(line(runs, workload, run.entry));
        }
    }
    lines
}

fn line(runs: &[Run], workload: Workload, entry: Entry) -> Line {
    let same =
        |run: &&Run| run.program == Program::This && run.workload == workload && run.entry.name == entry.name;
    let samples: Vec<&Sample> = runs.iter().filter(same).map(|run| &run.sample).collect();
    let of = |value: &dyn Fn(&Sample) -> f64| median(samples.iter().map(|sample| value(sample)).collect());
    Line {
        entry,
        per_second: of(&per_second),
        cpu_ns: of(&cpu_per_task),
        allocations: of(&|sample| ratio(sample.allocations, sample.counted)),
        bytes: of(&|sample| ratio(sample.bytes, sample.counted)),
        peak_mib: of(&|sample| sample.peak_kib as f64 / 1_024.0),
        latency: [0, 1, 2, 3].map(|index| of(&|sample| sample.latency[index] as f64)),
        resident: [0, 1].map(|index| of(&|sample| sample.resident[index] as f64)),
    }
}

pub fn per_second(sample: &Sample) -> f64 {
    sample.tasks as f64 * 1e9 / sample.wall_ns.max(1) as f64
}

pub fn cpu_per_task(sample: &Sample) -> f64 {
    ratio(sample.cpu_ns, sample.tasks)
}

pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}
