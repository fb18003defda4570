//! Handlers that take several jobs in one call.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use futures::executor::block_on;
use futures::future::join_all;

use super::kit::{Count, OnDrop, Probe, ms, yield_now};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::runtime::sim::Sim;
use crate::{Batch, Batching, Builder, Context, Drain, Limits, Processor, Retry, TaskError, batched};

on_every_runtime! {
    each_task_gets_its_own_answer
    members_may_go_at_any_moment
}

type Tens = fn(u32, Context) -> Result<u32, String>;

fn each_task_gets_its_own_answer(runtime: AnyRuntime) {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let notes = sizes.clone();
    let handler = batched(Batching::new(8).within(ms(1)), move |batch: Batch<Tens>| {
        notes.lock().unwrap().push(batch.len());
        async move {
            for (job, answer) in batch {
                yield_now().await;
                answer.give(Ok(job * 10));
            }
        }
    });
    let processor = Processor::builder().queue(500).concurrency(16).spawn_on(runtime, handler).unwrap();
    let handles: Vec<_> = (0..500).map(|job| processor.submit(job).unwrap()).collect();
    let results: Vec<_> = block_on(join_all(handles)).into_iter().map(Result::unwrap).collect();
    assert_eq!(results, (0..500).map(|job| job * 10).collect::<Vec<_>>());
    let sizes = sizes.lock().unwrap();
    assert_eq!(sizes.iter().sum::<usize>(), 500);
    assert!(sizes.iter().all(|size| (1..=8).contains(size)) && sizes.len() < 500, "{sizes:?}");
}

fn members_may_go_at_any_moment(runtime: AnyRuntime) {
    type Work = fn((u32, Probe)) -> Result<(u32, Probe), String>;
    let live = Count::default();
    let handler = batched(Batching::new(5).within(ms(1)), |batch: Batch<Work>| async move {
        for (job, answer) in batch {
            for _ in 0..job.0 % 7 {
                yield_now().await;
            }
            answer.give(Ok(job));
        }
    });
    let processor = Processor::builder().queue(1_000).concurrency(12).spawn_on(runtime, handler).unwrap();
    let handles: Vec<_> =
        (0..1_000).map(|job| (job, processor.submit((job, live.probe())).unwrap())).collect();
    for (job, handle) in &handles {
        if job % 3 == 0 {
            let _ = processor.cancel(handle.id());
        }
        if job % 50 == 0 {
            std::thread::yield_now();
        }
    }
    for (job, handle) in handles {
        match block_on(handle) {
            Ok((output, _)) => assert_eq!(output, job),
            Err(error) => assert!(matches!(error, TaskError::Cancelled(_)) && job % 3 == 0, "{error:?}"),
        }
    }
    let report = block_on(processor.shutdown(Drain::graceful(ms(10_000))));
    assert!(report.census.is_empty(), "{:?}", report.census);
    assert_eq!(live.live(), 0);
}

/// When each batch was run, and its jobs.
type Calls = Arc<Mutex<Vec<(u64, Vec<u32>)>>>;

/// A processor in virtual time whose batches take so long and give ten times each job.
fn tens(
    sim: &Sim,
    batching: Batching,
    takes: u64,
    build: impl FnOnce(Builder) -> Builder,
) -> (Processor<Tens>, Calls) {
    let (calls, time) = (Calls::default(), sim.time());
    let notes = calls.clone();
    let handler = batched(batching, move |batch: Batch<Tens>| {
        notes.lock().unwrap().push((time.now().as_millis(), batch.jobs().copied().collect()));
        let time = time.clone();
        async move {
            let items: Vec<_> = batch.collect();
            time.sleep(ms(takes)).await;
            // Backwards, for an answer belongs to its job whatever the order.
            for (job, answer) in items.into_iter().rev() {
                answer.give(Ok(job * 10));
            }
        }
    });
    (build(Processor::builder().concurrency(10)).spawn_on(sim.clone(), handler).unwrap(), calls)
}

fn calls(calls: &Calls) -> Vec<(u64, Vec<u32>)> {
    calls.lock().unwrap().clone()
}

#[test]
fn a_batch_is_run_when_it_is_full_or_its_time_has_come() {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let (processor, noted) = tens(&sim, Batching::new(4).within(ms(5)), 1, |builder| builder);
        let handles: Vec<_> = (0..10).map(|job| processor.submit(job).unwrap()).collect();
        let results = sim.block_on(join_all(handles)).unwrap();
        assert_eq!(results, (0..10).map(|job| Ok(job * 10)).collect::<Vec<_>>());
        assert_eq!(calls(&noted), [(0, vec![0, 1, 2, 3]), (0, vec![4, 5, 6, 7]), (5, vec![8, 9])]);
        // Its time counts from its first job.
        noted.lock().unwrap().clear();
        let time = sim.time();
        sim.block_on(async {
            processor.task(20).post().unwrap();
            time.sleep(ms(3)).await;
            processor.task(21).post().unwrap();
            processor.idle().await;
        })
        .unwrap();
        assert_eq!(calls(&noted), [(11, vec![20, 21])]);
    }
}

