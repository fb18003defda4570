//! Batch inserts: up to 64 rows in one statement, or what has come within two milliseconds. Each row has its own result.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plimsoll::{Batch, Batching, Processor, Thread, batched};

type Insert = fn(u64) -> Result<u64, std::io::Error>;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let statements = Arc::new(AtomicU32::new(0));
    let count = statements.clone();
    let insert = move |batch: Batch<Insert>| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            // INSERT INTO rows VALUES ($1), ($2), …
            for (row, answer) in batch {
                let is_new = row % 100 != 99;
                answer.give(is_new.then_some(row).ok_or_else(|| std::io::Error::other("a duplicate key")));
            }
        }
    };
    let batching = Batching::new(64).within(Duration::from_millis(2));
    let processor = Processor::builder()
        .queue(1_000)
        .concurrency(256)
        .spawn_on(Thread::start()?, batched(batching, insert))?;

    for row in 0..1_000 {
        processor.task(row).post()?;
    }
    futures::executor::block_on(processor.idle());
    let (settled, statements) = (processor.totals().settled, statements.load(Ordering::Relaxed));
    println!("{} rows inserted, {} refused, by {statements} statements", settled.completed, settled.failed);
    assert_eq!((settled.completed, settled.failed), (990, 10));
    Ok(())
}
