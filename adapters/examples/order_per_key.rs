//! Order per key: messages of one account one after the other, in the order in which they came; accounts side by side.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::mpsc;
use std::time::Duration;

use plimsoll::{Context, Lane, LaneLimits, Processor, Thread, infallible, lane_key};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (note, notes) = mpsc::channel();
    let processor = Processor::builder().concurrency(8).lanes(LaneLimits::new(100)).spawn_on(
        Thread::start()?,
        infallible(move |(account, number): (&'static str, u32), cx: Context| {
            let note = note.clone();
            async move {
                let _ = cx.sleep(Duration::from_millis(u64::from(number % 3))).await;
                let _ = note.send((account, number));
            }
        }),
    )?;

    for number in 0..10 {
        for account in ["ann", "bob", "cid"] {
            let in_order = Lane::new(lane_key(account)).concurrency(1);
            processor.task((account, number)).lane(in_order).post()?;
        }
    }
    futures::executor::block_on(processor.idle());

    drop(processor);
    let mut by_account = BTreeMap::<_, Vec<_>>::new();
    notes.iter().for_each(|(account, number)| by_account.entry(account).or_default().push(number));
    println!("{by_account:?}");
    assert!(by_account.len() == 3 && by_account.values().all(|numbers| numbers.iter().copied().eq(0..10)));
    Ok(())
}
