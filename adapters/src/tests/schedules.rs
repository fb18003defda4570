//! Schedules, as users see them.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::executor::block_on;

use super::kit::{Count, Manual, Several, eventually, ms, poll_idle};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::runtime::sim::Sim;
use crate::{
    Context, Drain, Missed, Options, Overlap, Processor, Refusal, Schedule, ScheduleRefusal, SleepRefusal,
    infallible,
};

on_every_runtime! {
    a_schedule_goes_on_until_it_is_ended
    the_end_drops_the_function_although_it_holds_a_submitter
    a_function_may_call_back_and_end_its_own_schedule
}

fn a_schedule_goes_on_until_it_is_ended(runtime: AnyRuntime) {
    let count = Count::default();
    let ran = Arc::new(AtomicU64::new(0));
    let (probe, runs) = (count.probe(), ran.clone());
    let processor = Processor::builder()
        .spawn_on(
            runtime,
            infallible(move |n: u64| {
                runs.fetch_add(n, SeqCst);
                async {}
            }),
        )
        .unwrap();
    let handle = processor
        .every(ms(1), move |due| {
            let _ = &probe;
            1 + due.missed
        })
        .unwrap();
    eventually("it is due ten times", || handle.stats().is_some_and(|stats| stats.submitted >= 10));
    let stats = handle.stats().unwrap();
    assert_eq!((stats.refused, stats.panicked, stats.last_refusal), (0, 0, None));
    assert!(processor.census().schedules == 1 && handle.end());
    eventually("its function is dropped", || count.live() == 0);
    block_on(processor.idle());
    let last = ran.load(SeqCst);
    assert!(last >= 10, "each missed time is told: {last}");
    assert_eq!(processor.census(), processor.audit());
    assert_eq!((processor.census().schedules, processor.census().timers), (0, 0));
    assert_eq!((ran.load(SeqCst), processor.shared.count_schedules()), (last, 0));
}

fn the_end_drops_the_function_although_it_holds_a_submitter(runtime: AnyRuntime) {
    for mode in [None, Some(Drain::Abort), Some(Drain::Cancel), Some(Drain::graceful(ms(10_000)))] {
        let count = Count::default();
        let processor =
            Processor::builder().spawn_on(runtime.clone(), infallible(|_: u64| async {})).unwrap();
        for overlap in [Overlap::Skip, Overlap::Allow] {
            let (probe, submitter) = (count.probe(), processor.submitter());
            let schedule = Schedule::fixed_rate(ms(1)).overlap(overlap);
            let handle = processor.schedule(schedule, Options::default(), move |_| {
                let _ = &probe;
                submitter.totals().admitted
            });
            let handle = handle.unwrap();
            eventually("it is due", || handle.stats().is_some_and(|stats| stats.submitted >= 1));
        }
        let submitter = processor.submitter();
        match mode {
            Some(mode) => {
                let report = block_on(processor.shutdown(mode));
                assert_eq!(report.remains.schedules, 2);
                assert!(report.census.is_empty(), "{:?}", report.census);
            }
            None => drop(processor),
        }
        // A worker that was calling one of them drops it when it returns.
        eventually("the functions are dropped", || count.live() == 0);
        assert!(submitter.census().is_empty() && submitter.shared.count_schedules() == 0);
        let refused = submitter.every(ms(1), |_| 1).map(drop);
        assert_eq!(refused, Err(ScheduleRefusal::Closed));
    }
}

fn a_function_may_call_back_and_end_its_own_schedule(runtime: AnyRuntime) {
    let count = Count::default();
    let processor = Processor::builder().spawn_on(runtime, infallible(|_: u64| async {})).unwrap();
    let (probe, submitter) = (count.probe(), processor.submitter());
    let handle = processor
        .every(ms(1), move |due| {
            let _ = &probe;
            assert!(submitter.unschedule(due.schedule) && !submitter.unschedule(due.schedule));
            submitter.task(7).post().map_or(0, |task| task.to_bits())
        })
        .unwrap();
    eventually("its function is dropped", || count.live() == 0);
    block_on(processor.idle());
    assert_eq!(processor.totals().admitted, 1, "the job of a schedule that has ended is not submitted");
    assert_eq!((processor.totals().late_panics, handle.stats()), (0, None));
    assert!(!handle.end());
}