#[test]
fn without_a_time_a_batch_is_what_is_there() {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let (processor, noted) = tens(&sim, Batching::new(64), 1, |builder| builder);
        for _ in 0..2 {
            for job in 0..25 {
                processor.task(job).post().unwrap();
            }
            sim.block_on(processor.idle()).unwrap();
        }
        let jobs: Vec<_> = calls(&noted).into_iter().map(|(_, jobs)| jobs).collect();
        let each = [(0..10).collect(), (10..20).collect(), (20..25).collect::<Vec<u32>>()];
        assert_eq!(jobs, [&each[..], &each[..]].concat());
        assert_eq!(sim.now().as_millis(), 6);
    }
}

#[test]
fn a_batch_that_cannot_be_full_waits_for_its_time() {
    let sim = Sim::new(1);
    let (processor, noted) = tens(&sim, Batching::new(20).within(ms(5)), 0, |builder| builder);
    for job in 0..12 {
        processor.task(job).post().unwrap();
    }
    sim.block_on(processor.idle()).unwrap();
    assert_eq!(calls(&noted), [(5, (0..10).collect()), (10, vec![10, 11])]);
}

#[test]
fn without_sleeps_nobody_waits() {
    let sim = Sim::new(1);
    let no_sleeps = |builder: Builder| {
        let mut limits = Limits::default();
        limits.sleeps = 0;
        builder.limits(limits)
    };
    let (processor, noted) = tens(&sim, Batching::new(4).within(ms(5)), 0, no_sleeps);
    assert_eq!(sim.block_on(processor.submit(1).unwrap()).unwrap(), Ok(10));
    assert_eq!(calls(&noted), [(0, vec![1])]);
}

#[test]
fn a_member_that_goes_during_collection_takes_its_job_along() {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let (processor, noted) = tens(&sim, Batching::new(9).within(ms(10)), 1, |builder| builder);
        let [first, second] = [0, 1].map(|job| processor.task(job).timeout(ms(3)).submit().unwrap());
        let third = processor.submit(2).unwrap();
        sim.advance(ms(2)).unwrap();
        let [fourth, cancelled] = [3, 4].map(|job| processor.submit(job).unwrap());
        sim.advance(ms(3)).unwrap();
        cancelled.cancel().unwrap();
        let results = sim.block_on(join_all([first, second, third, fourth])).unwrap();
        assert_eq!(results, [Err(TaskError::TimedOut), Err(TaskError::TimedOut), Ok(20), Ok(30)]);
        // The first one's successor has run it at the first one's time.
        assert_eq!(calls(&noted), [(10, vec![2, 3])]);
        // All go; what comes then begins anew.
        let alone = processor.task(5).timeout(ms(3)).submit().unwrap();
        assert_eq!(sim.block_on(alone).unwrap(), Err(TaskError::TimedOut));
        assert_eq!(sim.block_on(processor.submit(6).unwrap()).unwrap(), Ok(60));
        assert_eq!(calls(&noted).last(), Some(&(24, vec![6])));
    }
}

#[test]
fn a_member_asked_to_stop_during_collection_goes_too() {
    let sim = Sim::new(1);
    let with_grace = |builder: Builder| builder.cancel_grace(ms(50));
    let (processor, noted) = tens(&sim, Batching::new(9).within(ms(10)), 1, with_grace);
    let handles = [(0, 5), (1, 3), (2, 90)]
        .map(|(job, timeout)| processor.task(job).timeout(ms(timeout)).submit().unwrap());
    let late = Err(TaskError::TimedOut);
    assert_eq!(sim.block_on(join_all(handles)).unwrap(), [late.clone(), late, Ok(20)]);
    assert_eq!(calls(&noted), [(10, vec![2])]);
    sim.advance(ms(50)).unwrap();
    assert_eq!((processor.census().running, processor.census().orphans), (0, 0));
}

#[test]
fn a_member_that_goes_during_the_run_stops_nobody() {
    for seed in 0..5 {
        let sim = Sim::new(seed);
        let (processor, noted) = tens(&sim, Batching::new(5), 20, |builder| builder);
        // The last, which fills it and polls the future, then its successor, then one that does not.
        let handles = [(0, 8), (1, 90), (2, 90), (3, 9), (4, 5)]
            .map(|(job, timeout)| processor.task(job).timeout(ms(timeout)).submit().unwrap());
        let results = sim.block_on(join_all(handles)).unwrap();
        let late = Err(TaskError::TimedOut);
        assert_eq!(results, [late.clone(), Ok(10), Ok(20), late.clone(), late]);
        assert_eq!((calls(&noted).len(), sim.now().as_millis()), (1, 20));
    }
}

