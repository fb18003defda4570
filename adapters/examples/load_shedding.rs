//! Load shedding: when the queue is full the oldest price gives way to the newest, so what is shown is never old.

use std::error::Error;

use plimsoll::{Overflow, Processor, TaskError, Thread, infallible};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let processor = Processor::builder()
        .queue(3)
        .concurrency(1)
        .overflow(Overflow::DropOldest) // or `DropLowest`: the lowest priority gives way
        .spawn_on(Thread::start()?, infallible(|price: u32| async move { price }))?;

    processor.pause(); // the consumer is slow
    let handles = (100..110).map(|price| processor.submit(price)).collect::<Result<Vec<_>, _>>()?;
    processor.resume();

    let (mut shown, mut shed) = (Vec::new(), 0);
    for handle in handles {
        match handle.wait() {
            Ok(price) => shown.push(price),
            Err(TaskError::Shed) => shed += 1,
            Err(error) => return Err(error.into()),
        }
    }
    println!("shown: {shown:?}, {shed} were too old");
    assert_eq!((shown, shed), (vec![107, 108, 109], 7));
    Ok(())
}
