//! Weeks in a second: a month of an hourly report that fails now and then, on a simulated clock, the same in each run.

use std::error::Error;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Options, Processor, Retry, Schedule};

const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let began = std::time::Instant::now();
    let sim = Sim::new(7);
    let processor = Processor::builder()
        .timeout(10 * Duration::from_secs(60))
        .retry(Retry::times(3).base(Duration::from_secs(60)))
        .spawn_on(sim.clone(), |hour: u64, cx: Context| async move {
            cx.sleep(Duration::from_secs(30 + hour % 60)).await.map_err(|_| "stopped")?;
            // The database is down from the third to the fifth hour of each day.
            if (3..5).contains(&(cx.now().as_millis() / 3_600_000 % 24)) {
                Err("the database is down")
            } else {
                Ok(())
            }
        })?;

    let mut hour = 0;
    let reports = processor.schedule(Schedule::fixed_rate(HOUR), Options::default(), move |_due| {
        hour += 1;
        hour
    })?;
    sim.advance(30 * 24 * HOUR)?;

    let (stats, settled) = (reports.stats().ok_or("it goes on")?, processor.totals().settled);
    println!(
        "{} reports, {} of them failed; {:?} for a month",
        stats.submitted,
        settled.failed,
        began.elapsed()
    );
    assert_eq!((stats.submitted, stats.refused, settled.failed), (720, 0, 60));
    Ok(())
}