#[test]
fn a_batch_without_members_is_dropped() {
    let (sim, dropped) = (Sim::new(1), Arc::new(AtomicUsize::new(0)));
    let (time, count) = (sim.time(), dropped.clone());
    let handler = batched(Batching::new(3), move |_: Batch<Tens>| {
        let (time, count) = (time.clone(), count.clone());
        async move {
            let _counted = OnDrop(|| {
                count.fetch_add(1, SeqCst);
            });
            time.sleep(ms(1_000)).await;
        }
    });
    let processor = Processor::builder().spawn_on(sim.clone(), handler).unwrap();
    let handles = [0, 1, 2].map(|job| processor.submit(job).unwrap());
    for (cancelled, handle) in handles.iter().enumerate() {
        sim.advance(ms(1)).unwrap();
        assert_eq!(dropped.load(SeqCst), 0, "{cancelled} were cancelled");
        processor.cancel(handle.id()).unwrap();
    }
    sim.advance(ms(1)).unwrap();
    assert_eq!((dropped.load(SeqCst), processor.census().running), (1, 0));
    // The end of the processor drops one that is under way.
    let [first, second] = [3, 4].map(|job| processor.submit(job).unwrap());
    sim.advance(ms(1)).unwrap();
    drop(processor);
    assert_eq!(dropped.load(SeqCst), 2);
    for result in sim.block_on(join_all([first, second])).unwrap() {
        assert_eq!(result, Err(TaskError::Ended));
    }
}

#[test]
fn a_graceful_end_waits_for_a_batch() {
    let sim = Sim::new(1);
    let (processor, _) = tens(&sim, Batching::new(5).within(ms(5)), 20, |builder| builder);
    let handle = processor.submit(7).unwrap();
    sim.advance(ms(1)).unwrap();
    let report = sim.block_on(processor.shutdown(Drain::graceful(ms(100)))).unwrap();
    assert_eq!((sim.now().as_millis(), report.remains.cancelled, handle.wait()), (25, 0, Ok(70)));
}

#[test]
fn a_panic_is_that_of_all() {
    let sim = Sim::new(1);
    let handler = batched(Batching::new(3), |batch: Batch<Tens>| {
        let smallest = batch.jobs().min().copied().unwrap();
        assert!(smallest < 100, "in the call");
        async move {
            for (job, answer) in batch {
                answer.give(Ok(job));
            }
            yield_now().await;
            assert!(smallest < 10, "in the {}", "future");
        }
    });
    let processor = Processor::builder().spawn_on(sim.clone(), handler).unwrap();
    for (smallest, text) in [(100, "in the call"), (10, "in the future")] {
        let handles = [0, 1, 2].map(|more| processor.submit(smallest + more).unwrap());
        for result in sim.block_on(join_all(handles)).unwrap() {
            assert_eq!(result, Err(TaskError::Panicked(text.into())));
        }
    }
    assert_eq!(sim.block_on(processor.submit(1).unwrap()).unwrap(), Ok(1));
    assert_eq!((processor.totals().settled.panicked, processor.census().running), (6, 0));
}

#[test]
fn an_unanswered_job_has_panicked_alone() {
    let sim = Sim::new(1);
    let handler = batched(Batching::new(3), |mut batch: Batch<Tens>| async move {
        let (_, _left) = batch.next().unwrap();
        let (job, answer) = batch.next().unwrap();
        answer.give(Ok(job));
    });
    let processor = Processor::builder().spawn_on(sim.clone(), handler).unwrap();
    let handles = [0, 1, 2].map(|job| processor.submit(job).unwrap());
    let unanswered = Err(TaskError::Panicked("the batch function has not answered this job".into()));
    let results = sim.block_on(join_all(handles)).unwrap();
    assert_eq!(results, [unanswered.clone(), Ok(1), unanswered]);
}

#[test]
fn a_retried_task_joins_a_later_batch() {
    let (sim, noted) = (Sim::new(1), Calls::default());
    let (time, notes) = (sim.time(), noted.clone());
    let handler = batched(Batching::new(3).within(ms(2)), move |batch: Batch<Tens>| {
        notes.lock().unwrap().push((time.now().as_millis(), batch.jobs().copied().collect()));
        async move {
            for (job, answer) in batch {
                let attempt = answer.context().attempt();
                answer.give(if job == 1 && attempt == 1 { Err("busy".into()) } else { Ok(attempt) });
            }
        }
    });
    let builder = Processor::builder().retry(Retry::times(1).fixed(ms(10)));
    let processor = builder.spawn_on(sim.clone(), handler).unwrap();
    let handles = [0, 1, 2].map(|job| processor.submit(job).unwrap());
    assert_eq!(sim.block_on(join_all(handles)).unwrap(), [Ok(1), Ok(2), Ok(1)]);
    assert_eq!(calls(&noted), [(0, vec![0, 1, 2]), (12, vec![1])]);
}

