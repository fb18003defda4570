//! Lanes, rates and holds, as users see them.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{FutureExt, join};
use futures::{StreamExt, stream};

use super::kit::{ms, yield_now};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::runtime::sim::Sim;
use crate::{
    Context, Hold, HoldRefusal, Lane, LaneLimits, Options, Overflow, Priority, Processor, Rate, Refusal,
    Refused, Retry, TaskError, infallible, lane_key,
};

on_every_runtime! {
    a_stuck_lane_delays_no_other
    a_rate_is_kept_and_lets_all_through
}

fn a_stuck_lane_delays_no_other(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .queue(20)
        .concurrency(4)
        .lanes(LaneLimits::new(10))
        .spawn_on(
            runtime,
            infallible(|is_stuck: bool| async move {
                if is_stuck {
                    pending().await
                }
            }),
        )
        .unwrap();
    let stuck = Lane::new(lane_key("stuck")).concurrency(2);
    let mut handles = Vec::new();
    let refused = loop {
        match processor.task(true).lane(stuck).submit() {
            Ok(handle) => handles.push(handle),
            Err(refused) => break refused.reason,
        }
    };
    assert_eq!(refused, Refusal::LaneFull);
    for key in 0..100_u8 {
        assert_eq!(processor.task(false).lane(Lane::new(lane_key(&key))).submit().unwrap().wait(), Ok(()));
    }
    assert_eq!(processor.task(false).submit().unwrap().wait(), Ok(()), "one without a key");
    let view = processor.lane(stuck.key()).unwrap();
    assert_eq!((view.running, view.queued as usize + 2), (2, handles.len()));
    assert_eq!((processor.census().lanes, processor.census()), (1, processor.audit()));
}

fn a_rate_is_kept_and_lets_all_through(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .rate(Rate::new(1_000, Duration::from_secs(1)))
        .spawn_on(runtime, infallible(|_: u32| async {}))
        .unwrap();
    let began = std::time::Instant::now();
    let handles: Vec<_> = (0..30).map(|job| processor.submit(job).unwrap()).collect();
    for handle in handles {
        block_on(handle).unwrap();
    }
    assert!(began.elapsed() >= ms(28), "{:?}", began.elapsed());
}

#[test]
fn a_stream_waits_for_its_own_lane_where_that_has_no_other_stream() {
    let sim = Sim::new(1);
    let time = sim.time();
    let builder = Processor::builder().concurrency(8).lanes(LaneLimits::new(2).queue(3));
    let processor = builder
        .spawn_on(
            sim.clone(),
            infallible(move |millis: u64| {
                let time = time.clone();
                async move { time.sleep(ms(millis)).await }
            }),
        )
        .unwrap();
    let lane = |millis: &u64| Options::default().lane(Lane::new(*millis).concurrency(2));

    // Both lanes in one stream: what a lane refuses comes back, and the rest goes on.
    let mixed = || stream::iter([1, 900].into_iter().cycle().take(40));
    let any = processor.process(mixed(), 30).unwrap().options(lane);
    let items: Vec<_> = sim.block_on(any.collect()).unwrap();
    let refused: Vec<_> = items.into_iter().filter_map(Result::err).collect();
    assert!((1..40).contains(&refused.len()), "{refused:?}");
    assert!(refused.iter().all(|job| job.reason == Refusal::LaneFull));
    let ordered = processor.process_ordered(mixed(), 30).unwrap().options(lane);
    let items: Vec<_> = sim.block_on(ordered.collect()).unwrap();
    let places: Vec<_> = items.iter().map(Result::is_ok).collect();
    assert!(places.len() == 40 && places.contains(&false), "{places:?}");
    assert!(
        places[places.iter().position(|is_ok| !is_ok).unwrap()..].contains(&true),
        "it goes on: {places:?}"
    );
    for (job, item) in [1, 900].into_iter().cycle().zip(items) {
        assert_eq!(
            item.map_or_else(Refused::into_value, |_| Some(job)),
            Some(job),
            "in the order of the jobs"
        );
    }
    let totals = processor.totals();
    assert_eq!(totals.offered, 80);
    assert_eq!(totals.settled.completed + totals.refused, 80);

    // A stream for each: the fast one is through before the slow one has begun its second pair.
    let start = sim.now();
    let [fast, slow] = [1, 900].map(|millis| {
        let results = processor.process(stream::iter([millis; 20]), 3).unwrap().options(lane);
        results.map(Result::unwrap).count().map(|count| (count, sim.now().saturating_since(start)))
    });
    let [(fast, after), (slow, at_last)] = <[_; 2]>::from(sim.block_on(join(fast, slow)).unwrap());
    assert_eq!((fast, slow, processor.totals().refused), (20, 20, totals.refused));
    assert!(after < ms(100) && at_last >= ms(9_000), "{after:?}, {at_last:?}");
}

