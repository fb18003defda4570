//! Deadlines come in time whatever else goes on, and what is over leaves none behind; turns and holds are bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use plimsoll::{Callback, Events, Options, Processor, Runtime, TaskError};

use crate::kit::{
    self, Counter, Gate, Host, eight_places, eventually, hanging, happens, instant, job, ms, start_to_close,
    yield_now,
};

on_every_runtime! {
    a_turn_is_bounded_in_time
    a_turn_of_attempts_that_yield_is_bounded_in_time
    a_batch_is_fed_in_pieces
}

on_two_threads! {
    a_callback_that_blocks_stops_no_deadline
    the_callback_of_a_timed_out_task_that_blocks_stops_no_deadline
}

/// Handlers that compute for 5 ms a poll let another task of the runtime run after at most so many polls on each of its
/// threads: 60 ms.
const POLLS: usize = 12;

/// Another task of the runtime gets its turn beside these jobs. On a busy machine the operating system may keep the thread
/// from running that would have polled it; but not each time.
fn assert_others_get_their_turn<H: Host>(host: &H, make: impl Fn(&Counter) -> kit::Job) {
    let bound = POLLS * H::THREADS;
    let mut tries = (0..4).map(|_| most_polls_in_a_row(host, &make));
    assert!(tries.any(|most| most <= bound), "over {bound} polls of 5 ms each while another task was ready");
}

