//! Backpressure from a channel or a socket: what can't be worked on is not read, so the sender waits.

use std::error::Error;
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::join;
use futures::{SinkExt as _, StreamExt as _};
use plimsoll::{Context, Processor, Thread, infallible};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let processor = Processor::builder().queue(8).concurrency(4).spawn_on(
        Thread::start()?,
        infallible(|message: u32, cx: Context| async move {
            let _ = cx.sleep(Duration::from_millis(1)).await;
            message
        }),
    )?;

    // A bounded channel stands for a socket's lines. An unbounded one would grow.
    let (mut sender, messages) = mpsc::channel(4);
    let send = async move {
        for message in 0..200 {
            let _ = sender.send(message).await; // waits
        }
    };
    let mut done = processor.process(messages, 12)?; // at most twelve of them are here
    let work = async {
        let (mut sum, mut most) = (0, 0);
        while let Some(settled) = done.next().await {
            sum += settled.map_err(|refused| refused.reason)?.result?;
            most = most.max(processor.health().queued);
        }
        Ok::<_, Box<dyn Error>>((sum, most))
    };
    let (sum, most) = futures::executor::block_on(join(work, send)).0?;
    println!("200 messages, their sum is {sum}; never more than {most} of them waited here");
    assert!(sum == 19_900 && most <= 8);
    Ok(())
}
