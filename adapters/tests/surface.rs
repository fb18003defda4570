//! What a new user tripped over once.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::cell::Cell;
use std::error::Error;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Wake};
use std::time::Duration;

// As a user may write it: no name of ours stands in the way of a package or of the standard library.
#[allow(clippy::wildcard_imports)]
use plimsoll::*;

type Nap<M = ()> = fn(Duration, Context<M>) -> Result<(), SleepRefusal>;

const LONG: Duration = Duration::from_secs(3_600);

fn thread() -> Thread {
    Thread::start().unwrap()
}

#[test]
fn no_module_of_ours_hides_a_package() {
    let words: [&str; 2] = [core::any::type_name::<std::thread::Thread>(), "thread"];
    assert!(words[0].contains(words[1]));
    #[cfg(feature = "tokio")]
    assert!(tokio::runtime::Handle::try_current().is_err());
}

#[test]
fn a_large_queue_has_room_for_its_handles() {
    let processor =
        Processor::builder().queue(10_000).spawn_on(thread(), |_: u32| pending::<Result<(), ()>>()).unwrap();
    processor.pause();
    let handles: Vec<_> = (0..10_000).map(|job| processor.submit(job).unwrap()).collect();
    assert_eq!((processor.free_room(), handles.len()), (0, 10_000));
    assert_eq!(processor.submit(0).unwrap_err().reason, Refusal::Full);
}

#[test]
fn more_tries_than_there_may_be_are_refused_when_building() {
    let builder = || Processor::builder().retry(Retry::NONE.attempts(20));
    let refused = builder().spawn_on(thread(), |_: u32| pending::<Result<(), ()>>()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "limit `attempts` must be at least as many as `retry` asks for, but is 16"
    );
    let processor = builder().attempts(20).spawn_on(thread(), |_: u32| pending::<Result<(), ()>>()).unwrap();
    assert!(processor.submit(1).is_ok());
}

#[test]
fn further_tries_are_refused_where_the_job_is_not_cloned() {
    let thrice = || Options::default().retry(Retry::NONE.attempts(3));
    let fails = |_: u32| async { Err::<(), _>("no") };
    let once = Processor::builder().spawn_on(thread(), fails).unwrap();
    assert_eq!(once.task(1).options(thrice()).submit().unwrap_err().reason, Refusal::Attempts);
    let cloning = Processor::builder().retry(Retry::NONE).spawn_on(thread(), fails).unwrap();
    let handle = cloning
        .task(1)
        .options(thrice().retry(Retry::NONE.attempts(3).base(Duration::ZERO)))
        .submit()
        .unwrap();
    assert_eq!(handle.wait(), Err(TaskError::Failed("no")));
    assert_eq!(cloning.totals().started, 3);
}

#[test]
fn a_time_out_of_zero_is_refused() {
    let handler = |_: u32| async { Ok::<_, ()>(()) };
    let refused = Processor::builder().timeout(Duration::ZERO).spawn_on(thread(), handler).unwrap_err();
    assert_eq!(refused.to_string(), "limit `timeouts` must be longer than zero, each of them, but is 0");
    let processor = Processor::builder().timeout(LONG).spawn_on(thread(), handler).unwrap();
    let none = Some(Duration::ZERO);
    for timeouts in [
        Timeouts { schedule_to_start: none, ..Timeouts::NONE },
        Timeouts { start_to_close: none, ..Timeouts::NONE },
        Timeouts { schedule_to_close: none, ..Timeouts::NONE },
    ] {
        let refused = processor.task(1).options(Options::default().timeouts(timeouts)).submit().unwrap_err();
        assert_eq!((refused.reason, refused.into_value()), (Refusal::ZeroTimeout, 1));
        let waits = processor.task(2).options(Options::default().timeouts(timeouts)).submit_wait();
        let refused = futures::executor::block_on(waits).unwrap_err();
        assert_eq!((refused.reason, refused.into_value()), (Refusal::ZeroTimeout, 2));
        let events = Events::new();
        let source = processor.attach_with(&events, move |job: &u32| match job {
            3 => Options::default().timeouts(timeouts),
            _ => Options::default(),
        });
        let refused = events.emit_task(3).unwrap_err();
        assert_eq!(refused.into_parts(), (FeedRefusal::Task(Refusal::ZeroTimeout), 3));
        assert_eq!(events.emit_batch(vec![4, 3, 5]).unwrap_err(), [3, 5]);
        drop(source);
    }
    assert_eq!(processor.submit(1).unwrap().wait(), Ok(()));
}

