//! Cancel on disconnect: when the client goes away its request's future is dropped, and the task goes with it.

use std::error::Error;
use std::time::Duration;

use plimsoll::{Access, Context, Processor, Thread, infallible};

type Report = fn(Duration, Context) -> Result<&'static str, std::convert::Infallible>;

/// A request's handler, as a web framework calls it.
async fn report(processor: &Access<Report>, takes: Duration) -> Result<&'static str, Box<dyn Error>> {
    let handle = processor.submit_wait(takes).await?;
    Ok(handle.cancel_on_drop().await?)
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let processor = Processor::builder().concurrency(1).spawn_on(
        Thread::start()?,
        infallible(|takes: Duration, cx: Context| async move {
            let _ = cx.sleep(takes).await;
            "the report"
        }),
    )?;

    futures::executor::block_on(async {
        // The client of a report that takes an hour goes away: a framework drops the future then.
        let mut gone = Box::pin(report(&processor, Duration::from_secs(3_600)));
        assert!(futures::poll!(&mut gone).is_pending());
        drop(gone);
        // Its place is free, so that the next one is served.
        println!("{}", report(&processor, Duration::ZERO).await?);
        Ok::<_, Box<dyn Error>>(())
    })?;
    let settled = processor.totals().settled;
    println!("{} cancelled, {} completed", settled.cancelled, settled.completed);
    assert_eq!((settled.cancelled, settled.completed), (1, 1));
    Ok(())
}
