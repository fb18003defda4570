//! Work that survives the process: producers put jobs into a durable queue, and workers do them.
//!
//! ```sh
//! cargo run --bin durable -- put --source nats://127.0.0.1:4222 1000   # put a thousand jobs in
//! cargo run --bin durable -- work --source nats://127.0.0.1:4222       # as many workers as you like, until Ctrl-C or SIGTERM
//! cargo run --bin durable -- work --source nats://127.0.0.1:4222 --until-empty
//! cargo run --bin durable -- dead --source nats://127.0.0.1:4222       # what could not be done
//! ```
//!
//! The source is `redb:FILE`, `nats://HOST:PORT` or `postgres://USER@HOST:PORT/DATABASE`. A file belongs to one process at a time; the
//! servers are shared by as many as you like. A worker that is stopped hands back what it has not begun; one that is killed leaves
//! everything it has not confirmed to the others, when its lease has run out.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, bail};
use plimsoll::source::{Pull, Source, SourceLimits};
use plimsoll::{Context, Drain, Processor, Retry, Tokio};

/// What a worker does with a job that takes a while, and fails now and then.
async fn greet(job: Vec<u8>, cx: Context) -> Result<String, String> {
    let name = String::from_utf8(job).map_err(|error| error.to_string())?;
    cx.sleep(Duration::from_millis(2)).await.map_err(|_| "stopped")?;
    if name.ends_with("13") {
        cx.no_retry();
        return Err(format!("nobody greets {name}"));
    }
    if name.ends_with('7') && cx.attempt() == 1 {
        return Err(format!("{name} was not at home"));
    }
    Ok(format!("hello {name}"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let usage = "usage: durable (put --source SOURCE COUNT | work --source SOURCE [--until-empty] | dead --source SOURCE)";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (source, order) = match words[..] {
        ["put", "--source", source, count] => (source, Order::Put(count.parse().context(usage)?)),
        ["work", "--source", source] => (source, Order::Work { until_empty: false }),
        ["work", "--source", source, "--until-empty"] => (source, Order::Work { until_empty: true }),
        ["dead", "--source", source] => (source, Order::Dead),
        _ => bail!(usage),
    };
    match source.split_once(':') {
        Some(("redb", file)) => Redb(plimsoll_redb::Queue::open(file)?).obey(order).await,
        Some(("nats", _)) => {
            let options =
                plimsoll_nats::Options::new("greetings").create(true).lease(Duration::from_secs(10));
            Nats(plimsoll_nats::Queue::connect(source, options).await?).obey(order).await
        }
        Some(("postgres", _)) => {
            let options = plimsoll_postgres::Options::new().queue("greetings").migrate(true);
            Postgres(plimsoll_postgres::Queue::connect(source, options).await?).obey(order).await
        }
        _ => bail!("{source} is no source: redb:FILE, nats://… or postgres://…"),
    }
}

enum Order {
    Put(u64),
    Work { until_empty: bool },
    Dead,
}

/// What the queues have in common, as far as this program needs it.
trait Queue: Sized + Sync {
    type Source: Source<Job = Vec<u8>>;

    fn source(&self) -> Self::Source;
    fn put(&self, jobs: Vec<String>) -> impl Future<Output = anyhow::Result<()>> + Send;
    /// How many jobs are neither done nor dead.
    fn left(&self) -> impl Future<Output = anyhow::Result<u64>> + Send;
    /// Each dead letter, and the text of its last error.
    fn dead(&self) -> impl Future<Output = anyhow::Result<Vec<(Vec<u8>, String)>>> + Send;

    async fn obey(self, order: Order) -> anyhow::Result<()> {
        match order {
            Order::Put(count) => {
                self.put((0..count).map(|n| format!("guest {n}")).collect()).await?;
                println!("{count} jobs put in");
            }
            Order::Work { until_empty } => self.work(until_empty).await?,
            Order::Dead => {
                for (job, error) in self.dead().await? {
                    println!("{}: {error}", String::from_utf8_lossy(&job));
                }
            }
        }
        Ok(())
    }

    /// Does jobs until the process is to end, or none is left.
    async fn work(&self, until_empty: bool) -> anyhow::Result<()> {
        let processor = Processor::builder()
            .concurrency(16)
            .sources(SourceLimits::new(1).credit(64))
            .dedup(10_000) // what is delivered again although it was done here is not done again
            .timeout(Duration::from_secs(5))
            .retry(Retry::times(3).base(Duration::from_millis(20)))
            .spawn_on(Tokio::current(), greet)?;
        // The terms of tasks are the builder's. What has been delivered ten times is dead.
        let (_source, puller) = processor.source(self.source(), Pull::new().credit(64).deliveries(10))?;
        let puller = tokio::spawn(puller);
        let ended = tokio::select! {
            ended = end_of_process() => ended,
            left = self.until_empty(), if until_empty => left,
        };
        // Pulls nothing more, hands back what has not begun, finishes the rest, and tells the engine all of it.
        let report = processor.shutdown(Drain::graceful(Duration::from_secs(20))).await;
        let (totals, unconfirmed) = (report.totals, puller.await?);
        println!(
            "{} done, {} tried again, {} dead, {unconfirmed} not confirmed",
            totals.settled.completed, totals.retried, totals.dead
        );
        ended
    }

    async fn until_empty(&self) -> anyhow::Result<()> {
        while self.left().await? > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

async fn end_of_process() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

struct Redb(plimsoll_redb::Queue);

impl Queue for Redb {
    type Source = plimsoll_redb::QueueSource<Vec<u8>>;

    fn source(&self) -> Self::Source {
        self.0.source()
    }

    async fn put(&self, jobs: Vec<String>) -> anyhow::Result<()> {
        let jobs: Vec<_> = jobs.into_iter().map(plimsoll_redb::Job::new).collect();
        self.0.enqueue_many(&jobs).await?;
        Ok(())
    }

    async fn left(&self) -> anyhow::Result<u64> {
        Ok(self.0.stats().await?.jobs())
    }

    async fn dead(&self) -> anyhow::Result<Vec<(Vec<u8>, String)>> {
        let dead = self.0.dead(0, 1_000).await?;
        Ok(dead.into_iter().map(|dead| (dead.payload, reason(dead.why.as_ref(), &dead.message))).collect())
    }
}

struct Nats(plimsoll_nats::Queue);

impl Queue for Nats {
    type Source = plimsoll_nats::QueueSource<Vec<u8>>;

    fn source(&self) -> Self::Source {
        self.0.source()
    }

    async fn put(&self, jobs: Vec<String>) -> anyhow::Result<()> {
        let jobs: Vec<_> = jobs.into_iter().map(plimsoll_nats::Job::new).collect();
        self.0.enqueue_many(&jobs).await?;
        Ok(())
    }

    async fn left(&self) -> anyhow::Result<u64> {
        Ok(self.0.stats().await?.jobs)
    }

    async fn dead(&self) -> anyhow::Result<Vec<(Vec<u8>, String)>> {
        let dead = self.0.dead(0, 1_000).await?;
        Ok(dead.into_iter().map(|dead| (dead.payload, reason(Some(&dead.why), &dead.message))).collect())
    }
}

struct Postgres(plimsoll_postgres::Queue);

impl Queue for Postgres {
    type Source = plimsoll_postgres::QueueSource<Vec<u8>>;

    fn source(&self) -> Self::Source {
        self.0.source()
    }

    async fn put(&self, jobs: Vec<String>) -> anyhow::Result<()> {
        let jobs: Vec<_> = jobs.into_iter().map(plimsoll_postgres::Job::new).collect();
        self.0.enqueue_many(&jobs).await?;
        Ok(())
    }

    async fn left(&self) -> anyhow::Result<u64> {
        Ok(self.0.stats().await?.jobs())
    }

    async fn dead(&self) -> anyhow::Result<Vec<(Vec<u8>, String)>> {
        let dead = self.0.dead(0, 1_000).await?;
        Ok(dead.into_iter().map(|dead| (dead.payload, reason(dead.why.as_ref(), &dead.message))).collect())
    }
}

fn reason(why: Option<&impl Display>, message: &str) -> String {
    why.map_or_else(|| message.to_owned(), |why| format!("{why}, {message}"))
}