#[test]
fn a_builder_knows_the_usual_time_out() {
    let processor = Processor::builder()
        .timeout(Duration::from_millis(5))
        .spawn_on(thread(), |_: u32| pending::<Result<(), ()>>())
        .unwrap();
    assert_eq!(processor.submit(1).unwrap().wait(), Err(TaskError::TimedOut));
}

#[test]
fn one_task_has_a_time_out_of_its_own() {
    let processor = Processor::builder()
        .timeouts(Timeouts { start_to_close: Some(LONG), schedule_to_close: Some(LONG), ..Timeouts::NONE })
        .spawn_on(thread(), |_: u32, cx: Context| async move {
            match cx.deadline() {
                Some(deadline) => Ok::<_, ()>(deadline),
                None => pending().await,
            }
        })
        .unwrap();
    let deadline = |options| match processor.task(1).options(options).submit().unwrap().wait() {
        Ok(deadline) => deadline.saturating_since(processor.now()),
        other => panic!("{other:?}"),
    };
    assert!(deadline(Options::default()) > LONG / 2);
    let (soon, later) = (Duration::from_secs(60), 2 * LONG);
    assert!(deadline(Options::default().timeout(soon)) <= soon);
    assert!(deadline(Options::default().timeout(later)) <= LONG, "the others are left as they are");
    let none = Options::default().timeouts(Timeouts::NONE).timeout(later);
    assert!(deadline(none) > LONG);
    let zero = Options::default().timeout(Duration::ZERO);
    assert_eq!(processor.task(1).options(zero).submit().unwrap_err().reason, Refusal::ZeroTimeout);
}

#[test]
fn a_refusal_is_an_error_whatever_the_job_is() {
    type Work = fn(Cell<u32>) -> Result<u32, SleepRefusal>;
    fn submit(processor: &Processor<Work>) -> Result<u32, Box<dyn Error + Send + Sync>> {
        Ok(processor.submit(Cell::new(7))?.wait()?)
    }
    fn reason(processor: &Processor<Work>) -> Result<TaskId, Refusal> {
        Ok(processor.task(Cell::new(7)).post()?)
    }
    let builder = Processor::builder().queue(0).concurrency(1);
    let processor = builder.spawn_on(thread(), |job: Cell<u32>| async move { Ok(job.get()) }).unwrap();
    assert_eq!(submit(&processor).unwrap(), 7);
    processor.pause();
    assert_eq!(reason(&processor), Err(Refusal::Full));
    let refused = submit(&processor).unwrap_err().downcast::<Refused<Cell<u32>>>().unwrap();
    assert_eq!(refused.into_value().get(), 7);
}

#[test]
fn an_outcome_is_waited_for_without_an_executor() {
    let processor = Processor::builder()
        .spawn_on(thread(), |long: Duration, cx: Context| async move { cx.sleep(long).await })
        .unwrap();
    assert_eq!(processor.submit(Duration::from_millis(5)).unwrap().wait(), Ok(()));
    let (limit, since) = (Duration::from_millis(20), std::time::Instant::now());
    let handle = processor.submit(LONG).unwrap().wait_timeout(limit).unwrap_err();
    assert!(since.elapsed() >= limit);
    handle.cancel().unwrap();
    assert_eq!(handle.wait_timeout(LONG).unwrap(), Err(TaskError::Cancelled(None)));
    let handle = processor.submit(LONG).unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| handle.wait());
        drop(processor);
        assert_eq!(waits.join().unwrap(), Err(TaskError::Ended));
    });
}

#[cfg(feature = "tokio")]
#[test]
fn a_tokio_runtime_without_timers_is_refused_when_building() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handler = |_: u32| async { Ok::<_, ()>(()) };
    let refused = Processor::builder().spawn_on(Tokio::on(runtime.handle().clone()), handler).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the tokio runtime has no timers: build it with `enable_time` or `enable_all`"
    );
}

