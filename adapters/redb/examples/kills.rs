//! Kills workers, with SIGKILL and at random moments, and counts what has become of their jobs.
//!
//! ```sh
//! cargo run --release --example kills -- 100   # so many kills; 20 without a number
//! ```
//!
//! A worker is a process of its own, which does jobs from a queue in a file. It writes the number of each job that it has done to a
//! log. After each kill this process opens the file and counts which jobs were done and are still in the queue: their verdict was not
//! on disk, and they may be done again. In the end every job must be done or dead, and be done again at most as often.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use plimsoll::source::{Pull, SourceLimits};
use plimsoll::{Context, Processor, Retry, Smol};
use plimsoll_redb::{Job, Options, Queue};

/// How many jobs there are for each kill, and how long a worker lives at most.
const JOBS_A_KILL: u64 = 1_500;
const MOST_MILLIS: u64 = 200;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["worker", file, log] => work(Path::new(file), Path::new(log)),
        [] => kill(20),
        [kills] => kill(kills.parse()?),
        _ => Err("usage: kills [NUMBER]".into()),
    }
}

fn open(file: &Path) -> Result<Queue, Box<dyn Error>> {
    // A worker that was killed has closed its files by the time it is waited for.
    Ok(Options::new().check(false).open(file)?)
}

/// A worker, until it is killed.
fn work(file: &Path, log: &Path) -> Result<(), Box<dyn Error>> {
    let queue = open(file)?;
    let log = Arc::new(OpenOptions::new().append(true).create(true).open(log)?);
    let processor = Processor::builder()
        .concurrency(16)
        .sources(SourceLimits::new(1).credit(64))
        .retry(Retry::times(2).base(Duration::from_millis(5)))
        .spawn_on(Smol::global(), move |job: u64, cx: Context| handle(job, cx, log.clone()))?;
    let numbers = queue.source_with(|payload| number(&payload));
    let (_source, puller) = processor.source(numbers, Pull::new().credit(64).deliveries(1_000))?;
    block_on(puller);
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

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn kill(kills: u64) -> Result<(), Box<dyn Error>> {
    let folder = Folder(std::env::temp_dir().join(format!("plimsoll-redb-kills-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0)?;
    let (file, log) = (folder.0.join("jobs.redb"), folder.0.join("done"));
    let (mut put, mut unconfirmed, mut longest) = (0, 0, Duration::ZERO);
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..kills {
        let opened = Instant::now();
        let queue = open(&file)?;
        longest = longest.max(opened.elapsed());
        let jobs: Vec<_> = (put..put + JOBS_A_KILL).map(|job| Job::new(job.to_le_bytes())).collect();
        block_on(queue.enqueue_many(&jobs))?;
        put += JOBS_A_KILL;
        drop(queue);
        let mut worker = Command::new(std::env::current_exe()?)
            .args(["worker".as_ref(), file.as_os_str(), log.as_os_str()])
            .stdin(Stdio::null())
            .spawn()?;
        std::thread::sleep(Duration::from_millis(rng.u64(5..MOST_MILLIS)));
        if let Some(status) = worker.try_wait()? {
            return Err(format!("the worker has ended by itself: {status}").into());
        }
        worker.kill()?;
        worker.wait()?;
        let gone = put - left(&open(&file)?)?;
        unconfirmed += (done(&log)?.len() as u64).saturating_sub(gone);
    }
    // The last worker is left alone.
    let mut worker = Command::new(std::env::current_exe()?)
        .args(["worker".as_ref(), file.as_os_str(), log.as_os_str()])
        .stdin(Stdio::null())
        .spawn()?;
    let (started, to_die) = (Instant::now(), (0..put).filter(|job| job % 100 == 7).count());
    while done(&log)?.len() + to_die < put as usize && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(1));
    worker.kill()?;
    worker.wait()?;
    let queue = open(&file)?;
    let stats = block_on(queue.stats())?;
    let done = done(&log)?;
    let dead = block_on(queue.dead(0, usize::MAX))?;
    let again: u64 = done.values().map(|times| times - 1).sum();
    println!(
        "{kills} kills, {put} jobs: {} done, {} dead, {} left; {again} done again, for {unconfirmed} unconfirmed verdicts; \
         opened in {longest:?} at most",
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

/// How many jobs are neither done nor dead, and how many are dead.
fn left(queue: &Queue) -> Result<u64, Box<dyn Error>> {
    let stats = block_on(queue.stats())?;
    Ok(stats.jobs() + stats.dead)
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
