//! No handler starves its neighbours, wherever in its worker it stands.

use std::time::Duration;

use futures::executor::block_on;
use plimsoll::Processor;

use crate::kit::{
    self, Counter, Host, Job, eight_places, eventually, happens, job, ms, start_to_close, yield_now,
};

on_tokio! {
    always_ready_handlers_get_equally_far
    neighbours_of_an_always_ready_handler_go_on
}

on_every_runtime! {
    handlers_that_wake_themselves_get_equally_far
    new_tasks_do_not_starve_attempts_that_yield
}

/// So many steps are enough to compare by.
const MANY: usize = 100;

/// Runs eight handlers until the one that they are compared with has made `many` steps, and none less than a tenth of them.
fn assert_all_go_on(
    host: &impl Host,
    many: usize,
    first: impl Fn(Counter) -> Job,
    handler: impl Fn(Counter) -> Job,
    compared_with: impl Fn([usize; 8]) -> usize,
) {
    let processor = kit::build(eight_places(Processor::builder()), host);
    let steps: [Counter; 8] = Default::default();
    processor.pause();
    for (n, steps) in steps.iter().enumerate() {
        let job = if n == 0 { first(steps.clone()) } else { handler(steps.clone()) };
        processor.task(job).post().unwrap();
    }
    processor.resume();
    let counts = || steps.each_ref().map(Counter::get);
    eventually("one has made many steps", || compared_with(counts()) > many);
    let all_go_on = happens(|| {
        let counts = counts();
        counts.iter().all(|&steps| steps >= compared_with(counts) / 10)
    });
    assert!(all_go_on, "steps of eight neighbours: {:?}", counts());
}

fn busiest(steps: [usize; 8]) -> usize {
    steps.into_iter().max().unwrap_or(0)
}

/// Receives what it has just sent itself: only tokio's coop budget ever makes it wait.
#[cfg(feature = "tokio")]
struct AlwaysReady(tokio::sync::mpsc::Sender<()>, tokio::sync::mpsc::Receiver<()>);

#[cfg(feature = "tokio")]
impl AlwaysReady {
    fn new() -> Self {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        Self(sender, receiver)
    }

    async fn step(&mut self) {
        self.0.try_send(()).unwrap();
        self.1.recv().await;
    }
}

#[cfg(feature = "tokio")]
fn always_ready(steps: Counter) -> Job {
    job(async move {
        let mut resource = AlwaysReady::new();
        loop {
            resource.step().await;
            steps.add();
        }
    })
}

#[cfg(feature = "tokio")]
fn always_ready_handlers_get_equally_far(host: impl Host) {
    assert_all_go_on(&host, MANY, always_ready, always_ready, busiest);
}

/// The first counts how often it is polled, and goes on each time for as long as tokio lets it; the others make a step a
/// poll, and at least a tenth as many. Tokio wakes a task that has used up its budget only once in 61 turns, in which the
/// others make a thousand steps: on a crowded machine a few polls take a second.
#[cfg(feature = "tokio")]
fn neighbours_of_an_always_ready_handler_go_on(host: impl Host) {
    let modest = |steps: Counter| {
        job(async move {
            let mut resource = AlwaysReady::new();
            loop {
                resource.step().await;
                steps.add();
                yield_now().await;
            }
        })
    };
    let greedy = |polls: Counter| {
        let mut greedy = always_ready(Counter::default());
        job(std::future::poll_fn(move |cx| {
            polls.add();
            greedy.as_mut().poll(cx)
        }))
    };
    assert_all_go_on(&host, 10, greedy, modest, |steps| steps[0]);
}

fn handlers_that_wake_themselves_get_equally_far(host: impl Host) {
    let handler = |steps: Counter| {
        job(async move {
            loop {
                yield_now().await;
                steps.add();
            }
        })
    };
    assert_all_go_on(&host, MANY, handler, handler, busiest);
}

/// Each of 20 jobs that yield three times is overtaken by a few rounds of the eight places, while short jobs stand in the
/// queue all the time. The time-out is so short that the end of each attempt is urgent.
fn new_tasks_do_not_starve_attempts_that_yield(host: impl Host) {
    const SHORT: usize = 5_000;
    const FEW: u32 = 40;
    kit::one_of_three(|| {
        let builder = eight_places(Processor::builder().queue(6_000)).timeouts(start_to_close(ms(95)));
        let processor = kit::build(builder, &host);
        let done = Counter::default();
        let short = || {
            let done = done.clone();
            job(async move {
                kit::spin(Duration::from_micros(30));
                done.add();
                Ok(0)
            })
        };
        let yielding = || {
            let done = done.clone();
            job(async move {
                let begun = done.get();
                for _ in 0..3 {
                    yield_now().await;
                }
                Ok((done.get() - begun) as u32)
            })
        };
        processor.pause();
        let mut handles = Vec::new();
        for n in 0..SHORT {
            if n % 5 == 0 && n < 100 {
                handles.push(processor.submit(yielding()).unwrap());
            }
            processor.task(short()).post().unwrap();
        }
        processor.resume();
        let outcomes: Vec<_> = handles.into_iter().map(block_on).collect();
        let in_turn = |outcome: &_| matches!(outcome, Ok(overtaken) if *overtaken <= FEW);
        if outcomes.iter().all(in_turn) { Ok(()) } else { Err(format!("overtaken by: {outcomes:?}")) }
    });
}