#[test]
fn idle_is_waited_for() {
    let processor = Processor::builder()
        .concurrency(2)
        .spawn_on(thread(), |long: Duration, cx: Context| async move { cx.sleep(long).await })
        .unwrap();
    let wait = |idle: Idle<Nap>| futures::executor::block_on(idle);
    assert!(processor.is_idle());
    wait(processor.idle());
    for round in 1..=20 {
        let soon = Duration::from_millis(2);
        for _ in 0..4 {
            processor.task(soon).post().unwrap();
        }
        processor.task(soon).options(Options::default().delay(soon)).post().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| wait(processor.idle()));
            }
            wait(processor.idle());
            assert_eq!(processor.totals().settled.completed, 5 * round);
        });
        assert!(processor.is_idle());
    }
}

#[cfg(feature = "tokio")]
#[test]
fn idle_is_when_callbacks_have_returned() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let on = Tokio::on(runtime.handle().clone());
    let processor = Processor::builder().spawn_on(on, infallible(|_: u32| async {})).unwrap();
    for is_asked_first in [false, true] {
        let (entered, enters) = std::sync::mpsc::channel();
        let has_returned = Arc::new(Mutex::new(false));
        let returns = has_returned.clone();
        processor.pause();
        let submitted = processor.task(1).call(move |_| {
            let _ = entered.send(());
            std::thread::sleep(Duration::from_millis(50));
            *returns.lock().unwrap() = true;
        });
        assert!(submitted.is_ok());
        std::thread::scope(|scope| {
            let wait = || futures::executor::block_on(processor.idle());
            let waits = is_asked_first.then(|| scope.spawn(wait));
            std::thread::sleep(Duration::from_millis(5));
            processor.resume();
            enters.recv().unwrap();
            // It is settled, and its callback is being called: now others look at the machine too.
            assert!(processor.is_idle());
            processor.task(2).post().unwrap();
            waits.map_or_else(wait, |waits| waits.join().unwrap());
            assert!(*has_returned.lock().unwrap());
        });
    }
}

#[test]
fn whoever_waits_for_idle_learns_of_the_end_and_leaves_nothing() {
    struct Counted;
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {}
    }
    let counted = Arc::new(Counted);
    let processor = Processor::builder().spawn_on(thread(), |_: u32| pending::<Result<(), ()>>()).unwrap();
    let handle = processor.submit(1).unwrap();
    let (mut given_up, waits) = (processor.idle(), processor.idle());
    let waker = counted.clone().into();
    assert!(Pin::new(&mut given_up).poll(&mut task::Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(Arc::strong_count(&counted), 2);
    drop(given_up);
    assert_eq!(Arc::strong_count(&counted), 1);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| futures::executor::block_on(waits));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished());
        handle.cancel().unwrap();
        waits.join().unwrap();
    });
    let handle = processor.submit(2).unwrap();
    let waits = processor.idle();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| futures::executor::block_on(waits));
        std::thread::sleep(Duration::from_millis(20));
        drop(processor);
        waits.join().unwrap();
    });
    assert_eq!(handle.wait(), Err(TaskError::Ended));
}

/// All tasks, seen so many at a time.
fn inspect<M: Copy>(processor: &Processor<Nap<M>>, most: u32) -> Vec<TaskView<M>> {
    let (mut page, mut seen) = (Some(0), Vec::new());
    while let Some(from) = page {
        let inspection = processor.inspect(from, most);
        assert!(inspection.tasks.len() <= most.max(1) as usize);
        seen.extend(inspection.tasks);
        page = inspection.next;
    }
    seen
}

