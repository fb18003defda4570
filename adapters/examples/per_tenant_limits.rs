//! Limits per tenant: one that floods the queue delays no other, and one that pays has four times the share.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Lane, LaneLimits, Processor, Refusal, lane_key};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let processor = Processor::builder()
        .queue(1_000)
        .concurrency(10)
        .lanes(LaneLimits::new(100).queue(300)) // each tenant may fill less than a third of the queue
        .spawn_on(sim.clone(), |_: (), cx: Context<&'static str>| async move {
            cx.sleep(Duration::from_millis(100)).await.map(|()| cx.meta())
        })?;

    let tenant = |name: &'static str, weight| Lane::new(lane_key(name)).weight(weight);
    let submit = |name, weight| processor.task_with_meta((), name).lane(tenant(name, weight)).post();
    let mut refused = 0;
    for _ in 0..1_000 {
        refused += u32::from(submit("flood", 1).map_err(|error| error.reason) == Err(Refusal::LaneFull));
    }
    for _ in 0..100 {
        submit("free", 1)?;
        submit("paying", 4)?;
    }

    sim.advance(Duration::from_secs(1))?;
    let mut running = BTreeMap::new();
    for name in ["flood", "free", "paying"] {
        running.insert(name, processor.lane(lane_key(name)).map_or(0, |lane| lane.running));
    }
    println!("{refused} tasks of the flood were refused; of ten places each tenant has {running:?}");
    assert!(refused >= 690 && running["paying"] >= 6 && running["free"] >= 1, "{running:?}");
    Ok(())
}
