//! Probes: `/readyz` says whether to send more, and `/livez` whether to start the process again, because every place is held by an
//! attempt that has hung, for instance.

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Processor};

const SECOND: Duration = Duration::from_secs(1);

/// Status and body of an answer.
fn answer(probe: Result<(), impl Display>) -> (u16, String) {
    probe.map_or_else(|why| (503, why.to_string()), |()| (200, "ok".to_owned()))
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let processor = Processor::builder()
        .queue(10)
        .concurrency(2)
        .health_every(5 * SECOND)
        .slow_after(60 * SECOND) // longer than any attempt that is well
        .spawn_on(sim.clone(), |secs: u64, cx: Context| async move {
            cx.sleep(Duration::from_secs(secs)).await
        })?;
    let probes = processor.submitter(); // for the web server: it keeps nothing alive
    let ask = || (answer(probes.is_live()), answer(probes.is_ready()));

    println!("at rest: {:?}", ask());
    // Two that hang, and a full queue behind them.
    for secs in [100_000; 12] {
        processor.task(secs).post()?;
    }
    sim.advance(SECOND)?;
    let (live, ready) = ask();
    println!("full: {live:?}, {ready:?}");
    assert_eq!((live.0, ready.0), (200, 503));

    // Asked every ten seconds, as a supervisor does.
    let mut asked = 0;
    while ask().0.0 == 200 && asked < 100 {
        sim.advance(10 * SECOND)?;
        asked += 1;
    }
    println!("hung: {:?}", ask());
    assert!((6..20).contains(&asked), "{asked}");
    Ok(())
}
