//! Progress: see how far each running job is, from any thread.

use std::error::Error;
use std::time::Duration;

use plimsoll::runtime::sim::Sim;
use plimsoll::{Context, Processor, Progress, SleepRefusal};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::new(1);
    let processor = Processor::builder().monitor(true).concurrency(2).spawn_on(
        sim.clone(),
        |files: u64, cx: Context<&'static str>| async move {
            for file in 1..=files {
                cx.sleep(Duration::from_secs(1)).await?;
                cx.progress(Progress::of(file, files));
            }
            Ok::<_, SleepRefusal>(())
        },
    )?;
    processor.task(10).meta("photos").post()?;
    processor.task(40).meta("films").post()?;

    sim.advance(Duration::from_millis(8_500))?;
    let mut shown = Vec::new();
    for view in processor.inspect(0, 100).tasks {
        shown.push(format!("{}: {:?}", view.meta, view.progress));
    }
    println!("{}", shown.join("\n"));
    let films = processor.inspect(0, 100).tasks.into_iter().find(|view| view.meta == "films");
    assert_eq!(films.and_then(|view| view.progress), Some(Progress::of(8, 40)));
    Ok(())
}
