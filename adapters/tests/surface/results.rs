//! How a result comes out, and what leaves with it.

use super::*;

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
