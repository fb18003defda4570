//! Many jobs through a queue on a server: how many a second, and what they cost.
//!
//! ```sh
//! cargo run --release --example throughput -- 1000000 1024   # jobs, and the credit
//! PLIMSOLL_POSTGRES='host=localhost user=app' cargo run --release --example throughput
//! ```
//!
//! It starts a PostgreSQL server of its own, which has to be installed; or it uses the one that the variable names, with the schema
//! `plimsoll_throughput`, which it drops before and after. Jobs of 8 bytes are put in by 1,000, and done by a handler that does
//! nothing. Prints the rates of both halves, the CPU time that a job takes in this process and on the server, the memory, the most
//! that was out, and the server's settings that matter.

#[path = "../tests/server/mod.rs"]
mod server;

use std::error::Error;
use std::time::{Duration, Instant};

use plimsoll::source::{Pull, SourceLimits};
use plimsoll::{Drain, Processor, Tokio, infallible};
use plimsoll_postgres::{Job, Options, Queue};
use server::Server;
use tokio_postgres::{Client, NoTls};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const SCHEMA: &str = "plimsoll_throughput";

#[tokio::main]
async fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let jobs: u64 = arguments.next().map_or(Ok(100_000), |jobs| jobs.parse())?;
    let credit: u32 = arguments.next().map_or(Ok(1_024), |credit| credit.parse())?;
    if let Ok(config) = std::env::var("PLIMSOLL_POSTGRES") {
        return run(&config, None, jobs, credit).await;
    }
    let Some(server) = Server::start("throughput") else { return Ok(()) };
    run(&server.config(), Some(&server), jobs, credit).await
}

async fn run(config: &str, server: Option<&Server>, jobs: u64, credit: u32) -> Outcome {
    let (client, connection) = tokio_postgres::connect(config, NoTls).await?;
    tokio::spawn(connection);
    let drop_schema = format!("SET client_min_messages = warning; DROP SCHEMA IF EXISTS {SCHEMA} CASCADE");
    client.batch_execute(&drop_schema).await?;
    let mut settings = Vec::new();
    for name in ["server_version", "fsync", "synchronous_commit", "shared_buffers"] {
        settings.push(format!("{name} {}", setting(&client, name).await?));
    }
    println!("the server: {}", settings.join(", "));
    let queue = Queue::connect(config, Options::new().schema(SCHEMA).migrate(true)).await?;
    let before = Used::now(server)?;
    for first in (0..jobs).step_by(1_000) {
        let some: Vec<Job> =
            (first..jobs.min(first + 1_000)).map(|job| Job::new(job.to_le_bytes())).collect();
        queue.enqueue_many(&some).await?;
    }
    before.report("put in", jobs, server)?;
    let (memory_before, before) = (memory()?, Used::now(server)?);
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
    before.report("done", jobs, server)?;
    println!(
        "at most {most_out} of {credit} out; memory {memory_before} KiB before, {} KiB after",
        memory()?
    );
    processor.shutdown(Drain::graceful(Duration::from_secs(10))).await;
    let stats = queue.stats().await?;
    println!("{} deliveries not confirmed, {} jobs left", puller.await?, stats.jobs());
    client.batch_execute(&drop_schema).await?;
    Ok(())
}

async fn setting(client: &Client, name: &str) -> Outcome<String> {
    Ok(client.query_one("SELECT current_setting($1)", &[&name]).await?.try_get(0)?)
}

/// Time that has passed, and CPU time that was used.
struct Used {
    at: Instant,
    here: Duration,
    on_server: Duration,
}

impl Used {
    fn now(server: Option<&Server>) -> Outcome<Self> {
        let on_server = server.map_or(Duration::ZERO, Server::cpu);
        Ok(Self { at: Instant::now(), here: server::cpu(std::process::id()), on_server })
    }

    fn report(&self, what: &str, jobs: u64, server: Option<&Server>) -> Outcome {
        let (now, took) = (Self::now(server)?, self.at.elapsed());
        let each = |before: Duration, after: Duration| {
            after.saturating_sub(before).as_secs_f64() * 1e6 / jobs as f64
        };
        let rate = jobs as f64 / took.as_secs_f64();
        let (here, on_server) = (each(self.here, now.here), each(self.on_server, now.on_server));
        println!(
            "{jobs} jobs {what} in {took:.2?}: {rate:.0}/s; CPU for each: {here:.1} µs here, {on_server:.1} µs on a server of its own"
        );
        Ok(())
    }
}

/// The memory that this process has now, in KiB.
fn memory() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.split_whitespace().next().unwrap_or("0").parse()?)
}
