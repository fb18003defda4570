//! What is refused when building, and when submitting.

use super::*;

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
        let emitter = processor.attach_with(&events, move |job: &u32| match job {
            3 => Options::default().timeouts(timeouts),
            _ => Options::default(),
        });
        let refused = events.emit_task(3).unwrap_err();
        assert_eq!(refused.into_parts(), (FeedRefusal::Task(Refusal::ZeroTimeout), 3));
        assert_eq!(events.emit_batch(vec![4, 3, 5]).unwrap_err(), [3, 5]);
        drop(emitter);
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