/// Runs these jobs beside a task of the runtime's own, which notes the most polls between two of its own. Told by polls,
/// for these last longer on a busy machine, and the fewer there may be.
fn most_polls_in_a_row<H: Host>(host: &H, make: &impl Fn(&Counter) -> kit::Job) -> usize {
    let polls = Counter::default();
    let processor = kit::build(eight_places(Processor::builder()), host);
    processor.pause();
    for _ in 0..64 {
        processor.task(make(&polls)).post().unwrap();
    }
    let (most, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (ticks, noted, stopped, seen) = (Counter::default(), most.clone(), stop.clone(), polls.clone());
    let ticked = ticks.clone();
    host.runtime().spawn(async move {
        let mut last = seen.get();
        while !stopped.load(SeqCst) {
            let now = seen.get();
            noted.fetch_max(now - last, SeqCst);
            last = now;
            ticked.add();
            yield_now().await;
        }
    });
    eventually("the other task runs", || ticks.get() > 0);
    processor.resume();
    let done = happens(|| processor.totals().settled.completed == 64);
    let after = ticks.get();
    eventually("the other task sees all polls", || ticks.get() > after + 1);
    stop.store(true, SeqCst);
    assert!(done, "64 jobs are done");
    most.load(SeqCst)
}

fn compute(polls: &Counter) {
    kit::spin(ms(5));
    polls.add();
}

fn a_turn_is_bounded_in_time(host: impl Host) {
    assert_others_get_their_turn(&host, |polls| {
        let polls = polls.clone();
        job(async move {
            compute(&polls);
            Ok(0)
        })
    });
}

fn a_turn_of_attempts_that_yield_is_bounded_in_time(host: impl Host) {
    assert_others_get_their_turn(&host, |polls| {
        let polls = polls.clone();
        job(async move {
            for _ in 0..3 {
                compute(&polls);
                yield_now().await;
            }
            Ok(0)
        })
    });
}

/// Another thread that looks at the totals sees some in between. It may be unlucky with one batch, but not with all.
fn a_batch_is_fed_in_pieces(host: impl Host) {
    const BATCH: u32 = 100_000;
    const BATCHES: u32 = 10;
    for _ in 0..BATCHES {
        let processor = kit::build(Processor::builder().queue(BATCH).subscribers(0).events(0), &host);
        let emitter = Events::new();
        processor.attach(&emitter).unwrap();
        processor.pause();
        let submitter = processor.submitter();
        let (stop, ready) = (Arc::new(AtomicBool::new(false)), Counter::default());
        let (stopped, looks) = (stop.clone(), ready.clone());
        let observer = std::thread::spawn(move || {
            let mut pieces = 0;
            let mut last = 0;
            while !stopped.load(SeqCst) {
                let admitted = submitter.totals().admitted;
                pieces += u32::from(admitted != last && admitted < u64::from(BATCH));
                last = admitted;
                looks.add();
            }
            pieces
        });
        eventually("the observer looks", || ready.get() > 0);
        let fed = emitter.emit_batch((0..BATCH).map(instant).collect());
        stop.store(true, SeqCst);
        let pieces = observer.join().unwrap();
        assert!(fed.is_ok() && processor.totals().admitted == u64::from(BATCH));
        if pieces > 0 {
            return;
        }
    }
    panic!("nobody came between the tasks of {BATCHES} batches of {BATCH}");
}

fn assert_deadlines_come_while(
    host: &impl Host,
    callback_of: impl FnOnce(&kit::Work, Callback<kit::Signature>),
) {
    let processor = kit::build(Processor::builder(), host);
    let (gate, begun) = (Gate::default(), Counter::default());
    let (blocked, begins) = (gate.clone(), begun.clone());
    callback_of(
        &processor,
        Box::new(move |_| {
            begins.add();
            blocked.pass();
        }),
    );
    eventually("a callback blocks", || begun.get() == 1);
    let limit = Options::default().timeouts(start_to_close(ms(50)));
    let before = processor.totals().settled.timed_out;
    for _ in 0..10 {
        processor.task(hanging(())).options(limit).post().unwrap();
    }
    processor.task(instant(0)).options(Options::default().delay(ms(50))).post().unwrap();
    let all = happens(|| {
        let settled = processor.totals().settled;
        settled.timed_out == before + 10 && settled.completed >= 1
    });
    let settled = processor.totals().settled;
    gate.open();
    assert!(all, "of ten deadlines and a delay, with a callback that blocks: {settled:?}");
}

fn a_callback_that_blocks_stops_no_deadline(host: impl Host) {
    assert_deadlines_come_while(&host, |processor, callback| {
        assert!(processor.task(job(async { Err("on purpose".to_owned()) })).call(callback).is_ok());
    });
}

/// It comes from the timer, and whoever saw that deadline is to see the next ones too.
fn the_callback_of_a_timed_out_task_that_blocks_stops_no_deadline(host: impl Host) {
    assert_deadlines_come_while(&host, |processor, callback| {
        let limit = Options::default().timeouts(start_to_close(ms(20)));
        assert!(processor.task(hanging(())).options(limit).call(callback).is_ok());
    });
}

/// Tokio's test clock: with nothing to do it jumps to the next timer that is set.
#[cfg(feature = "tokio")]
mod paused_clock {
    use super::*;
    use futures::channel::oneshot;
    use plimsoll::Timeouts;
    use plimsoll::Tokio;
    use tokio::time::Instant;

    const HOUR: Duration = Duration::from_secs(3600);

    fn with_processor<F: Future<Output = ()>>(test: impl FnOnce(kit::Work) -> F + Send + 'static) {
        kit::within(kit::WATCHDOG, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let timeouts = Timeouts { start_to_close: Some(HOUR), ..Timeouts::NONE };
                let handler = |job: kit::Job| job;
                test(Processor::builder().timeouts(timeouts).spawn_on(Tokio::current(), handler).unwrap())
                    .await;
            });
        });
    }

    /// Waits for something that is no timer: nothing may move the clock meanwhile.
    async fn wait_for_another_thread() {
        let (done, is_done) = oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(ms(50));
            done.send(())
        });
        is_done.await.unwrap();
    }

    fn assert_not_moved(since: Instant) {
        let moved = since.elapsed();
        assert!(moved < Duration::from_secs(60), "the clock was moved by {moved:?}");
    }

    /// It waits a little, so that its deadline is set before it is done.
    #[test]
    fn a_finished_task_does_not_move_it() {
        with_processor(|processor| async move {
            let start = Instant::now();
            let brief = job(async {
                tokio::time::sleep(ms(1)).await;
                Ok(1)
            });
            assert_eq!(processor.submit(brief).unwrap().await, Ok(1));
            wait_for_another_thread().await;
            assert_not_moved(start);
        });
    }

    #[test]
    fn a_cancelled_and_a_dropped_task_do_not_move_it() {
        with_processor(|processor| async move {
            let start = Instant::now();
            let running = processor.submit(hanging(())).unwrap();
            let delayed =
                processor.task(instant(1)).options(Options::default().delay(HOUR)).submit().unwrap();
            drop(processor.submit(hanging(())).unwrap().cancel_on_drop());
            tokio::task::yield_now().await;
            running.cancel().unwrap();
            delayed.cancel().unwrap();
            assert_eq!(
                (running.await, delayed.await),
                (Err(TaskError::Cancelled(None)), Err(TaskError::Cancelled(None)))
            );
            wait_for_another_thread().await;
            assert_not_moved(start);
        });
    }

    /// A sleep of a test, and a delay of a task.
    #[test]
    fn a_sleep_moves_it_by_its_length() {
        with_processor(|processor| async move {
            for n in 0..20 {
                let start = Instant::now();
                assert_eq!(processor.submit(instant(n)).unwrap().await, Ok(n));
                tokio::time::sleep(ms(10)).await;
                let delayed =
                    processor.task(instant(n)).options(Options::default().delay(ms(10))).submit().unwrap();
                assert_eq!(delayed.await, Ok(n));
                let moved = start.elapsed();
                assert!(ms(20) <= moved && moved < ms(30), "20 ms moved the clock by {moved:?}");
            }
        });
    }

    /// A short one that is set after a long one, and the long one.
    #[test]
    fn a_deadline_moves_it_to_itself() {
        with_processor(|processor| async move {
            let start = Instant::now();
            let late = processor.submit(hanging(())).unwrap();
            let short = Options::default().timeouts(start_to_close(ms(500)));
            assert_eq!(
                processor.task(hanging(())).options(short).submit().unwrap().await,
                Err(TaskError::TimedOut)
            );
            let moved = start.elapsed();
            assert!(ms(500) <= moved && moved < ms(510), "the first deadline came after {moved:?}");
            assert_eq!(late.await, Err(TaskError::TimedOut));
            let moved = start.elapsed();
            assert!(HOUR <= moved && moved < HOUR + ms(10), "the second deadline came after {moved:?}");
        });
    }
}