#[test]
fn every_job_comes_out_once() {
    type Work = fn((u32, Probe)) -> Result<(u32, Probe), u32>;
    for seed in 0..40 {
        let sim = if seed % 2 == 0 { Sim::new(seed) } else { Sim::new(seed).several_threads() };
        let (live, seen) = (Count::default(), Arc::new(Mutex::new(BTreeSet::new())));
        let (time, notes) = (sim.time(), seen.clone());
        let batching = Batching::new(4).within(ms(seed % 3 * 4));
        let handler = batched(batching, move |batch: Batch<Work>| {
            let (time, notes) = (time.clone(), notes.clone());
            async move {
                for ((job, probe), answer) in batch {
                    assert!(notes.lock().unwrap().insert(job), "{job} a second time");
                    time.sleep(ms(u64::from(job % 5))).await;
                    assert!(job % 61 != 60, "one panics");
                    answer.give(if job % 7 == 6 { Err(job) } else { Ok((job, probe)) });
                }
            }
        });
        let processor = Processor::builder().concurrency(9).spawn_on(sim.clone(), handler).unwrap();
        let handles: Vec<_> = (0..200)
            .map(|job| {
                let task = processor.task((job, live.probe()));
                if job % 3 == 2 { task.timeout(ms(u64::from(job % 11) + 1)) } else { task }.submit().unwrap()
            })
            .collect();
        let results = sim.block_on(join_all(handles)).unwrap();
        let mut outcomes = [0; 4];
        for (job, result) in (0..).zip(&results) {
            let outcome = match result {
                Ok((output, _)) => (*output == job && job % 7 != 6).then_some(0),
                Err(TaskError::Failed(error)) => (*error == job && job % 7 == 6).then_some(1),
                Err(TaskError::TimedOut) => (job % 3 == 2).then_some(2),
                Err(TaskError::Panicked(_)) => Some(3),
                _ => None,
            };
            outcomes[outcome.unwrap_or_else(|| panic!("{job}: {result:?}"))] += 1;
            assert!(
                !matches!(result, Ok(_) | Err(TaskError::Failed(_))) || seen.lock().unwrap().contains(&job)
            );
        }
        assert!(outcomes.iter().all(|count| *count > 0) && outcomes[3] <= 12, "{outcomes:?}");
        let report = sim.block_on(processor.shutdown(Drain::graceful(ms(100)))).unwrap();
        assert!(report.census.is_empty(), "{:?}", report.census);
        assert_eq!(live.live(), outcomes[0], "only what is in results is left");
    }
}

#[test]
fn work_of_a_type_has_metadata() {
    struct Sums;
    impl crate::Work for Sums {
        type Job = u32;
        type Output = u32;
        type Error = String;
        type Meta = u32;
    }
    let sim = Sim::new(1);
    let handler = batched(Batching::new(2), |batch: Batch<Sums>| async move {
        let sum: u32 = batch.jobs().sum();
        for (_, answer) in batch {
            let meta = answer.context().meta();
            answer.give(Ok(sum + meta));
        }
    });
    let processor: Processor<Sums> = Processor::builder().spawn_on(sim.clone(), handler).unwrap();
    let handles = [1, 2].map(|job| processor.task(job).meta(job * 100).submit().unwrap());
    assert_eq!(sim.block_on(join_all(handles)).unwrap(), [Ok(103), Ok(203)]);
}

#[cfg(feature = "smol")]
#[test]
fn work_of_one_thread_need_not_be_send() {
    use crate::{Local, SmolLocal};
    use std::rc::Rc;

    type Work = fn(Rc<str>) -> Result<Rc<str>, Rc<str>>;
    let executor = Rc::new(smol::LocalExecutor::new());
    let handler = batched(Batching::new(3), |batch: Batch<Local<Work>>| async move {
        let mut all = batch.jobs().map(|job| &**job).collect::<Vec<_>>().concat();
        yield_now().await;
        all.push('!');
        let all: Rc<str> = all.into();
        batch.for_each(|(_, answer)| answer.give(Ok(all.clone())));
    });
    let processor = Processor::builder().spawn_local_on(SmolLocal::on(executor.clone()), handler).unwrap();
    let handles = ["a", "b", "c"].map(|job| processor.submit(job.into()).unwrap());
    for result in block_on(executor.run(join_all(handles))) {
        assert_eq!(&*result.unwrap(), "abc!");
    }
}