/// A processor in virtual time, whose tasks note when they begin and take as long as their job says.
fn noted(sim: &Sim, concurrency: u32) -> (Processor<Sleeps>, Starts) {
    let starts = Starts::default();
    let notes = starts.clone();
    let handler = move |length: Duration, cx: Context| {
        notes.lock().unwrap().push(cx.now().as_millis());
        async move { if length.is_zero() { Ok(()) } else { cx.sleep(length).await } }
    };
    (Processor::builder().concurrency(concurrency).spawn_on(sim.clone(), handler).unwrap(), starts)
}

type Sleeps = fn(Duration, Context) -> Result<(), SleepRefusal>;
type Starts = Arc<Mutex<Vec<u64>>>;

fn taken(starts: &Starts) -> Vec<u64> {
    std::mem::take(&mut starts.lock().unwrap())
}

#[test]
fn a_week_is_exact_in_virtual_time() {
    let sim = Sim::new(3);
    let (processor, starts) = noted(&sim, 4);
    let handle = processor.every(ms(60_000), |_| Duration::from_secs(20)).unwrap();
    sim.advance(Duration::from_secs(7 * 24 * 3_600)).unwrap();
    let minutes: Vec<u64> = (1..=7 * 24 * 60).map(|minute| minute * 60_000).collect();
    assert_eq!(taken(&starts), minutes);
    assert_eq!(handle.stats().map(|stats| (stats.submitted, stats.missed)), Some((minutes.len() as u64, 0)));
    assert_eq!(processor.census().timers, 1, "but the sleep that is going on");
}

#[test]
fn overlapping_times_are_skipped_or_not_as_asked() {
    let sim = Sim::new(3);
    let (processor, starts) = noted(&sim, 4);
    let skips = processor.every(ms(10), |_| ms(25)).unwrap();
    sim.advance(ms(125)).unwrap();
    assert_eq!(taken(&starts), [10, 40, 70, 100]);
    assert_eq!(skips.stats().map(|stats| (stats.submitted, stats.missed)), Some((4, 6)));
    assert_eq!(skips.next(), Some(sim.now().saturating_add(ms(5))));
    assert!(skips.end());
    sim.advance(ms(75)).unwrap();
    let schedule = Schedule::fixed_rate(ms(10)).overlap(Overlap::Allow);
    let allows = processor.schedule(schedule, Options::default(), |_| ms(25)).unwrap();
    sim.advance(ms(50)).unwrap();
    assert_eq!(taken(&starts), [210, 220, 230, 240, 250]);
    assert_eq!(allows.stats().map(|stats| (stats.submitted, stats.missed)), Some((5, 0)));
}

#[test]
fn a_fixed_delay_counts_from_the_settlement() {
    let sim = Sim::new(3);
    let (processor, starts) = noted(&sim, 4);
    let schedule = Schedule::fixed_delay(ms(10)).first_after(Duration::ZERO);
    let handle = processor.schedule(schedule, Options::default(), |_| ms(25)).unwrap();
    sim.advance(ms(125)).unwrap();
    assert_eq!(taken(&starts), [0, 35, 70, 105]);
    assert_eq!((handle.next(), handle.stats().unwrap().missed), (None, 0), "its task runs");
    // A retry that backs off is not settled, nor is an attempt that was timed out still the task's.
    handle.end();
    let options = Options::default().timeout(ms(5));
    let _timed_out = processor.schedule(Schedule::fixed_delay(ms(10)), options, |_| ms(25)).unwrap();
    sim.advance(ms(50)).unwrap();
    assert_eq!(taken(&starts), [135, 150, 165]);
}

