//! Kills workers, with SIGKILL and at random moments, and counts what has become of their jobs.
//!
//! ```sh
//! cargo run --release --example kills -- 100   # so many kills; 20 without a number
//! ```
//!
//! It starts a PostgreSQL server of its own, which has to be installed. A worker is a process of its own, which does jobs from a
//! queue on that server. It writes the number of each job that it has done to a log. After each kill this process waits until the
//! server has ended the worker's connections, and counts which jobs were done and are still in the queue: their verdict was not
//! committed, and they may be done again. In the end every job must be done or dead, and be done again at most as often.

#[path = "../tests/server/mod.rs"]
mod server;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::source::{Pull, SourceLimits};
use plimsoll::{Context, Processor, Retry, Tokio};
use plimsoll_postgres::{Job, Options, Queue};
use server::Server;
use tokio_postgres::{Client, NoTls};

/// How many jobs there are for each kill, and how long a worker lives at most.
const JOBS_A_KILL: u64 = 300;
const MOST_MILLIS: u64 = 400;

/// How long the jobs of a worker that was killed are out.
const LEASE: Duration = Duration::from_secs(2);

/// How the connections of workers are known.
const NAME: &str = "plimsoll-kills";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", config, log] => work(config, Path::new(log)).await,
        [] => kill(20).await,
        [kills] => kill(kills.parse()?).await,
        _ => Err("usage: kills [NUMBER]".into()),
    }
}

/// A worker, until it is killed.
async fn work(config: &str, log: &Path) -> Outcome {
    let queue = Queue::connect(config, Options::new().lease(LEASE)).await?;
    let log = Arc::new(OpenOptions::new().append(true).create(true).open(log)?);
    let processor = Processor::builder()
        .concurrency(16)
        .sources(SourceLimits::new(1).credit(64))
        .retry(Retry::times(2).base(Duration::from_millis(5)))
        .spawn_on(Tokio::current(), move |job: u64, cx: Context| handle(job, cx, log.clone()))?;
    let numbers = queue.source_with(|payload| number(&payload));
    let (_source, puller) = processor.source(numbers, Pull::new().credit(64).deliveries(1_000))?;
    puller.await;
    Ok(())
}

/// Some jobs fail the first time, and some always.
async fn handle(job: u64, cx: Context, log: Arc<File>) -> Result<(), String> {
    cx.sleep(Duration::from_micros(job % 5 * 500)).await.map_err(|_| "stopped")?;
    if job % 100 == 7 {
        cx.no_retry();
        return Err("it always fails".to_owned());
    }
    if job % 10 == 3 && cx.attempt() == 1 {
        return Err("it fails the first time".to_owned());
    }
    // One write to a file that is appended to: the kernel has it, whatever becomes of this process.
    (&*log).write_all(&job.to_le_bytes()).map_err(|error| error.to_string())
}

fn number(payload: &[u8]) -> Result<u64, &'static str> {
    payload.try_into().map(u64::from_le_bytes).map_err(|_| "not 8 bytes")
}

fn start_worker(config: &str, log: &Path) -> Outcome<Worker> {
    let mut worker = Command::new(std::env::current_exe()?);
    worker.arg("worker").arg(format!("{config} application_name={NAME}")).arg(log).stdin(Stdio::null());
    Ok(Worker(worker.spawn()?))
}

/// A process that is killed when this is dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Kills a worker, and waits until the server has ended what the worker began.
async fn end(worker: Worker, client: &Client) -> Outcome {
    drop(worker);
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    while client.query_one(connections, &[&NAME]).await?.try_get::<_, i64>(0)? > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn kill(kills: u64) -> Outcome {
    let Some(server) = Server::start("kills") else { return Ok(()) };
    let (config, folder) = (server.config(), tempfile::tempdir()?);
    let log: PathBuf = folder.path().join("done");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    tokio::spawn(connection);
    let queue = Queue::connect(&config, Options::new().lease(LEASE).migrate(true)).await?;
    let (mut put, mut unconfirmed) = (0, 0);
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..kills {
        let jobs: Vec<Job> = (put..put + JOBS_A_KILL).map(|job| Job::new(job.to_le_bytes())).collect();
        queue.enqueue_many(&jobs).await?;
        put += JOBS_A_KILL;
        let mut worker = start_worker(&config, &log)?;
        tokio::time::sleep(Duration::from_millis(rng.u64(5..MOST_MILLIS))).await;
        if let Some(status) = worker.0.try_wait()? {
            return Err(format!("the worker has ended by itself: {status}").into());
        }
        end(worker, &client).await?;
        let stats = queue.stats().await?;
        let gone = put - stats.jobs() - stats.dead;
        unconfirmed += (done(&log)?.len() as u64).saturating_sub(gone);
    }
    // The last worker is left alone.
    let (worker, started) = (start_worker(&config, &log)?, Instant::now());
    let to_die = (0..put).filter(|job| job % 100 == 7).count();
    while queue.stats().await?.jobs() > 0 && started.elapsed() < Duration::from_secs(300) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    end(worker, &client).await?;
    let (stats, done) = (queue.stats().await?, done(&log)?);
    let dead = queue.dead(0, usize::MAX).await?;
    let again: u64 = done.values().map(|times| times - 1).sum();
    println!(
        "{kills} kills, {put} jobs: {} done, {} dead, {} left; {again} done again, for {unconfirmed} unconfirmed verdicts",
        done.len(),
        dead.len(),
        stats.jobs()
    );
    let dies = |job: u64| job % 100 == 7;
    let all_done = (0..put).all(|job| dies(job) != done.contains_key(&job));
    let all_dead = dead.len() == to_die && dead.iter().all(|dead| number(&dead.payload).is_ok_and(dies));
    if !all_done || !all_dead || stats.jobs() > 0 || again > unconfirmed {
        return Err("a job was lost, or done again without a reason".into());
    }
    Ok(())
}

/// How often each job was done.
fn done(log: &Path) -> Outcome<BTreeMap<u64, u64>> {
    let bytes = if log.exists() { std::fs::read(log)? } else { Vec::new() };
    let mut times = BTreeMap::new();
    for job in bytes.chunks_exact(8) {
        *times.entry(number(job)?).or_insert(0) += 1;
    }
    Ok(times)
}
