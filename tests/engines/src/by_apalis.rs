//! `apalis` on its engines. A job is done when its worker, stopped by the last job, has told the engine of all of them.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use apalis::layers::WorkerBuilderExt;
use apalis::prelude::*;
use apalis_postgres::PostgresStorage;
use apalis_sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteStorage};

use crate::measure::{Began, Report, memory};
use crate::work::{CONCURRENCY, OUT, batches, done, prove};

/// How many jobs there are. A process has one contender.
static JOBS: AtomicU64 = AtomicU64::new(0);

async fn work(job: u64, worker: WorkerContext) -> Result<(), BoxDynError> {
    if done(job) == JOBS.load(Ordering::Relaxed) {
        worker.stop()?;
    }
    Ok(())
}

pub(crate) async fn sqlite(file: &Path, jobs: u64) -> anyhow::Result<Report> {
    JOBS.store(jobs, Ordering::Relaxed);
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    // One connection, because the settings are the connection's.
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    SqliteStorage::setup(&pool).await?;
    // Its own setting tells before anything is on disk.
    sqlx::query("PRAGMA synchronous = FULL").execute(&pool).await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&pool).await?;
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&pool).await?;
    println!("  SQLite: journal_mode {journal}, synchronous {synchronous} (2 is FULL)");
    let config = apalis_sqlite::Config::default().queue("load").batch_size(OUT as usize);
    // A job that was fetched is not another worker's: that it runs need not be written down.
    let config = config.lock_tasks(false);
    let mut backend = SqliteStorage::<u64>::new(&pool).with_config(config);
    let began = Began::now()?;
    for batch in batches(jobs) {
        backend.push_bulk(batch.collect()).await?;
    }
    let (put, before, began) = (began.took()?, memory()?, Began::now()?);
    let worker = WorkerBuilder::new("load").backend(backend).concurrency(CONCURRENCY).build(work);
    worker.run().await?;
    let done = began.took()?;
    prove(jobs)?;
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM Jobs WHERE status <> 'Done'").fetch_one(&pool).await?;
    Ok(Report { jobs, put, done, before, after: memory()?, left: left.unsigned_abs() })
}

pub(crate) async fn postgres(url: &str, jobs: u64) -> anyhow::Result<Report> {
    JOBS.store(jobs, Ordering::Relaxed);
    let pool = apalis_postgres::PgPool::connect(url).await?;
    PostgresStorage::setup(&pool).await?;
    let config = apalis_postgres::Config::default().queue("load").batch_size(OUT as usize).lock_tasks(false);
    let mut backend = PostgresStorage::<u64>::new(&pool).with_config(config);
    let began = Began::now()?;
    for batch in batches(jobs) {
        backend.push_bulk(batch.collect()).await?;
    }
    let (put, before, began) = (began.took()?, memory()?, Began::now()?);
    let worker = WorkerBuilder::new("load").backend(backend).concurrency(CONCURRENCY).build(work);
    worker.run().await?;
    let done = began.took()?;
    prove(jobs)?;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM apalis.jobs WHERE status <> 'Done'")
        .fetch_one(&pool)
        .await?;
    Ok(Report { jobs, put, done, before, after: memory()?, left: left.unsigned_abs() })
}

pub(crate) async fn nats(url: &str, jobs: u64) -> anyhow::Result<Report> {
    JOBS.store(jobs, Ordering::Relaxed);
    let client = async_nats::connect(url).await?;
    let config = apalis_nats::Config::new("load").with_pull_consumer().durable();
    let config = config.with_max_ack_pending(i64::from(OUT));
    let mut backend = apalis_nats::NatsJetStream::<u64, _>::new(client.clone()).with_config(config);
    let began = Began::now()?;
    for batch in batches(jobs) {
        backend.push_bulk(batch.collect()).await?;
    }
    let (put, before, began) = (began.took()?, memory()?, Began::now()?);
    let worker = WorkerBuilder::new("load").backend(backend).concurrency(CONCURRENCY).build(work);
    worker.run().await?;
    client.flush().await?;
    let done = began.took()?;
    prove(jobs)?;
    let stream = async_nats::jetstream::new(client).get_stream("load").await?;
    let info = stream.consumer_info("load-queue").await?;
    ensure!(info.num_pending == 0, "{} were not delivered", info.num_pending);
    Ok(Report { jobs, put, done, before, after: memory()?, left: info.num_ack_pending as u64 })
}
