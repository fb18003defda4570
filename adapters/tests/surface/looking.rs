//! Waiting until a processor is idle, and looking at its tasks.

use super::*;

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
