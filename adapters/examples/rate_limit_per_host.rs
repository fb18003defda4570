//! A rate limit per host: at most two requests a second to each, and one at a time, however many hosts there are.
//!
//! The clock is simulated. In a service, `Tokio::current()` or `Smol::global()` stands in place of `sim`.

use std::error::Error;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Lane, LaneLimits, Processor, Rate, infallible, lane_key};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let processor = Processor::builder()
        .concurrency(16)
        .lanes(LaneLimits::new(1_000)) // the most hosts at a time
        .spawn_on(
            sim.clone(),
            infallible(|url: &'static str, cx: Context| async move {
                println!("{:>5} ms  GET {url}", cx.now().as_millis());
            }),
        )?;

    let lane = |host| Lane::new(lane_key(host)).concurrency(1).rate(Rate::new(2, Duration::from_secs(1)));
    for url in ["a.example/1", "a.example/2", "a.example/3", "b.example/1", "b.example/2"] {
        let host = url.split('/').next().unwrap_or(url);
        processor.task(url).lane(lane(host)).post()?;
    }

    sim.block_on(processor.idle())?;
    // Of the three requests to a.example the last was sent after two intervals of half a second.
    assert_eq!(sim.now().as_millis(), 1_000);
    Ok(())
}
