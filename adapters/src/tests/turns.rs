//! How a worker shares its time among attempts.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{self, Wake};
use std::time::Duration;

use futures::executor::block_on;

use super::kit::{Count, Manual, Probe, Several, ms, poll_idle, start_to_close, yield_now};
use crate::runtime::sim::Sim;
use crate::{Context, EngineFuture, Options, Processor, Submitter, TaskError, infallible};

type Computing = fn(Duration, Context) -> Result<u32, ()>;
type Cancelling = fn(bool, Context) -> Result<(), ()>;
type Probing = fn((Option<bool>, Probe), Context) -> Result<Probe, ()>;

type Own = Processor<Computing>;

/// A processor on a runtime that is driven by hand. A job takes so long to compute; its output is how many attempts
/// the machine had handed out by then. A few quick tasks have made its workers bold.
fn bold(manual: &Manual, concurrency: u32, prefetch: u32) -> Own {
    let (clock, submitter) = (manual.clone(), Arc::new(Mutex::new(None::<Submitter<Computing>>)));
    let own = submitter.clone();
    let processor = Processor::builder()
        .concurrency(concurrency)
        .prefetch(prefetch)
        .spawn_on(manual.clone(), move |long: Duration, _: Context| {
            clock.advance(long);
            let running = own.lock().unwrap().as_ref().map_or(0, |submitter| submitter.census().running);
            async move { Ok(running) }
        })
        .unwrap();
    *submitter.lock().unwrap() = Some(processor.submitter());
    for _ in 0..100 {
        processor.task(ms(0)).post().unwrap();
    }
    manual.run();
    processor
}

fn output(processor: &Own, manual: &Manual, jobs: &[Duration]) -> Vec<u32> {
    let handles: Vec<_> = jobs.iter().map(|job| processor.submit(*job).unwrap()).collect();
    manual.run();
    handles.into_iter().map(|handle| block_on(handle).unwrap()).collect()
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
fn an_attempt_that_ends_before_anybody_looks_at_the_time_counts() {
    let manual = Manual::default();
    let processor = bold(&manual, 2, 2);
    let quick =
        processor.task(ms(0)).options(Options::default().timeouts(start_to_close(ms(5)))).submit().unwrap();
    let slow =
        processor.task(ms(20)).options(Options::default().timeouts(start_to_close(ms(19)))).submit().unwrap();
    manual.run();
    assert!(block_on(quick).is_ok());
    assert!(block_on(slow).is_ok());
}

/// The second attempt is taken together with the first, which computes for 20 ms before it is called.
#[test]
fn a_time_out_counts_from_the_call_of_the_handler() {
    for prefetch in [1, 2] {
        let manual = Manual::default();
        let clock = manual.clone();
        let processor = Processor::builder()
            .concurrency(2)
            .prefetch(prefetch)
            .timeouts(start_to_close(ms(30)))
            .spawn_on(manual.clone(), move |(computes, sleeps): (Duration, Duration), context: Context| {
                clock.advance(computes);
                async move { context.sleep(sleeps).await }
            })
            .unwrap();
        for _ in 0..4 {
            processor.task((ms(0), ms(0))).post().unwrap();
        }
        manual.run();
        let first = processor.submit((ms(20), ms(0))).unwrap();
        let in_time = processor.submit((ms(0), ms(25))).unwrap();
        manual.run();
        manual.advance(ms(25));
        manual.run();
        assert_eq!((block_on(first), block_on(in_time)), (Ok(()), Ok(())));
        let late = processor.submit((ms(0), ms(35))).unwrap();
        manual.run();
        manual.advance(ms(31));
        manual.run();
        assert_eq!(block_on(late), Err(TaskError::TimedOut));
    }
}

/// An attempt that yields to itself is polled again and again without the machine.
#[test]
fn an_attempt_that_yields_takes_no_lock_of_the_machine() {
    let holds = |yields: u32| {
        let manual = Manual::default();
        let processor = Processor::builder()
            .spawn_on(manual.clone(), |yields: u32| async move {
                for _ in 0..yields {
                    yield_now().await;
                }
                Ok::<_, ()>(())
            })
            .unwrap();
        let handle = processor.submit(yields).unwrap();
        manual.run();
        let holds = processor.submitter().shared.holds();
        assert_eq!(block_on(handle), Ok(()));
        holds
    };
    assert_eq!(holds(100), holds(1));
}

/// Whether something was woken since it was last looked at.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Polls the futures that were woken until none is any more; returns how many polls that took.
fn poll_woken(futures: &mut [(EngineFuture, Arc<Flag>)]) -> usize {
    let mut polls = 0;
    loop {
        let before = polls;
        for (future, flag) in &mut *futures {
            if flag.0.swap(false, SeqCst) {
                polls += 1;
                let waker = flag.clone().into();
                assert!(Pin::new(future).poll(&mut task::Context::from_waker(&waker)).is_pending());
            }
        }
        if polls == before {
            return polls;
        }
    }
}

/// It returns to its runtime once it has woken somebody, but not to be polled again for nothing.
#[test]
fn a_worker_that_has_woken_somebody_and_has_no_more_to_do_is_not_polled_again() {
    let sim = Sim::new(1).several_threads();
    let (processor, futures) =
        Processor::builder().concurrency(4).build(&sim, |(): ()| async { Ok::<_, ()>(()) }).unwrap();
    let woken = || Arc::new(Flag(AtomicBool::new(true)));
    let mut futures: Vec<_> = futures.into_iter().map(|future| (future, woken())).collect();
    poll_woken(&mut futures);
    for _ in 0..3 {
        let (mut handle, waits) = (processor.submit(()).unwrap(), Arc::new(Flag::default()));
        let waker = waits.clone().into();
        assert!(Pin::new(&mut handle).poll(&mut task::Context::from_waker(&waker)).is_pending());
        assert_eq!(poll_woken(&mut futures), 1, "one worker, once");
        assert!(waits.0.load(SeqCst), "the handle was woken");
        assert_eq!(block_on(handle), Ok(()));
    }
}

/// New attempts and ready ones take turns, and ready ones come in their order.
#[test]
fn neither_new_attempts_nor_ready_ones_starve() {
    let manual = Manual::default();
    let order: Arc<Mutex<Vec<(u32, u32)>>> = Arc::default();
    let seen = order.clone();
    let processor = Processor::builder()
        .concurrency(3)
        .prefetch(1)
        .spawn_on(manual.clone(), move |job: u32| {
            let seen = seen.clone();
            async move {
                for step in 0..3 {
                    seen.lock().unwrap().push((job, step));
                    yield_now().await;
                }
                Ok::<_, ()>(())
            }
        })
        .unwrap();
    for job in 0..3 {
        processor.task(job).post().unwrap();
    }
    manual.run();
    let order = order.lock().unwrap().clone();
    assert_eq!(order, [(0, 0), (0, 1), (1, 0), (0, 2), (2, 0), (1, 1), (2, 1), (1, 2), (2, 2)]);
}

/// When the owner is dropped in a poll, another attempt in the same hand may have ended without being reported, and one
/// may not have begun.
#[test]
fn the_owner_takes_all_that_is_in_hand_with_it() {
    let (manual, live) = (Manual::default(), Count::default());
    let slot: Arc<Mutex<Option<Processor<Probing>>>> = Arc::default();
    let (owner, counted, seen) = (slot.clone(), live.clone(), Arc::new(AtomicU32::new(0)));
    let left = seen.clone();
    let processor = Processor::builder()
        .concurrency(3)
        .prefetch(3)
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
        processor.task((None, live.probe())).post().unwrap();
    }
    manual.run();
    assert_eq!(live.live(), 0);
    let jobs = [Some(false), Some(true), Some(false)];
    let handles: Vec<_> =
        jobs.into_iter().map(|job| processor.submit((job, live.probe())).unwrap()).collect();
    *slot.lock().unwrap() = Some(processor);
    manual.run();
    assert_eq!(seen.load(SeqCst), 3, "what the worker has in hand is left until the poll returns");
    assert_eq!(live.live(), 0);
    assert!(handles.into_iter().all(|handle| block_on(handle).is_err()));
}

