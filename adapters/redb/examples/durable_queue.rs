//! A durable queue in a file: jobs survive the process. The first worker ends in the middle, and the second goes on.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use plimsoll::source::{Pull, SourceLimits};
use plimsoll::{Context, Drain, Processor, Retry, Smol};
use plimsoll_redb::{Job, Queue};

/// A worker: its queue, and a processor that takes jobs from it for as long as it lives. It ends after so many jobs.
async fn work(file: &Path, most: u64) -> Result<u64, Box<dyn Error>> {
    let queue = Queue::open(file)?;
    let processor = Processor::builder()
        .concurrency(2)
        .retry(Retry::times(2)) // then a job is a dead letter
        .sources(SourceLimits::new(1))
        .spawn_on(Smol::global(), |job: Vec<u8>, cx: Context| async move {
            cx.sleep(Duration::from_millis(2)).await.map_err(std::io::Error::other)?;
            println!("{}", String::from_utf8_lossy(&job));
            Ok::<_, std::io::Error>(())
        })?;
    let (_source, puller) = processor.source(queue.source(), Pull::new())?;
    let puller = smol::spawn(puller);

    while queue.stats().await?.jobs() > 0 && processor.totals().settled.completed < most {
        smol::Timer::after(Duration::from_millis(2)).await;
    }
    let report = processor.shutdown(Drain::graceful(Duration::from_secs(10))).await;
    assert_eq!(puller.await, 0, "the file knows of all that was done");
    Ok(report.totals.settled.completed)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("durable-queue-{}.redb", std::process::id()));
    smol::block_on(async {
        let queue = Queue::open(&file)?;
        for number in 0..20 {
            // The id keeps a second one out until this one is done; for a time after that with `Options::remember`.
            let invoice = Job::new(format!("invoice {number} is sent")).id(format!("invoice {number}"));
            queue.enqueue(&invoice).await?; // on disk when it returns
        }
        drop(queue);

        let first = work(&file, 5).await?;
        println!("-- the first worker has ended after {first} --");
        let second = work(&file, u64::MAX).await?;
        assert_eq!(first + second, 20);
        Ok::<_, Box<dyn Error>>(())
    })?;
    std::fs::remove_file(&file)?;
    Ok(())
}
