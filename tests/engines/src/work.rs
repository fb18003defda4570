//! What each contender does with its jobs, and the proof that it has done each of them once.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;

/// How many jobs run at a time.
pub(crate) const CONCURRENCY: usize = 64;
/// How many jobs may be out of the engine at a time: the credit of plimsoll, the batch of apalis.
pub(crate) const OUT: u32 = 1_024;
/// How many jobs are put in at a time.
pub(crate) const PUT: u64 = 1_000;

/// A process has one contender.
static DONE: AtomicU64 = AtomicU64::new(0);
static SUM: AtomicU64 = AtomicU64::new(0);

/// Does a job. Returns how many are done.
pub(crate) fn done(job: u64) -> u64 {
    SUM.fetch_add(job, Ordering::Relaxed);
    DONE.fetch_add(1, Ordering::Relaxed) + 1
}

/// Fails unless each of the jobs was done once.
pub(crate) fn prove(jobs: u64) -> anyhow::Result<()> {
    let (done, sum) = (DONE.load(Ordering::Relaxed), SUM.load(Ordering::Relaxed));
    let expected = jobs * jobs.saturating_sub(1) / 2;
    ensure!(done == jobs && sum == expected, "{done} of {jobs} jobs done, with the sum {sum} of {expected}");
    Ok(())
}

/// The jobs, as many at a time as are put in together.
pub(crate) fn batches(jobs: u64) -> impl Iterator<Item = std::ops::Range<u64>> {
    (0..jobs).step_by(PUT as usize).map(move |first| first..jobs.min(first + PUT))
}