#[test]
fn what_there_is_can_be_looked_at_page_by_page() {
    let processor = Processor::builder()
        .concurrency(2)
        .spawn_on(thread(), |long: Duration, cx: Context<u32>| async move { cx.sleep(long).await })
        .unwrap();
    assert_eq!(inspect(&processor, 10), []);
    assert_eq!(processor.inspect(u32::MAX, 1).next, None);
    let settled = processor.task(Duration::ZERO).options(Options::new(1)).submit().unwrap();
    futures::executor::block_on(processor.idle());
    for meta in 2..=100 {
        processor.task(LONG).options(Options::new(meta)).post().unwrap();
    }
    processor.task(LONG).options(Options::new(101).delay(LONG)).post().unwrap();
    while processor.census().running < 2 {
        std::thread::yield_now();
    }
    for most in [0, 1, 7, 64, 65, u32::MAX] {
        let seen = inspect(&processor, most);
        let mut metas: Vec<_> = seen.iter().map(|view| view.meta).collect();
        metas.sort_unstable();
        assert!(metas.iter().copied().eq(1..=101), "each exactly once");
        let count = |is: fn(&Stage) -> bool| seen.iter().filter(|view| is(&view.stage)).count();
        let settled_as = OutcomeKind::Completed;
        assert_eq!(count(|stage| matches!(stage, Stage::Running { .. })), 2);
        assert_eq!(count(|stage| matches!(stage, Stage::Queued { .. })), 97);
        assert_eq!(count(|stage| matches!(stage, Stage::Delayed { until } if *until > Instant::ZERO)), 1);
        let first = seen.iter().find(|view| view.task == settled.id()).unwrap();
        assert_eq!((first.meta, first.attempts), (1, 1));
        assert!(matches!(first.stage, Stage::Settled { outcome, .. } if outcome == settled_as));
    }
    assert_eq!(settled.wait(), Ok(()));
    assert_eq!(inspect(&processor, 50).len(), 100);
}