#[test]
fn jitter_comes_after_the_time_and_does_not_add_up() {
    for (seed, missed) in [(1, Missed::Skip), (2, Missed::Skip), (1, Missed::Delay)] {
        let sim = Sim::new(seed);
        let (processor, starts) = noted(&sim, 4);
        let schedule = Schedule::fixed_rate(ms(1_000)).jitter(ms(200)).missed(missed);
        let _handle = processor.schedule(schedule, Options::default(), |_| ms(1)).unwrap();
        sim.advance(ms(1_000_500)).unwrap();
        let starts = taken(&starts);
        let late: Vec<u64> =
            (1..).zip(&starts).map(|(nth, start)| start.saturating_sub(1_000 * nth)).collect();
        match missed {
            Missed::Skip => {
                assert!(starts.len() == 1_000 && late.iter().all(|late| *late <= 200), "{late:?}");
                assert!(late.iter().min() < Some(&10) && late.iter().max() > Some(&190), "{late:?}");
            }
            _ => assert!(starts.len() < 950, "each counts from the one before, with its jitter"),
        }
    }
}

#[test]
fn a_panic_or_a_refusal_is_counted_and_the_schedule_goes_on() {
    for overlap in [Overlap::Skip, Overlap::Allow] {
        let sim = Sim::new(3);
        let count = Count::default();
        let processor = Processor::builder()
            .queue(0)
            .concurrency(1)
            .spawn_on(
                sim.clone(),
                infallible(|job: Option<super::kit::Probe>| async move {
                    if job.is_none() {
                        pending().await
                    }
                }),
            )
            .unwrap();
        let (mut turn, probes) = (0, count.clone());
        let schedule = Schedule::fixed_rate(ms(10)).overlap(overlap);
        let made = processor.schedule(schedule, Options::default(), move |_| {
            turn += 1;
            assert!(turn % 2 == 1, "each second time");
            Some(probes.probe())
        });
        let made = made.unwrap();
        sim.advance(ms(45)).unwrap();
        let stats = made.stats().unwrap();
        assert_eq!((stats.submitted, stats.panicked, stats.refused), (2, 2, 0));
        let stuck = processor.submit(None).unwrap();
        sim.advance(ms(40)).unwrap();
        let stats = made.stats().unwrap();
        assert_eq!((stats.submitted, stats.panicked, stats.refused), (2, 4, 2));
        assert_eq!((stats.last_refusal, count.live()), (Some(Refusal::Full), 0), "the job is dropped");
        stuck.cancel().unwrap();
        sim.advance(ms(40)).unwrap();
        assert_eq!(made.stats().unwrap().submitted, 4);
        assert_eq!(processor.totals().late_panics, 6);
        drop(processor);
    }
}

#[test]
fn terms_that_no_task_can_have_refuse_each() {
    let sim = Sim::new(3);
    let (processor, starts) = noted(&sim, 4);
    let options = Options::default().timeout(Duration::ZERO);
    let handle = processor.schedule(Schedule::fixed_rate(ms(10)), options, |_| ms(1)).unwrap();
    sim.advance(ms(35)).unwrap();
    let stats = handle.stats().unwrap();
    assert_eq!((stats.refused, stats.last_refusal, taken(&starts)), (3, Some(Refusal::ZeroTimeout), vec![]));
}

#[test]
fn a_schedule_that_ends_while_its_task_runs_is_forgotten_with_it() {
    let sim = Sim::new(3);
    let (processor, _) = noted(&sim, 4);
    let first = processor.every(ms(10), |_| ms(100)).unwrap();
    sim.advance(ms(15)).unwrap();
    assert!(first.end());
    // The next one has its slot, and must not take the settlement for its own.
    let second = processor.every(ms(40), |_| ms(100)).unwrap();
    assert_eq!(processor.shared.count_schedules(), 2);
    sim.advance(ms(75)).unwrap();
    assert_eq!((processor.totals().settled.total(), second.next()), (0, None));
    sim.advance(ms(30)).unwrap();
    assert_eq!((processor.totals().settled.total(), second.next()), (1, None), "it waits for its own task");
    assert_eq!(processor.shared.count_schedules(), 1);
    sim.advance(ms(40)).unwrap();
    assert!(processor.totals().settled.total() == 2 && second.next().is_some());
}