#[test]
fn refused_jobs_of_a_stream_keep_no_result_back() {
    let sim = Sim::new(1);
    let builder = Processor::builder().lanes(LaneLimits::new(2).queue(0));
    let processor = builder.spawn_on(sim.clone(), infallible(|key: u64| async move { key })).unwrap();
    processor.hold_lane(2, Duration::MAX).unwrap();
    let jobs = stream::iter([1, 1, 1]).chain(stream::repeat(2));
    let lane = |key: &u64| Options::default().lane(Lane::new(*key));
    let results = sim.block_on(async {
        let mut items = std::pin::pin!(processor.process(jobs, 8).unwrap().options(lane));
        let (mut results, mut refused) = (0, 0);
        while results < 3 && refused < 1_000 {
            match items.next().await.unwrap() {
                Ok(_) => results += 1,
                Err(job) => {
                    assert_eq!((job.reason, job.into_value()), (Refusal::LaneFull, Some(2)));
                    refused += 1;
                }
            }
            yield_now().await;
        }
        results
    });
    assert_eq!(results, Ok(3));
}

#[test]
fn a_pause_of_a_class_reaches_all_lanes() {
    let sim = Sim::new(1);
    let builder = Processor::builder().queue(400).concurrency(4).lanes(LaneLimits::new(200));
    let processor = builder.spawn_on(sim.clone(), infallible(|_: u64| async {})).unwrap();
    let submit_all = |priority| {
        for key in 0..200 {
            processor.task(key).lane(Lane::new(key)).priority(priority).post().unwrap();
        }
    };
    submit_all(Priority::LOWEST);
    processor.pause_class(Priority::LOWEST);
    submit_all(Priority::NORMAL);
    sim.advance(ms(1)).unwrap();
    assert_eq!((processor.totals().settled.completed, processor.census().queued), (200, 200));
    assert_eq!(processor.health().hold, Hold::Classes);
    processor.resume_class(Priority::LOWEST);
    sim.advance(ms(1)).unwrap();
    assert_eq!((processor.totals().settled.completed, processor.census().lanes), (400, 0));
    assert!(!processor.is_class_paused(Priority::LOWEST));
}

type Noting = fn(u32, Context) -> Result<(), &'static str>;

/// When each job, with its number, was begun, in milliseconds.
type Begun = Arc<Mutex<Vec<(u64, u32)>>>;

/// A processor in virtual time that notes when each job, with its number, is begun.
fn noted(sim: &Sim, build: impl FnOnce(crate::Builder) -> crate::Builder) -> (Processor<Noting>, Begun) {
    let begun = Arc::new(Mutex::new(Vec::new()));
    let notes = begun.clone();
    let handler = move |job: u32, cx: Context| {
        let notes = notes.clone();
        async move {
            notes.lock().unwrap().push((cx.now().as_millis(), job));
            cx.sleep(ms(1)).await.map_err(|_| "stopped")
        }
    };
    (build(Processor::builder()).spawn_on(sim.clone(), handler).unwrap(), begun)
}

#[test]
fn a_rate_is_exact_in_virtual_time() {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let (processor, begun) = noted(&sim, |builder| builder.rate(Rate::new(100, Duration::from_secs(1))));
        for job in 0..30 {
            processor.task(job).post().unwrap();
        }
        sim.block_on(processor.idle()).unwrap();
        let expected: Vec<_> = (0..30).map(|job| (10 * u64::from(job), job)).collect();
        assert_eq!(*begun.lock().unwrap(), expected);
        processor.set_rate(None);
        begun.lock().unwrap().clear();
        for job in 0..30 {
            processor.task(job).post().unwrap();
        }
        sim.block_on(processor.idle()).unwrap();
        assert!(begun.lock().unwrap().iter().all(|(at, _)| *at == 291));
    }
}