#[test]
fn a_retained_result_is_seen_without_being_taken() {
    let processor = Processor::builder()
        .concurrency(1)
        .results(1, None)
        .spawn_on(
            thread(),
            |fails: bool, _: Context<u8>| async move { if fails { Err("no") } else { Ok(()) } },
        )
        .unwrap();
    let outcome = |task| match processor.view(task)?.stage {
        Stage::Settled { outcome, .. } => Some(outcome),
        _ => None,
    };
    let run = |fails: bool, meta| {
        let task = processor.task(fails).meta(meta).retain().unwrap();
        futures::executor::block_on(processor.idle());
        task
    };
    let first = run(true, 1);
    for _ in 0..3 {
        assert_eq!(outcome(first), Some(OutcomeKind::Failed));
    }
    let view = processor.view(first).unwrap();
    assert_eq!((view.task, view.meta, view.attempts), (first, 1, 1));
    // It makes room for a newer one, and its slot is used again.
    let (second, third) = (run(false, 2), run(true, 3));
    assert_eq!(outcome(third), Some(OutcomeKind::Failed));
    processor.pause();
    let queued = processor.task(false).post().unwrap();
    assert!(matches!(processor.view(queued).unwrap().stage, Stage::Queued { .. }));
    assert_eq!(processor.result(third), Some(Err(TaskError::Failed("no"))));
    let views = || [first, second, third].map(|task| processor.view(task));
    for _ in 0..5_000 {
        if views() == [None; 3] {
            return;
        }
        // What made room is dropped by a worker.
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("an old id names another task: {:?}", views());
}

#[test]
fn a_handler_is_tested_without_a_processor() {
    use futures::FutureExt;
    use futures::executor::block_on;
    async fn handler(job: u32, cx: Context<u8>) -> Result<(u32, Duration), SleepRefusal> {
        let began = cx.sleep(Duration::ZERO).until();
        cx.sleep(LONG).await?;
        let (short, long) = (cx.sleep(LONG), cx.sleep(3 * LONG));
        let (short, long) = futures::join!(short, long);
        short?;
        long?;
        let slept = cx.sleep(Duration::ZERO).until().saturating_since(began);
        if cx.attempt() < 2 { Err(SleepRefusal::Full) } else { Ok((job + u32::from(cx.meta()), slept)) }
    }
    assert_eq!(block_on(handler(1, Context::for_test_of(7, 2))), Ok((8, 4 * LONG)));
    assert_eq!(block_on(handler(1, Context::for_test())), Err(SleepRefusal::Full));
    let cx: Context = Context::for_test();
    assert!(!cx.is_cancelled());
    assert!(cx.cancelled().now_or_never().is_none());
    assert!(cx.sleep(Duration::MAX).now_or_never().is_none());
    let mut sleeps: Vec<_> = (0..4).map(|_| cx.sleep(Duration::MAX)).collect();
    let first = cx.sleep(LONG);
    assert!(sleeps.iter_mut().all(|sleep| sleep.now_or_never().is_none()));
    assert_eq!(block_on(first), Err(SleepRefusal::Full));
    drop(sleeps);
    assert_eq!(block_on(cx.sleep(LONG)), Ok(()));
}

#[test]
fn the_handler_decides_about_a_further_attempt() {
    let processor = Processor::builder()
        .retry(Retry::times(3).fixed(LONG))
        .spawn_on(thread(), |decision: Option<Duration>, cx: Context| async move {
            match decision {
                Some(delay) => cx.retry_after(delay),
                None => cx.no_retry(),
            }
            if cx.attempt() < 4 { Err(cx.attempt()) } else { Ok(()) }
        })
        .unwrap();
    let soon = Duration::from_millis(1);
    assert_eq!(processor.submit(Some(soon)).unwrap().wait(), Ok(()));
    assert_eq!((processor.totals().started, processor.totals().retried), (4, 3));
    assert_eq!(processor.submit(None).unwrap().wait(), Err(TaskError::Failed(1)));
    assert_eq!((processor.totals().started, processor.totals().retried), (5, 3));
}

#[test]
fn a_snoozed_attempt_does_not_count() {
    let calls = Arc::new(Mutex::new(0));
    let seen = calls.clone();
    let processor = Processor::builder()
        .retry(Retry::times(1).fixed(LONG))
        .spawn_on(thread(), move |delay: Duration, cx: Context| {
            let mut calls = seen.lock().unwrap();
            *calls += 1;
            let call = *calls;
            async move {
                match call {
                    1..=4 => cx.snooze(delay).map_err(|_| 0_u32)?,
                    5 => cx.retry_after(delay),
                    6 => {
                        cx.snooze(LONG).map_err(|_| 0_u32)?;
                        cx.no_retry();
                    }
                    7 => {
                        cx.no_retry();
                        cx.snooze(delay).map_err(|_| 0_u32)?;
                    }
                    _ => {
                        // Decided, but for an attempt that completes.
                        cx.snooze(LONG).map_err(|_| 0_u32)?;
                        return Ok(cx.attempt());
                    }
                }
                Err(cx.attempt())
            }
        })
        .unwrap();
    let soon = Duration::from_millis(1);
    assert_eq!(
        processor.submit(soon).unwrap().wait(),
        Err(TaskError::Failed(2)),
        "four, one that failed, one"
    );
    let totals = processor.totals();
    assert_eq!((totals.started, totals.snoozed, totals.retried), (6, 4, 1));
    // That is the only attempt that its policy allows.
    let once = Options::default().retry(Retry::NONE);
    assert_eq!(processor.task(soon).options(once).submit().unwrap().wait(), Ok(1));
    let totals = processor.totals();
    assert_eq!((totals.started, totals.snoozed, totals.retried), (8, 5, 1));
    assert_eq!(processor.ledger().jobs.live(), 0);
}

#[test]
fn a_snooze_that_cannot_be_says_so() {
    let snoozes = |_: u32, cx: Context| async move {
        let refused = cx.snooze(Duration::ZERO).err();
        if cx.task().to_bits() == 0 { Ok(()) } else { Err((refused, cx)) }
    };
    let processor = Processor::builder().spawn_on(thread(), snoozes).unwrap();
    let failed = processor.submit(1).unwrap().wait().unwrap_err().into_failed();
    assert_eq!(failed.unwrap().0, Some(SnoozeRefusal::NoCopy));
    assert!(SnoozeRefusal::NoCopy.to_string().contains("build with `retry`"));

    let kept = Arc::new(Mutex::new(None));
    let keeps = kept.clone();
    let processor = Processor::builder()
        .retry(Retry::NONE)
        .spawn_on(thread(), move |_: u32, cx: Context| {
            *keeps.lock().unwrap() = Some(cx);
            async { Ok::<_, ()>(()) }
        })
        .unwrap();
    processor.submit(1).unwrap().wait().unwrap();
    let over = kept.lock().unwrap().take().unwrap();
    assert_eq!(over.snooze(Duration::ZERO), Err(SnoozeRefusal::Over));
    drop(processor);
    assert_eq!(over.snooze(Duration::ZERO), Err(SnoozeRefusal::Over));
    // Without a processor every attempt goes on.
    assert_eq!(Context::<()>::for_test().snooze(LONG), Ok(()));
}

#[test]
fn a_snooze_past_the_deadline_is_a_time_out() {
    let processor = Processor::builder()
        .retry(Retry::times(5))
        .spawn_on(thread(), |delay: Duration, cx: Context| async move {
            cx.snooze(delay).map_err(|_| "not noted")?;
            Err::<(), _>("snoozed")
        })
        .unwrap();
    let limit = Timeouts { schedule_to_close: Some(LONG), ..Timeouts::NONE };
    let submit = |delay, limit| processor.task(delay).options(Options::default().timeouts(limit)).submit();
    for delay in [2 * LONG, Duration::from_secs(300 * 365 * 86_400), Duration::MAX] {
        assert_eq!(submit(delay, limit).unwrap().wait(), Err(TaskError::TimedOut));
    }
    // Without a deadline only what lies beyond the end of time.
    assert_eq!(submit(Duration::MAX, Timeouts::NONE).unwrap().wait(), Err(TaskError::TimedOut));
    let totals = processor.totals();
    assert_eq!((totals.started, totals.snoozed, totals.settled.timed_out), (4, 0, 4));
}

#[test]
fn what_is_decided_goes_with_its_attempt() {
    let kept = Arc::new(Mutex::new(Vec::<Context>::new()));
    let contexts = kept.clone();
    let processor = Processor::builder()
        .concurrency(1)
        .retry(Retry::times(1).fixed(Duration::from_millis(1)))
        .spawn_on(thread(), move |decides: bool, cx: Context| {
            contexts.lock().unwrap().push(cx.clone());
            async move {
                if decides {
                    cx.no_retry();
                    return Ok(0);
                }
                if cx.attempt() == 1 { Err("once") } else { Ok(cx.attempt()) }
            }
        })
        .unwrap();
    for _ in 0..3 {
        assert_eq!(processor.submit(true).unwrap().wait(), Ok(0));
        assert_eq!(processor.submit(false).unwrap().wait(), Ok(2), "in the same place");
        // These attempts are over: what their contexts say now is nobody's.
        kept.lock().unwrap().iter().for_each(Context::no_retry);
        assert_eq!(processor.submit(false).unwrap().wait(), Ok(2));
    }
}

#[test]
fn any_future_is_a_job() {
    let processor = Processor::builder().spawn_on(thread(), Spawned::<String, String, u32>::new()).unwrap();
    let own = String::from("own");
    let limit = Duration::from_millis(5);
    let handle = processor.spawn(async move { Ok(own) }).timeout(LONG).meta(3).submit().unwrap();
    assert_eq!(handle.wait(), Ok("own".into()));
    let never = processor.spawn(pending()).timeout(limit).submit().unwrap();
    assert_eq!(never.wait(), Err(TaskError::TimedOut));
    let naps = processor.spawn_with(move |cx| async move {
        cx.sleep(limit).await.map_err(|refusal| refusal.to_string())?;
        Ok(format!("{} {}", cx.meta(), cx.attempt()))
    });
    assert_eq!(naps.meta(9).submit().unwrap().wait(), Ok("9 1".into()));
    let panics = processor.spawn(async { panic!("no {}", "way") }).submit().unwrap();
    let error = panics.wait().unwrap_err();
    assert_eq!(error.to_string(), "the task panicked: no way");
    assert!(!error.is_worth_retrying());
}

#[test]
fn a_callback_gets_all_that_leaves_with_its_task() {
    type Work = fn(u32, Context<u8>) -> Result<u32, std::num::ParseIntError>;
    let processor: Processor<Work> = Processor::builder()
        .retry(Retry::times(1).fixed(Duration::from_millis(3)))
        .spawn_on(thread(), |n: u32, cx: Context<u8>| async move {
            let _ = cx.sleep(Duration::from_millis(10)).await;
            if cx.attempt() == 1 { "no number".parse() } else { Ok(n + cx.attempt()) }
        })
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let call = |task: TaskBuilder<'_, Work>| {
        let sender = sender.clone();
        task.call(move |settled| sender.send(settled).unwrap()).unwrap()
    };
    let id = call(processor.task(5).meta(7));
    let settled = receiver.recv().unwrap();
    assert_eq!(
        (settled.task, settled.meta, settled.attempts, settled.kind()),
        (id, 7, 2, OutcomeKind::Completed)
    );
    assert_eq!((settled.result, settled.job), (Ok(7), None));
    assert!(
        settled.times.waited() >= Duration::from_millis(13)
            && settled.times.ran() >= Duration::from_millis(10)
    );
    let id = call(processor.task(6).delay(LONG));
    processor.cancel(id).unwrap();
    let settled = receiver.recv().unwrap();
    assert_eq!((settled.result, settled.job), (Err(TaskError::Cancelled(None)), Some(6)));
    assert_eq!((settled.attempts, settled.times.ran()), (0, Duration::ZERO));
    // An error has its source.
    let failed = call(processor.task(1).retry(Retry::NONE));
    let settled = receiver.recv().unwrap();
    let error = settled.result.unwrap_err();
    assert_eq!(
        (settled.task, error.source().unwrap().to_string().as_str()),
        (failed, "invalid digit found in string")
    );
    assert!(error.is_worth_retrying() && error.into_failed().is_some());
}