#[test]
fn there_are_as_many_as_the_limit() {
    let sim = Sim::new(3);
    let processor =
        Processor::builder().schedules(1).spawn_on(sim.clone(), infallible(|_: u8| async {})).unwrap();
    let count = Count::default();
    let handle = processor.every(ms(10), |_| 1).unwrap();
    let probe = count.probe();
    let refused = processor.every(ms(10), move |_| {
        let _ = &probe;
        1
    });
    assert_eq!((refused.map(drop), count.live()), (Err(ScheduleRefusal::Full), 0));
    let id = handle.id();
    assert!(processor.unschedule(id) && handle.stats().is_none());
    let next = processor.every(ms(10), |_| 1).unwrap();
    // It has the place of the first one, whose id and handle are stale.
    assert!(!processor.unschedule(id) && handle.stats().is_none() && !handle.end());
    sim.advance(ms(25)).unwrap();
    assert_eq!(next.stats().map(|stats| stats.submitted), Some(2));
}

#[test]
fn a_paused_processor_is_late_once() {
    let sim = Sim::new(3);
    let (processor, starts) = noted(&sim, 4);
    let handle = processor.every(ms(10), |_| Duration::ZERO).unwrap();
    processor.pause();
    sim.advance(ms(95)).unwrap();
    processor.resume();
    sim.advance(ms(30)).unwrap();
    // One task waited, and its times were skipped meanwhile.
    assert_eq!(taken(&starts), [95, 100, 110, 120]);
    assert_eq!(handle.stats().map(|stats| (stats.submitted, stats.missed)), Some((4, 8)));
}

#[test]
fn the_hook_sees_the_tasks_of_a_schedule() {
    let sim = Sim::new(3);
    let processor =
        Processor::builder().spawn_on(sim.clone(), |n: u32| async move { Err::<u32, _>(n) }).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = seen.clone();
    processor.on_settled(move |settled| sees.lock().unwrap().push(settled.result.is_err()));
    let _handle = processor.every(ms(10), |_| 3).unwrap();
    sim.advance(ms(35)).unwrap();
    assert_eq!(*seen.lock().unwrap(), [true; 3]);
    assert_eq!(processor.totals().settled.failed, 3);
    drop(processor);
}

/// A function that is called must not be called on a second thread, and what comes meanwhile is missed.
#[test]
fn a_function_is_never_called_twice_at_a_time() {
    let runtime = Several(Manual::default());
    let (processor, futures) =
        Processor::builder().concurrency(3).build(&runtime, infallible(|_: u64| async {})).unwrap();
    let futures: Vec<_> = futures.into_iter().map(Mutex::new).collect();
    let (calls, called) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel();
    let schedule = Schedule::fixed_rate(ms(10)).overlap(Overlap::Allow);
    let handle = processor.schedule(schedule, Options::default(), move |due| {
        calls.send(due.at.as_millis()).unwrap();
        waits.recv_timeout(Duration::from_secs(10)).unwrap();
        due.missed
    });
    let handle = handle.unwrap();
    poll_idle(&futures);
    std::thread::scope(|scope| {
        runtime.0.advance(ms(10));
        let first = scope.spawn(|| (0..5).for_each(|_| poll_idle(&futures)));
        assert_eq!(called.recv_timeout(Duration::from_secs(10)), Ok(10));
        for _ in 0..3 {
            runtime.0.advance(ms(10));
            (0..5).for_each(|_| poll_idle(&futures));
        }
        let stats = handle.stats().unwrap();
        assert_eq!((stats.submitted, stats.missed), (0, 3), "the first call has not returned");
        go_on.send(()).unwrap();
        first.join().unwrap();
    });
    assert_eq!(handle.stats().unwrap().submitted, 1);
    go_on.send(()).unwrap();
    runtime.0.advance(ms(10));
    (0..5).for_each(|_| poll_idle(&futures));
    assert_eq!(called.try_iter().collect::<Vec<_>>(), [50]);
    assert_eq!(handle.stats().map(|stats| (stats.submitted, stats.missed)), Some((2, 3)));
}
