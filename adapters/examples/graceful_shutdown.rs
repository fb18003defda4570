//! A graceful end on SIGTERM or Ctrl+C: nothing new is taken in, what was taken in is finished, for ten seconds at most.

use std::error::Error;
use std::time::Duration;

use plimsoll::{Context, Drain, Processor, Refusal, Tokio, infallible};

#[cfg(unix)]
async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    // Only here: the process sends itself what a supervisor would send.
    std::process::Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status()?;
    tokio::select! {
        _ = terminate.recv() => println!("SIGTERM"),
        _ = interrupt.recv() => println!("SIGINT"),
    }
    Ok(())
}

#[cfg(not(unix))]
async fn asked_to_stop() -> std::io::Result<()> {
    Ok(()) // `tokio::signal::ctrl_c().await`
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let processor = Processor::builder().concurrency(4).spawn_on(
        Tokio::current(),
        infallible(|number: u32, cx: Context| async move {
            let _ = cx.sleep(Duration::from_millis(20)).await;
            println!("job {number} is done");
        }),
    )?;
    for number in 0..10 {
        processor.task(number).post()?;
    }

    asked_to_stop().await?;
    let submitter = processor.submitter();
    let ended = processor.shutdown(Drain::graceful(Duration::from_secs(10)));
    assert_eq!(submitter.submit(10).map(drop).map_err(|refused| refused.reason), Err(Refusal::Closed));
    let report = ended.await;
    println!("{} done, {} cancelled", report.totals.settled.completed, report.remains.cancelled);
    assert_eq!((report.totals.settled.completed, report.remains.cancelled), (10, 0));
    Ok(())
}