#[test]
fn a_hold_keeps_its_lane_and_no_other() {
    let sim = Sim::new(1);
    let (processor, begun) = noted(&sim, |builder| builder.lanes(LaneLimits::new(5)));
    let [held, other] = [1, 2].map(Lane::new);
    processor.hold_lane(held.key(), ms(50)).unwrap();
    for (job, lane) in [(1, held), (2, other), (3, held)] {
        processor.task(job).lane(lane).post().unwrap();
    }
    sim.block_on(processor.idle()).unwrap();
    assert_eq!(*begun.lock().unwrap(), [(0, 2), (50, 1), (50, 3)]);
    processor.hold(ms(20));
    assert_eq!(processor.health().hold, Hold::Held);
    processor.task(4).post().unwrap();
    sim.block_on(processor.idle()).unwrap();
    assert_eq!(begun.lock().unwrap().last(), Some(&(71, 4)));
    assert_eq!((processor.lane(held.key()), processor.census().timers), (None, 0));
}

#[test]
fn a_handler_holds_the_lane_of_its_task() {
    let sim = Sim::new(1);
    let begun = Arc::new(Mutex::new(Vec::new()));
    let notes = begun.clone();
    let processor = Processor::builder()
        .lanes(LaneLimits::new(5))
        .retry(Retry::NONE)
        .spawn_on(sim.clone(), move |job: u32, cx: Context| {
            let notes = notes.clone();
            async move {
                notes.lock().unwrap().push((cx.now().as_millis(), job));
                if cx.now().as_millis() < 40 && job == 1 {
                    assert!(cx.hold_lane(ms(40)));
                    cx.snooze(ms(40)).map_err(|_| "no copy")?;
                    return Err("429");
                }
                assert_eq!(cx.hold_lane(ms(0)), job != 3, "one of them has no lane");
                Ok::<_, &str>(())
            }
        })
        .unwrap();
    let [slow, quick] = [1, 2].map(Lane::new);
    let jobs = [(1, Some(slow.concurrency(1))), (2, Some(slow.concurrency(1))), (3, None), (4, Some(quick))];
    for (job, lane) in jobs {
        let task = processor.task(job);
        if let Some(lane) = lane { task.lane(lane).post() } else { task.post() }.unwrap();
    }
    sim.block_on(processor.idle()).unwrap();
    let mut begun = begun.lock().unwrap().clone();
    begun.sort_unstable();
    assert_eq!(begun, [(0, 1), (0, 3), (0, 4), (40, 1), (40, 2)]);
}

#[test]
fn lanes_have_to_be_asked_for() {
    let sim = Sim::new(1);
    let (processor, _) = noted(&sim, |builder| builder);
    let refused = processor.task(1).lane(Lane::new(1)).post().unwrap_err();
    assert_eq!((refused.reason, refused.into_value()), (Refusal::Lanes, 1));
    assert_eq!(processor.hold_lane(1, ms(1)), Err(HoldRefusal::Lanes));
}

#[test]
fn what_overflows_is_shed_and_told() {
    let sim = Sim::new(1);
    let (processor, begun) =
        noted(&sim, |builder| builder.queue(2).concurrency(1).overflow(Overflow::DropOldest));
    processor.pause();
    let handles: Vec<_> = (0..4).map(|job| processor.submit(job).unwrap()).collect();
    processor.set_priority(handles[2].id(), Priority::LOWEST).unwrap();
    processor.resume();
    sim.block_on(processor.idle()).unwrap();
    let results: Vec<_> = handles.into_iter().map(|handle| handle.wait()).collect();
    assert_eq!(results, [Err(TaskError::Shed), Err(TaskError::Shed), Ok(()), Ok(())]);
    assert_eq!(*begun.lock().unwrap(), [(0, 3), (1, 2)]);
    assert_eq!(processor.totals().settled.shed, 2);
}

/// A submission sets a timer, though its terms have neither a delay nor a time-out.
#[test]
fn a_lane_that_a_submission_shuts_is_opened_in_time() {
    let sim = Sim::new(1);
    let handler = infallible(|is_stuck: bool| async move {
        if is_stuck {
            pending().await
        }
    });
    let processor = Processor::builder().lanes(LaneLimits::new(5)).spawn_on(sim.clone(), handler).unwrap();
    let rate = Rate::new(1, Duration::from_secs(1));
    processor.task(true).lane(Lane::new(1).rate(rate.burst(9))).post().unwrap();
    sim.run_until_idle().unwrap();
    processor.task(false).lane(Lane::new(1).rate(rate)).post().unwrap();
    sim.block_on(sim.time().sleep(Duration::from_secs(2))).unwrap();
    assert_eq!(processor.totals().settled.completed, 1);
}
