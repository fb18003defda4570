//! A handler, a callback or a waker that blocks its thread holds up nobody whom another thread could run.
//!
//! Told by order, not by time: what blocks goes on when all others are settled, or after far too long.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Wake, Waker};

use plimsoll::{Options, Processor};

use crate::kit::{
    self, Counter, Gate, Host, Job, Work, WorkSubmitter, eventually, happens, instant, job, ms,
    start_to_close,
};

on_two_threads! {
    neighbours_do_not_wait_for_a_first_job_that_blocks
    neighbours_do_not_wait_for_a_middle_job_that_blocks
    neighbours_do_not_wait_for_a_last_job_that_blocks
    neighbours_do_not_wait_for_a_callback_that_blocks
    neighbours_do_not_wait_for_a_waker_that_blocks
    new_tasks_do_not_wait_for_a_handler_that_blocks
    callbacks_do_not_wait_for_a_handler_that_blocks
    attempts_that_yield_do_not_wait_for_a_callback_that_blocks
    attempts_that_yield_do_not_wait_for_a_handler_that_blocks
}

fn sixteen_at_a_time(host: &impl Host) -> Work {
    kit::build(Processor::builder().concurrency(16), host)
}

/// Counts when it is polled.
fn counted(count: &Counter) -> Job {
    let count = count.clone();
    job(async move {
        count.add();
        Ok(0)
    })
}

/// Several rounds, for where a wake lands is a matter of luck.
fn assert_neighbours_do_not_wait(host: &impl Host, blocker_at: usize) {
    let processor = sixteen_at_a_time(host);
    for round in 1..=20 {
        let gate = Gate::default();
        processor.pause();
        for n in 0..16 {
            let job = if n == blocker_at { kit::blocking(&gate) } else { instant(0) };
            processor.task(job).post().unwrap();
        }
        processor.resume();
        let settled = || processor.totals().settled.completed + 16 - 16 * round;
        let all_settled = happens(|| settled() == 15);
        let count = settled();
        gate.open();
        assert!(
            all_settled,
            "round {round}: of 15 neighbours {count} were settled while the blocker blocked"
        );
        eventually("the blocker goes on", || settled() == 16);
    }
}

fn neighbours_do_not_wait_for_a_first_job_that_blocks(host: impl Host) {
    assert_neighbours_do_not_wait(&host, 0);
}

fn neighbours_do_not_wait_for_a_middle_job_that_blocks(host: impl Host) {
    assert_neighbours_do_not_wait(&host, 7);
}

fn neighbours_do_not_wait_for_a_last_job_that_blocks(host: impl Host) {
    assert_neighbours_do_not_wait(&host, 15);
}

/// Resumes a paused processor with a first task of which `what` blocks until the gate is opened.
fn assert_callbacks_do_not_wait(processor: &Work, gate: &Gate, what: &str) {
    let done = Counter::default();
    for _ in 0..15 {
        let done = done.clone();
        assert!(processor.task(instant(0)).call(move |_| done.add()).is_ok());
    }
    processor.resume();
    let all_called = happens(|| done.get() == 15);
    let called = done.get();
    gate.open();
    assert!(all_called, "{called} of 15 callbacks were called while {what} blocked");
}

fn neighbours_do_not_wait_for_a_callback_that_blocks(host: impl Host) {
    let processor = sixteen_at_a_time(&host);
    let gate = Gate::default();
    let blocked = gate.clone();
    processor.pause();
    assert!(processor.task(instant(0)).call(move |_| blocked.pass()).is_ok());
    assert_callbacks_do_not_wait(&processor, &gate, "another");
}

struct BlockingWaker(Gate);

impl Wake for BlockingWaker {
    fn wake(self: Arc<Self>) {
        self.0.pass();
    }
}