#[test]
fn a_cancel_tells_why() {
    const WHY: CancelReason = CancelReason::new(&"a newer one came");
    for has_hook in [false, true] {
        let processor = Processor::builder()
            .concurrency(1)
            .results(4, None)
            .spawn_on(thread(), |_: u32, _: Context| pending::<Result<(), ()>>())
            .unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let shown = seen.clone();
        if has_hook {
            processor.on_settled(move |settled| shown.lock().unwrap().push(settled.result.clone()));
        }
        let running = processor.submit(1).unwrap();
        let (first, second) = (processor.submit(2).unwrap(), processor.submit(3).unwrap().cancel_on_drop());
        let retained = processor.task(4).retain().unwrap();
        let plain = processor.submit(5).unwrap();
        for cancelled in [
            running.cancel_because(WHY),
            first.cancel_because(WHY),
            second.cancel_because(WHY),
            processor.cancel_because(retained, WHY),
            plain.cancel(),
        ] {
            assert!(cancelled.is_ok());
        }
        assert_eq!(plain.cancel_because(WHY), Err(CancelError::Settled), "that comes too late");
        for handle in [running, first] {
            assert_eq!(handle.wait(), Err(TaskError::Cancelled(Some(WHY))));
        }
        let error = futures::executor::block_on(second).unwrap_err();
        assert_eq!(error.to_string(), "the task was cancelled: a newer one came");
        assert_eq!(plain.wait().unwrap_err().to_string(), "the task was cancelled");
        let result = loop {
            if let Some(result) = processor.result(retained) {
                break result;
            }
        };
        assert_eq!(result, Err(TaskError::Cancelled(Some(WHY))));
        // What the end cancels says so, too.
        let last = processor.submit(6).unwrap();
        let _report = futures::executor::block_on(processor.shutdown(Drain::Cancel));
        let error = last.wait().unwrap_err();
        assert_eq!(error, TaskError::Cancelled(Some(CancelReason::ENDED)));
        assert_eq!(error.to_string(), "the task was cancelled: the processor was ended");
        let seen = seen.lock().unwrap();
        let count =
            |reason| seen.iter().filter(|result| **result == Err(TaskError::Cancelled(reason))).count();
        let expected = if has_hook { (4, 1, 1) } else { (0, 0, 0) };
        assert_eq!((count(Some(WHY)), count(None), count(Some(CancelReason::ENDED))), expected);
    }
}

#[test]
fn a_handler_knows_how_much_time_is_left() {
    let processor = Processor::builder()
        .timeout(LONG)
        .spawn_on(thread(), |_: u32, cx: Context| async move {
            let left = |cx: &Context| cx.deadline().map(|deadline| deadline.saturating_since(cx.now()));
            let before = left(&cx);
            cx.sleep(Duration::from_millis(20)).await?;
            Ok::<_, SleepRefusal>((before, left(&cx)))
        })
        .unwrap();
    let handle = processor.submit(1).unwrap();
    assert_eq!(handle.id().to_string(), handle.id().to_bits().to_string());
    let (Some(before), Some(after)) = handle.wait().unwrap() else { panic!("it has a limit") };
    assert!(before <= LONG && after + Duration::from_millis(20) <= before);
    let submitter = processor.submitter();
    assert_eq!(submitter.phase().to_string(), "open");
    drop(processor);
    assert_eq!(submitter.phase().to_string(), "drained");
}
