//! Deduplication: an order is placed once, while it is under way and for ten minutes after.

use std::error::Error;
use std::time::Duration;

use plimsoll::{Processor, Refusal, Thread, Unique, infallible, lane_key};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let processor = Processor::builder()
        .dedup(10_000) // the most keys that are remembered after their tasks
        .spawn_on(
            Thread::start()?,
            infallible(|order: u64| async move { format!("order {order} is placed") }),
        )?;

    let place = |order: u64| {
        let once = Unique::new(lane_key(&order)).window(Duration::from_secs(600));
        processor.task(order).unique(once).submit()
    };

    println!("{}", place(7)?.wait()?);
    for order in [7, 8] {
        match place(order) {
            Ok(handle) => println!("{}", handle.wait()?),
            Err(refused) => {
                assert_eq!((refused.reason, order), (Refusal::Duplicate, 7));
                println!("order {order} is placed already, or is being placed");
            }
        }
    }
    assert_eq!(processor.totals().settled.completed, 2);
    Ok(())
}