fn neighbours_do_not_wait_for_a_waker_that_blocks(host: impl Host) {
    let processor = sixteen_at_a_time(&host);
    let gate = Gate::default();
    processor.pause();
    let mut handle = processor.submit(instant(0)).unwrap();
    let waker = Waker::from(Arc::new(BlockingWaker(gate.clone())));
    assert!(Pin::new(&mut handle).poll(&mut TaskContext::from_waker(&waker)).is_pending());
    assert_callbacks_do_not_wait(&processor, &gate, "a waker");
}

/// What comes after a handler has begun to block is run by the other thread.
fn new_tasks_do_not_wait_for_a_handler_that_blocks(host: impl Host) {
    let processor = sixteen_at_a_time(&host);
    let gate = kit::block_a_thread(&processor);
    for n in 1..=50 {
        processor.task(instant(0)).post().unwrap();
        let settled = happens(|| processor.totals().settled.completed == n);
        if !settled {
            gate.open();
        }
        assert!(settled, "task {n} waits for a handler that blocks");
    }
    gate.open();
}

/// Yields until `over` has counted, and tells of each time.
fn yielding(over: &Counter, steps: &Counter) -> Job {
    let (over, steps) = (over.clone(), steps.clone());
    job(async move {
        while over.get() == 0 {
            steps.add();
            kit::yield_now().await;
        }
        Ok(0)
    })
}

/// Also while workers go round that have let other tasks run.
fn callbacks_do_not_wait_for_a_handler_that_blocks(host: impl Host) {
    let processor = sixteen_at_a_time(&host);
    let (over, steps) = (Counter::default(), Counter::default());
    for _ in 0..4 {
        processor.task(yielding(&over, &steps)).post().unwrap();
    }
    for round in 1..=20 {
        let (gate, done) = (Gate::default(), Counter::default());
        processor.pause();
        for n in 0..12 {
            let job = if n == 6 { kit::blocking(&gate) } else { instant(0) };
            let done = done.clone();
            assert!(processor.task(job).call(move |_| done.add()).is_ok());
        }
        processor.resume();
        let all_called = happens(|| done.get() == 11);
        let called = done.get();
        gate.open();
        assert!(all_called, "round {round}: {called} of 11 callbacks were called while a handler blocked");
        eventually("the blocker goes on", || done.get() == 12);
    }
    over.add();
}

fn attempts_that_yield_do_not_wait_for_a_callback_that_blocks(host: impl Host) {
    let processor = sixteen_at_a_time(&host);
    let (over, steps) = (Counter::default(), Counter::default());
    processor.task(yielding(&over, &steps)).post().unwrap();
    for round in 1..=20 {
        let (gate, begun) = (Gate::default(), Counter::default());
        let (blocked, begins) = (gate.clone(), begun.clone());
        let callback = move |_| {
            begins.add();
            blocked.pass();
        };
        assert!(processor.task(instant(0)).call(callback).is_ok());
        eventually("the callback has begun", || begun.get() == 1);
        let before = steps.get();
        let goes_on = happens(|| steps.get() > before);
        gate.open();
        assert!(goes_on, "round {round}: an attempt that yields waits for a callback that blocks");
    }
    over.add();
}

fn attempts_that_yield_do_not_wait_for_a_handler_that_blocks(host: impl Host) {
    let processor = sixteen_at_a_time(&host);
    let (over, steps) = (Counter::default(), [Counter::default(), Counter::default(), Counter::default()]);
    for steps in &steps {
        processor.task(yielding(&over, steps)).post().unwrap();
    }
    for round in 1..=20 {
        let gate = kit::block_a_thread(&processor);
        let before = steps.each_ref().map(Counter::get);
        let go_on = happens(|| steps.iter().zip(before).all(|(steps, before)| steps.get() > before));
        gate.open();
        assert!(go_on, "round {round}: an attempt that yields waits for a handler that blocks");
    }
    over.add();
}

/// The same jobs on tokio itself, beside ours.
#[cfg(feature = "tokio")]
mod side_by_side {
    use super::*;
    use crate::kit::TokioThreads;
    use tokio::runtime;

