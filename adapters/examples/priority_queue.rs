//! A priority queue that starves nobody: the highest priority first, and every eighth start for the longest wait.

use std::error::Error;
use std::sync::mpsc;

use plimsoll::{Priority, Processor, Thread, infallible};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (started, order) = mpsc::channel();
    let processor = Processor::builder().concurrency(1).spawn_on(
        Thread::start()?,
        infallible(move |name: &'static str| {
            let _ = started.send(name);
            async {}
        }),
    )?;

    processor.pause(); // so that all of them wait
    processor.task("backfill").priority(Priority::LOWEST).post()?;
    for _ in 0..20 {
        processor.task("user").priority(Priority::HIGHEST).post()?;
    }
    processor.resume();
    futures::executor::block_on(processor.idle());

    drop(processor);
    let order: Vec<_> = order.iter().collect();
    let place = order.iter().position(|name| *name == "backfill");
    println!("{order:?}");
    // It came first, so it is among the first eight, though twenty tasks of the highest priority wait.
    assert!(place.is_some_and(|place| (1..8).contains(&place)), "{place:?}");
    Ok(())
}
