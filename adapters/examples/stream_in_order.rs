//! A stream with bounded concurrency, its results in the order of the jobs: as `buffered(8)`, with time-outs and retries.

use std::error::Error;
use std::time::Duration;

use futures::StreamExt as _;
use plimsoll::{Context, Processor, Retry, Thread};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let processor = Processor::builder()
        .concurrency(8)
        .timeout(Duration::from_secs(10))
        .retry(Retry::times(2).base(Duration::from_millis(1)))
        .spawn_on(Thread::start()?, |page: u64, cx: Context| async move {
            cx.sleep(Duration::from_millis(page % 3)).await.map_err(std::io::Error::other)?;
            if page % 5 == 0 && cx.attempt() == 1 {
                Err(std::io::Error::other("busy"))
            } else {
                Ok(page * page)
            }
        })?;

    let pages = futures::stream::iter(1..=20); // no page is pulled without room for it
    let mut results = processor.process_ordered(pages, 8)?;
    let mut squares = Vec::new();
    futures::executor::block_on(async {
        while let Some(settled) = results.next().await {
            squares.push(settled.map_err(|refused| refused.reason)?.result?);
        }
        Ok::<_, Box<dyn Error>>(())
    })?;

    println!("{squares:?}, {} tried again", processor.totals().retried);
    assert!(squares.iter().copied().eq((1..=20).map(|page| page * page)));
    Ok(())
}
