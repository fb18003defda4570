//! Time-outs and heartbeats: an attempt that works may take its time, one that hangs is ended and tried again.

use std::error::Error;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Processor, Progress, Retry, SleepRefusal, TaskError, Timeouts};

const MINUTE: Duration = Duration::from_secs(60);

/// Converts so many files, and hangs at the third in its first attempt if it `hangs`.
async fn convert((files, hangs): (u64, bool), cx: Context) -> Result<u32, SleepRefusal> {
    for file in 1..=files {
        let stuck = hangs && file == 3 && cx.attempt() == 1;
        cx.sleep(if stuck { 1_000 * MINUTE } else { MINUTE }).await?;
        cx.progress(Progress::of(file, files)); // a heartbeat, too
    }
    Ok(cx.attempt())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let processor = Processor::builder()
        .timeouts(Timeouts {
            heartbeat: Some(2 * MINUTE),               // silent for longer: it hangs
            schedule_to_close: Some(24 * 60 * MINUTE), // all waiting and all attempts
            ..Timeouts::NONE
        })
        .retry(Retry::times(2).on_timeout(true))
        .spawn_on(sim.clone(), convert)?;

    let (long, hung) = (processor.submit((600, false))?, processor.submit((5, true))?);
    println!("the one that hung has completed in attempt {}", sim.block_on(hung)??);
    println!(
        "the long one in attempt {}, after {} minutes",
        sim.block_on(long)??,
        sim.now().as_millis() / 60_000
    );
    let endless = processor.submit((1_000_000, false))?;
    assert_eq!(sim.block_on(endless)?, Err(TaskError::TimedOut));
    assert_eq!(processor.totals().retried, 1);
    Ok(())
}
