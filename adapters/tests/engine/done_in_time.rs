//! What was done in time is reported as done, however long a neighbour takes.

use futures::executor::block_on;
use plimsoll::Processor;

use crate::kit::{self, Host, Job, eight_places, eventually, instant, job, ms, start_to_close};

on_every_runtime! {
    neighbours_of_a_blocker_complete
    the_limit_counts_from_the_call_of_the_handler
}

const LIMIT: u64 = 400;
const BLOCKED: u64 = 700;

/// Starts eight jobs as one batch, the fourth of which blocks its thread for longer than any may run. All others complete.
fn assert_neighbours_complete(host: &impl Host, neighbour: impl Fn(u32) -> Job) {
    kit::one_of_three(|| {
        let builder = eight_places(Processor::builder()).timeouts(start_to_close(ms(LIMIT)));
        let processor = kit::build(builder, host);
        // Warmed up: the workers take as many at a time as they ever do.
        for n in 1..=100 {
            processor.task(instant(0)).post().unwrap();
            eventually("one more is done", || processor.totals().settled.completed == n);
        }
        processor.pause();
        let blocker = || {
            job(async {
                std::thread::sleep(ms(BLOCKED));
                Ok(3)
            })
        };
        let jobs = (0..8).map(|n| if n == 3 { blocker() } else { neighbour(n) });
        let handles: Vec<_> = jobs.map(|job| processor.submit(job).unwrap()).collect();
        processor.resume();
        let outcomes: Vec<_> = handles.into_iter().map(block_on).collect();
        let all_others = (0..).zip(&outcomes).all(|(n, outcome)| n == 3 || *outcome == Ok(n));
        if all_others { Ok(()) } else { Err(format!("{outcomes:?}")) }
    });
}

fn neighbours_of_a_blocker_complete(host: impl Host) {
    assert_neighbours_complete(&host, instant);
}

/// Those behind the blocker begin late, and sleep on the runtime's timer.
fn the_limit_counts_from_the_call_of_the_handler<H: Host>(host: H) {
    let behind = |n| {
        job(async move {
            if n > 3 {
                H::sleep(ms(100)).await;
            }
            Ok(n)
        })
    };
    assert_neighbours_complete(&host, behind);
}
