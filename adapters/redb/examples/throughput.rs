//! Many jobs through a queue in a file: how many a second, and what they cost.
//!
//! ```sh
//! cargo run --release --example throughput -- 1000000 1024   # jobs, and the credit
//! ```
//!
//! Jobs of 8 bytes are put in by 1,000, and done by a handler that does nothing. Each commit is on disk (fsync) before anybody is
//! told. Prints the rates of both halves, the CPU time a job, the most memory, and the most that was out.

use std::error::Error;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use plimsoll::source::{Pull, SourceLimits};
use plimsoll::{Drain, Processor, Smol, infallible};
use plimsoll_redb::{Job, Queue};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let jobs: u64 = arguments.next().map_or(Ok(100_000), |jobs| jobs.parse())?;
    let credit: u32 = arguments.next().map_or(Ok(1_024), |credit| credit.parse())?;
    let path = std::env::temp_dir().join(format!("plimsoll-redb-throughput-{}", std::process::id()));
    let result = run(&path, jobs, credit);
    drop(std::fs::remove_file(&path));
    result
}

fn run(path: &std::path::Path, jobs: u64, credit: u32) -> Result<(), Box<dyn Error>> {
    let queue = Queue::open(path)?;
    let (started, cpu) = (Instant::now(), cpu()?);
    for first in (0..jobs).step_by(1_000) {
        let some: Vec<_> = (first..jobs.min(first + 1_000)).map(|job| Job::new(job.to_le_bytes())).collect();
        block_on(queue.enqueue_many(&some))?;
    }
    report("put in", jobs, started, cpu)?;
    let (before, cpu) = (memory()?, self::cpu()?);
    let started = Instant::now();
    let processor = Processor::builder()
        .queue(1)
        .concurrency(64)
        .sources(SourceLimits::new(1).credit(credit))
        .spawn_on(Smol::global(), infallible(|_: Vec<u8>| async {}))?;
    let (source, puller) = processor.source(queue.source(), Pull::new().credit(credit))?;
    let puller = smol::spawn(puller);
    let mut most_out = 0;
    while processor.totals().confirmed < jobs {
        let view = source.view().ok_or("the source is open")?;
        most_out = most_out.max(view.held + view.owed + view.leaving + view.resting);
        std::thread::sleep(Duration::from_millis(10));
    }
    report("done", jobs, started, cpu)?;
    println!("at most {most_out} of {credit} out; memory {before} KiB before, {} KiB after", memory()?);
    block_on(processor.shutdown(Drain::graceful(Duration::from_secs(10))));
    let stats = block_on(queue.stats())?;
    println!(
        "{} deliveries not confirmed, {} jobs left, a file of {} KiB",
        block_on(puller),
        stats.jobs(),
        stats.file_bytes / 1024
    );
    Ok(())
}

fn report(what: &str, jobs: u64, started: Instant, before: Duration) -> Result<(), Box<dyn Error>> {
    let (took, cpu) = (started.elapsed(), cpu()?.saturating_sub(before));
    let rate = jobs as f64 / took.as_secs_f64();
    let each = cpu.as_secs_f64() * 1e6 / jobs as f64;
    println!("{jobs} jobs {what} in {took:.2?}: {rate:.0}/s, {each:.1} µs of CPU each");
    Ok(())
}

/// The CPU time of this process.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // User and system time, in hundredths of a second.
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 10))
}

/// The memory that it has now, in KiB.
fn memory() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse()?)
}
