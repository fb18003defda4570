//! A circuit breaker: after three failures in a row nothing is sent for a minute. What comes meanwhile waits, and nothing is lost.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Processor, Retry};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let processor = Processor::builder().queue(1_000).concurrency(1).retry(Retry::NONE).spawn_on(
        sim.clone(),
        |_: u32, cx: Context| async move {
            // The other end is down for the first 90 seconds.
            if cx.now().as_millis() < 90_000 { Err("connection refused") } else { Ok(()) }
        },
    )?;

    let (breaker, failures) = (processor.submitter(), AtomicU32::new(0));
    processor.on_settled(move |settled| match settled.result {
        Ok(()) => failures.store(0, Ordering::Relaxed),
        Err(_) if failures.fetch_add(1, Ordering::Relaxed) >= 2 => breaker.hold(60 * SECOND),
        Err(_) => {}
    });
    for number in 0..200 {
        processor.task(number).post()?;
        sim.advance(SECOND)?;
    }

    sim.block_on(processor.idle())?;
    let settled = processor.totals().settled;
    println!("{} sent, {} failed", settled.completed, settled.failed);
    // Three before it opens, and one or two each time when the minute is over.
    assert!(settled.total() == 200 && settled.failed < 10);
    Ok(())
}
