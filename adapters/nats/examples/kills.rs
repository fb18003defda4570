//! Kills workers, with SIGKILL and at random moments, and counts what has become of their jobs.
//!
//! ```sh
//! cargo run --release --example kills -- 100   # so many kills; 20 without a number
//! ```
//!
//! Starts a `nats-server` of its own on loopback. A worker is a process of its own, which does jobs from a queue there. It writes the
//! number of each job that it has done to a log. After each kill this process asks the server how many jobs are left, and counts
//! which were done and are still there: their verdict had not reached the server, and they may be done again. In the end
//! every job must be done or dead, and be done again at most as often.

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kit::Server;
use plimsoll::source::{Pull, SourceLimits};
use plimsoll::{Context, Processor, Retry, Tokio};
use plimsoll_nats::{Job, Options, Queue};

/// How many jobs there are for each kill, and how long a worker lives at most.
const JOBS_A_KILL: u64 = 800;
const MOST_MILLIS: u64 = 250;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", url, log] => work(url, Path::new(log)).await,
        [] => kill(20).await,
        [kills] => kill(kills.parse()?).await,
        _ => Err("usage: kills [NUMBER]".into()),
    }
}

fn options() -> Options {
    Options::new("kills").create(true).lease(Duration::from_secs(1))
}

/// A worker, until it is killed.
async fn work(url: &str, log: &Path) -> Result<(), Box<dyn Error>> {
    let queue = Queue::connect(url, options()).await?;
    let log = Arc::new(OpenOptions::new().append(true).create(true).open(log)?);
    let processor = Processor::builder()
        .concurrency(16)
        .sources(SourceLimits::new(1).credit(64))
        .retry(Retry::times(2).base(Duration::from_millis(5)))
        .spawn_on(Tokio::current(), move |job: u64, cx: Context| handle(job, cx, log.clone()))?;
    let numbers = queue.source_with(|payload| number(&payload));
    // A delivery to a worker that is killed counts, so each job needs many.
    let (_source, puller) = processor.source(numbers, Pull::new().credit(64).deliveries(1_000))?;
    puller.await;
    Ok(())
}

/// Some jobs take longer, and some always fail.
async fn handle(job: u64, cx: Context, log: Arc<File>) -> Result<(), String> {
    cx.sleep(Duration::from_micros(job % 5 * 500)).await.map_err(|_| "stopped")?;
    if job % 100 == 7 {
        cx.no_retry();
        return Err("it always fails".to_owned());
    }
    // One write to a file that is appended to: the kernel has it, whatever becomes of this process.
    (&*log).write_all(&job.to_le_bytes()).map_err(|error| error.to_string())
}

fn number(payload: &[u8]) -> Result<u64, &'static str> {
    payload.try_into().map(u64::from_le_bytes).map_err(|_| "not 8 bytes")
}

fn spawn(url: &str, log: &Path) -> Result<Child, Box<dyn Error>> {
    let worker =
        Command::new(std::env::current_exe()?).args(["worker", url]).arg(log).stdin(Stdio::null()).spawn()?;
    Ok(worker)
}

async fn kill(kills: u64) -> Result<(), Box<dyn Error>> {
    let Some(server) = Server::start("kills") else { return Ok(()) };
    let log = server.folder().join("done");
    let queue = server.queue(options()).await;
    let (mut put, mut unconfirmed) = (0, 0);
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..kills {
        let jobs: Vec<_> = (put..put + JOBS_A_KILL).map(|job| Job::new(job.to_le_bytes())).collect();
        queue.enqueue_many(&jobs).await?;
        put += JOBS_A_KILL;
        let mut worker = spawn(&server.url(), &log)?;
        tokio::time::sleep(Duration::from_millis(rng.u64(20..MOST_MILLIS))).await;
        worker.kill()?;
        worker.wait()?;
        let stats = queue.stats().await?;
        let gone = put - stats.jobs - stats.dead;
        unconfirmed += (done(&log)?.len() as u64).saturating_sub(gone);
    }
    // The last worker is left alone.
    let mut worker = spawn(&server.url(), &log)?;
    let started = Instant::now();
    while queue.stats().await?.jobs > 0 && started.elapsed() < Duration::from_secs(120) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.kill()?;
    worker.wait()?;
    let (stats, done) = (queue.stats().await?, done(&log)?);
    let dead = queue.dead(0, usize::MAX).await?;
    let again: u64 = done.values().map(|times| times - 1).sum();
    println!(
        "{kills} kills, {put} jobs: {} done, {} dead, {} left; {again} done again, for {unconfirmed} unconfirmed verdicts",
        done.len(),
        dead.len(),
        stats.jobs
    );
    let dies = |job: u64| job % 100 == 7;
    let all_done = (0..put).all(|job| dies(job) != done.contains_key(&job));
    let to_die = (0..put).filter(|job| dies(*job)).count();
    let all_dead = dead.len() == to_die && dead.iter().all(|dead| number(&dead.payload).is_ok_and(dies));
    if !all_done || !all_dead || stats.jobs > 0 || again > unconfirmed {
        return Err("a job was lost, or done again without a reason".into());
    }
    Ok(())
}

/// How often each job was done.
fn done(log: &Path) -> Result<BTreeMap<u64, u64>, Box<dyn Error>> {
    let bytes = if log.exists() { std::fs::read(log)? } else { Vec::new() };
    let mut times = BTreeMap::new();
    for job in bytes.chunks_exact(8) {
        *times.entry(number(job)?).or_insert(0) += 1;
    }
    Ok(times)
}
