//! How a worker shares its time among its places.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;

use super::kit::{Count, Manual, Probe, ms, start_to_close};
use crate::{Context, Options, Outcome, Processor, Submitter};

type Own = Processor<Duration, u32, ()>;

/// A processor on a runtime that is driven by hand. A job takes so long to compute; its output is how many attempts
/// the machine had handed out by then. A few quick tasks have made its workers bold.
fn bold(manual: &Manual, concurrency: u32, places_per_worker: u32) -> Own {
    let (clock, submitter) = (manual.clone(), Arc::new(Mutex::new(None::<Submitter<Duration, u32, ()>>)));
    let own = submitter.clone();
    let processor = Processor::builder()
        .concurrency(concurrency)
        .places_per_worker(places_per_worker)
        .spawn_on(manual.clone(), move |long: Duration, _: Context| {
            clock.advance(long);
            let running = own.lock().unwrap().as_ref().map_or(0, |submitter| submitter.census().running);
            async move { Ok(running) }
        })
        .unwrap();
    *submitter.lock().unwrap() = Some(processor.submitter());
    for _ in 0..100 {
        processor.post(ms(0), Options::default()).unwrap();
    }
    manual.run();
    processor
}

fn output(processor: &Own, manual: &Manual, jobs: &[Duration]) -> Vec<u32> {
    let handles: Vec<_> = jobs.iter().map(|job| processor.submit(*job).unwrap()).collect();
    manual.run();
    let outcomes = handles.into_iter().map(|handle| block_on(handle).unwrap());
    outcomes.map(|outcome| if let Outcome::Completed(running) = outcome { running } else { 0 }).collect()
}

#[test]
fn quick_attempts_are_taken_several_at_a_time_and_slow_ones_one_by_one() {
    let manual = Manual::default();
    let processor = bold(&manual, 4, 4);
    assert_eq!(output(&processor, &manual, &[ms(0); 4]), [4, 4, 4, 4]);
    // It has to see a slow round first; then each is taken alone, until one was quick.
    assert_eq!(output(&processor, &manual, &[ms(1); 6]), [4, 4, 4, 4, 1, 1]);
    assert_eq!(output(&processor, &manual, &[ms(0); 3]), [1, 2, 2]);
}

#[test]
fn those_who_sleep_get_their_share() {
    let manual = Manual::default();
    let processor = bold(&manual, 12, 4);
    processor.pause();
    let handles: Vec<_> = (0..4).map(|_| processor.submit(ms(0)).unwrap()).collect();
    // Wakes one of the three workers.
    processor.resume();
    manual.run();
    let outcomes: Vec<_> = handles.into_iter().map(|handle| block_on(handle).unwrap()).collect();
    assert_eq!(outcomes[..2], [Outcome::Completed(2), Outcome::Completed(2)]);
}

#[test]
fn neighbours_that_compute_make_nobody_late() {
    let manual = Manual::default();
    let processor = bold(&manual, 2, 2);
    let quick = processor.submit_with(ms(0), Options::default().timeouts(start_to_close(ms(5)))).unwrap();
    let slow = processor.submit(ms(20)).unwrap();
    manual.run();
    assert_eq!(block_on(quick), Ok(Outcome::Completed(2)));
    assert_eq!(block_on(slow), Ok(Outcome::Completed(1)));
}

#[test]
fn an_attempt_that_computes_past_its_deadline_is_late() {
    let manual = Manual::default();
    let processor = bold(&manual, 2, 2);
    let late = processor.submit_with(ms(20), Options::default().timeouts(start_to_close(ms(19)))).unwrap();
    let in_time = processor.submit_with(ms(20), Options::default().timeouts(start_to_close(ms(40)))).unwrap();
    manual.run();
    assert_eq!(block_on(late), Ok(Outcome::TimedOut));
    assert!(matches!(block_on(in_time), Ok(Outcome::Completed(_))));
}

/// When the owner is dropped in a poll, a neighbour of the same round may have ended without being reported, and
/// another may not have begun.
#[test]
fn the_owner_takes_all_of_a_round_with_it() {
    let (manual, live) = (Manual::default(), Count::default());
    let slot: Arc<Mutex<Option<Processor<(Option<bool>, Probe), Probe, ()>>>> = Arc::default();
    let (owner, counted, seen) = (slot.clone(), live.clone(), Arc::new(AtomicU32::new(0)));
    let left = seen.clone();
    let processor = Processor::builder()
        .concurrency(3)
        .places_per_worker(3)
        .spawn_on(manual.clone(), move |(ends, probe): (Option<bool>, Probe), _: Context| {
            let (owner, counted, left) = (owner.clone(), counted.clone(), left.clone());
            async move {
                if ends == Some(true) {
                    drop(owner.lock().unwrap().take());
                    left.store(u32::try_from(counted.live()).unwrap(), SeqCst);
                }
                Ok(probe)
            }
        })
        .unwrap();
    for _ in 0..100 {
        processor.post((None, live.probe()), Options::default()).unwrap();
    }
    manual.run();
    assert_eq!(live.live(), 0);
    let jobs = [Some(false), Some(true), Some(false)];
    let handles: Vec<_> =
        jobs.into_iter().map(|job| processor.submit((job, live.probe())).unwrap()).collect();
    *slot.lock().unwrap() = Some(processor);
    manual.run();
    assert_eq!(seen.load(SeqCst), 1, "only what is being polled is left");
    assert_eq!(live.live(), 0);
    assert!(handles.into_iter().all(|handle| block_on(handle).is_err()));
}
