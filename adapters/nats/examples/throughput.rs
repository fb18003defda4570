//! Many jobs through a queue on a NATS server: how many a second, and what they cost.
//!
//! ```sh
//! cargo run --release --example throughput -- 200000 1024   # jobs, and the credit
//! ```
//!
//! Starts a `nats-server` of its own on loopback, with JetStream on disk and its defaults (a stream is synced every two minutes).
//! Jobs of 8 bytes are put in 256 at a time, each confirmed by the server, and done by a handler that does nothing, each verdict
//! confirmed, too. Prints the rates of both halves, the CPU time of this process a job, its memory, and the most that was out.

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::error::Error;
use std::time::{Duration, Instant};

use kit::Server;
use plimsoll::source::{Pull, SourceLimits};
use plimsoll::{Drain, Processor, Tokio, infallible};
use plimsoll_nats::{Job, Options};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let jobs: u64 = arguments.next().map_or(Ok(50_000), |jobs| jobs.parse())?;
    let credit: u32 = arguments.next().map_or(Ok(1_024), |credit| credit.parse())?;
    let Some(server) = Server::start("throughput") else { return Ok(()) };
    let queue = server.queue(Options::new("load").create(true)).await;
    let (started, before) = (Instant::now(), cpu()?);
    for first in (0..jobs).step_by(1_000) {
        let some: Vec<_> = (first..jobs.min(first + 1_000)).map(|job| Job::new(job.to_le_bytes())).collect();
        queue.enqueue_many(&some).await?;
    }
    report("put in", jobs, started, before)?;
    let (memory_before, before, started) = (memory()?, cpu()?, Instant::now());
    let processor = Processor::builder()
        .queue(1)
        .concurrency(64)
        .sources(SourceLimits::new(1).credit(credit))
        .spawn_on(Tokio::current(), infallible(|_: Vec<u8>| async {}))?;
    let (source, puller) = processor.source(queue.source(), Pull::new().credit(credit))?;
    let puller = tokio::spawn(puller);
    let mut most_out = 0;
    while processor.totals().confirmed < jobs {
        let view = source.view().ok_or("the source is open")?;
        most_out = most_out.max(view.held + view.owed + view.leaving + view.resting);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    report("done", jobs, started, before)?;
    println!(
        "at most {most_out} of {credit} out; memory {memory_before} KiB before, {} KiB after",
        memory()?
    );
    processor.shutdown(Drain::graceful(Duration::from_secs(10))).await;
    println!("{} deliveries not confirmed, {} jobs left", puller.await?, queue.stats().await?.jobs);
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
