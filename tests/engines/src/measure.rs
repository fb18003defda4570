//! What a contender has used.

use std::fmt;
use std::time::{Duration, Instant};

/// Where a part of a run began.
pub(crate) struct Began {
    at: Instant,
    cpu: Duration,
}

/// What a part of a run has taken.
pub(crate) struct Took {
    time: Duration,
    cpu: Duration,
}

impl Began {
    pub(crate) fn now() -> anyhow::Result<Self> {
        Ok(Self { at: Instant::now(), cpu: cpu()? })
    }

    pub(crate) fn took(&self) -> anyhow::Result<Took> {
        Ok(Took { time: self.at.elapsed(), cpu: cpu()?.saturating_sub(self.cpu) })
    }
}

/// What a run has taken. Shows itself as a line.
pub(crate) struct Report {
    pub(crate) jobs: u64,
    pub(crate) put: Took,
    pub(crate) done: Took,
    /// In KiB, when all were put in.
    pub(crate) before: u64,
    /// In KiB, at the end.
    pub(crate) after: u64,
    /// How many jobs the engine still has.
    pub(crate) left: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.jobs as f64;
        for (what, took) in [("put in", &self.put), ("done", &self.done)] {
            let (rate, each) = (jobs / took.time.as_secs_f64(), took.cpu.as_secs_f64() * 1e6 / jobs);
            write!(f, "{what} {rate:.0}/s, {each:.1} µs of CPU each; ")?;
        }
        write!(f, "memory {} to {} KiB; {} left", self.before, self.after, self.left)
    }
}

/// The CPU time of this process.
fn cpu() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // User and system time, in hundredths of a second.
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
}

/// The memory that this process has now, in KiB.
pub(crate) fn memory() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse()?)
}