    /// What jobs are given to: a processor, or the runtime itself.
    #[derive(Clone)]
    enum Place {
        Ours(WorkSubmitter),
        Theirs(runtime::Handle),
    }

    impl Place {
        fn run(&self, job: Job) {
            match self {
                Self::Ours(submitter) => drop(submitter.task(job).post().unwrap()),
                Self::Theirs(handle) => {
                    drop(handle.spawn(async { tokio::time::timeout(kit::WATCHDOG, job).await }))
                }
            }
        }
    }

    /// How many of the jobs that `fill` gives away are done while those that block do. It waits for tokio only briefly,
    /// which can be to our favour and never to our harm.
    fn done_while_blocked(place: &Place, of: usize, fill: impl Fn(&Place, &Gate, &Counter)) -> usize {
        let (gate, done) = (Gate::default(), Counter::default());
        fill(place, &gate, &done);
        match place {
            Place::Ours(_) => drop(happens(|| done.get() == of)),
            Place::Theirs(_) => drop(kit::happens_within(ms(300), || done.get() == of)),
        }
        let count = done.get();
        gate.open();
        eventually("all are done", || done.get() == of);
        count
    }

    fn assert_no_worse<const N: usize>(of: usize, fill: impl Fn(&Place, &Gate, &Counter)) {
        let host = TokioThreads::<N>::start();
        let processor = kit::build(Processor::builder(), &host);
        for round in 1..=5 {
            let theirs = done_while_blocked(&Place::Theirs(host.handle()), of, &fill);
            let ours = done_while_blocked(&Place::Ours(processor.submitter()), of, &fill);
            assert!(
                ours >= theirs,
                "round {round}: of {of} were done while some blocked {ours}, {theirs} on tokio itself"
            );
        }
    }

    #[test]
    fn one_blocks_two_threads() {
        for blocker_at in [0, 7, 15] {
            kit::within(kit::WATCHDOG, move || {
                assert_no_worse::<2>(15, |place, gate, done| {
                    for n in 0..16 {
                        place.run(if n == blocker_at { kit::blocking(gate) } else { counted(done) });
                    }
                });
            });
        }
    }

    /// A handler that submits more, and then blocks.
    #[test]
    fn one_submits_and_blocks() {
        kit::within(kit::WATCHDOG, || {
            assert_no_worse::<2>(8, |place, gate, done| {
                let (further, gate, done) = (place.clone(), gate.clone(), done.clone());
                place.run(job(async move {
                    for _ in 0..8 {
                        further.run(counted(&done));
                    }
                    gate.pass();
                    Ok(0)
                }));
            });
        });
    }

    #[test]
    fn four_of_64_block_eight_threads() {
        kit::within(kit::WATCHDOG, || {
            assert_no_worse::<8>(60, |place, gate, done| {
                for n in 0..64 {
                    place.run(if n % 16 == 0 { kit::blocking(gate) } else { counted(done) });
                }
            });
        });
    }

    /// With time-outs, and neighbours that sleep: none times out, however long others block.
    #[test]
    fn four_of_64_block_and_none_times_out() {
        kit::within(kit::WATCHDOG, || {
            let host = TokioThreads::<8>::start();
            kit::one_of_three(|| {
                let processor = kit::build(Processor::builder(), &host);
                let gate = Gate::default();
                let limit = Options::default().timeouts(start_to_close(ms(1_000)));
                processor.pause();
                for n in 0..64 {
                    if n % 16 == 0 {
                        processor.task(kit::blocking(&gate)).post().unwrap();
                    } else {
                        let sleeping = job(async {
                            tokio::time::sleep(ms(20)).await;
                            Ok(0)
                        });
                        processor.task(sleeping).options(limit).post().unwrap();
                    }
                }
                processor.resume();
                let _ = happens(|| processor.totals().settled.total() == 60);
                let settled = processor.totals().settled;
                gate.open();
                if settled.completed == 60 { Ok(()) } else { Err(format!("of 60 neighbours: {settled:?}")) }
            });
        });
    }
}
