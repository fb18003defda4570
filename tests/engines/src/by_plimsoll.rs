//! plimsoll on its engines. A job is done when the engine has confirmed its verdict.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use plimsoll::source::{Pull, Source, SourceLimits};
use plimsoll::{Drain, Processor, Tokio, infallible};

use crate::measure::{Began, Report, Took, memory};
use crate::work::{CONCURRENCY, OUT, batches, done, prove};

pub(crate) async fn redb(file: &Path, jobs: u64) -> anyhow::Result<Report> {
    let queue = plimsoll_redb::Queue::open(file)?;
    let began = Began::now()?;
    for batch in batches(jobs) {
        let batch: Vec<_> = batch.map(|job| plimsoll_redb::Job::new(job.to_le_bytes())).collect();
        queue.enqueue_many(&batch).await?;
    }
    let (put, before) = (began.took()?, memory()?);
    let done = work(queue.source(), jobs).await?;
    Ok(Report { jobs, put, done, before, after: memory()?, left: queue.stats().await?.jobs() })
}

pub(crate) async fn nats(url: &str, jobs: u64) -> anyhow::Result<Report> {
    let queue = plimsoll_nats::Queue::connect(url, plimsoll_nats::Options::new("load").create(true)).await?;
    let began = Began::now()?;
    for batch in batches(jobs) {
        let batch: Vec<_> = batch.map(|job| plimsoll_nats::Job::new(job.to_le_bytes())).collect();
        queue.enqueue_many(&batch).await?;
    }
    let (put, before) = (began.took()?, memory()?);
    let done = work(queue.source(), jobs).await?;
    Ok(Report { jobs, put, done, before, after: memory()?, left: queue.stats().await?.jobs })
}

pub(crate) async fn postgres(config: &str, jobs: u64) -> anyhow::Result<Report> {
    let queue =
        plimsoll_postgres::Queue::connect(config, plimsoll_postgres::Options::new().migrate(true)).await?;
    let began = Began::now()?;
    for batch in batches(jobs) {
        let batch: Vec<_> = batch.map(|job| plimsoll_postgres::Job::new(job.to_le_bytes())).collect();
        queue.enqueue_many(&batch).await?;
    }
    let (put, before) = (began.took()?, memory()?);
    let done = work(queue.source(), jobs).await?;
    Ok(Report { jobs, put, done, before, after: memory()?, left: queue.stats().await?.jobs() })
}

async fn work<S: Source<Job = Vec<u8>>>(source: S, jobs: u64) -> anyhow::Result<Took> {
    let began = Began::now()?;
    let handler = infallible(|job: Vec<u8>| async move {
        done(job.try_into().map_or(u64::MAX, u64::from_le_bytes));
    });
    let processor = Processor::builder()
        .queue(1)
        .concurrency(CONCURRENCY as u32)
        .sources(SourceLimits::new(1).credit(OUT))
        .spawn_on(Tokio::current(), handler)?;
    let (source, puller) = processor.source(source, Pull::new().credit(OUT))?;
    let puller = tokio::spawn(puller);
    let mut most_out = 0;
    while processor.totals().confirmed < jobs {
        let view = source.view().context("the source has ended")?;
        most_out = most_out.max(view.held + view.owed + view.leaving + view.resting);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = began.took()?;
    processor.shutdown(Drain::graceful(Duration::from_secs(10))).await;
    ensure!(puller.await? == 0 && most_out <= OUT, "{most_out} of {OUT} were out");
    prove(jobs)?;
    Ok(took)
}