#[test]
fn a_worker_that_drops_what_nobody_wants_goes_on() {
    let manual = Manual::default();
    let builder = Processor::builder().concurrency(1);
    let (processor, built) = builder.build(&Several(manual), infallible(|n: u32| async move { n })).unwrap();
    let futures: Vec<_> = built.into_iter().map(Mutex::new).collect();
    for n in 0..20 {
        processor.task(n).post().unwrap();
    }
    // The others are not idle, for they have not begun: there is nobody to give way to.
    poll_idle(&futures[..1]);
    assert_eq!(processor.totals().settled.completed, 20, "in one poll by the runtime");
}

#[test]
fn what_a_neighbour_has_cancelled_is_not_begun() {
    let (manual, task) = (Manual::default(), Arc::new(Mutex::new(None)));
    let (called, cancels) = (Arc::new(AtomicU32::new(0)), task.clone());
    let count = called.clone();
    let processor = Processor::builder()
        .concurrency(4)
        .spawn_on(manual.clone(), move |is_first: bool, _: Context| {
            count.fetch_add(1, SeqCst);
            if let Some((submitter, task)) = cancels.lock().unwrap().take().filter(|_| is_first) {
                let submitter: Submitter<Cancelling> = submitter;
                submitter.cancel(task).unwrap();
            }
            async { Ok::<(), ()>(()) }
        })
        .unwrap();
    // Quick ones make the worker bold: it has all three in hand.
    for _ in 0..100 {
        processor.task(false).post().unwrap();
    }
    manual.run();
    called.store(0, SeqCst);
    let [first, second, third] = [true, false, false].map(|job| processor.submit(job).unwrap());
    *task.lock().unwrap() = Some((processor.submitter(), second.id()));
    manual.run();
    assert_eq!([first, second, third].map(block_on), [Ok(()), Err(TaskError::Cancelled(None)), Ok(())]);
    assert_eq!(called.load(SeqCst), 2);
}
