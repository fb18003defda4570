//! What a handler is told, and what it decides.

use super::*;

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
