//! A cron job: every working day at three in the morning in Berlin, four weeks of it in a moment.

use std::error::Error;
use std::time::{Duration, SystemTime};

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Cron, Processor, infallible};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let time = sim.time();
    let clock = move || SystemTime::UNIX_EPOCH + Duration::from_nanos(time.now().as_nanos());

    let processor = Processor::builder().spawn_on(
        sim.clone(),
        infallible(|table: &'static str, cx: Context| async move {
            if cx.now().as_millis() < 7 * 24 * 3_600_000 {
                println!("hour {} of 1970: vacuum {table}", cx.now().as_millis() / 3_600_000);
            }
        }),
    )?;
    // Without `wall_clock` it is the system's.
    let nightly = Cron::new("0 3 * * MON-FRI", "Europe/Berlin")?.wall_clock(clock);
    let handle = processor.cron(nightly, |_due| "orders")?;

    sim.advance(Duration::from_secs(28 * 24 * 3_600))?;
    let stats = handle.stats().ok_or("it goes on")?;
    println!("{} runs in four weeks, {} missed", stats.submitted, stats.missed);
    assert_eq!((stats.submitted, stats.missed), (20, 0));
    Ok(())
}
