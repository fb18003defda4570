//! Debounce: a file is indexed half a second after its last change, and five seconds after the first at the latest.

use std::error::Error;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Options, Processor, Unique, infallible, lane_key};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let processor = Processor::builder().dedup(0).spawn_on(
        sim.clone(),
        infallible(|(path, change): (&'static str, u32), cx: Context| async move {
            println!("{:>5} ms  index {path} as of change {change}", cx.now().as_millis());
        }),
    )?;

    let changed = |path: &'static str, change| {
        let latest_wins = Unique::new(lane_key(path)).replace().longest(Duration::from_secs(5));
        let options = Options::default().unique(latest_wins).delay(Duration::from_millis(500));
        processor.task((path, change)).options(options).post()
    };
    changed("quiet.txt", 1)?;
    for change in 0..70 {
        changed("busy.txt", change)?; // every 100 ms, for seven seconds
        sim.advance(Duration::from_millis(100))?;
    }

    sim.block_on(processor.idle())?;
    let totals = processor.totals();
    println!("{} changes, indexed {} times", totals.admitted, totals.settled.completed);
    assert_eq!((totals.admitted, totals.settled.completed), (71, 3));
    Ok(())
}
