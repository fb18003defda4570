//! The function that sees every settled task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;

use super::kit::{Count, Manual, OnDrop, Probe, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{Context, Drain, OutcomeKind, Processor, Retry, TaskError, TaskId, infallible};

on_every_runtime! {
    every_task_is_seen_once_before_anybody_has_its_result
    the_hook_goes_with_the_processor
    a_hook_may_panic_and_drop_the_owner
    a_handle_has_what_a_slow_hook_is_shown_at_the_end
}

type Seen = Arc<Mutex<BTreeMap<TaskId, Vec<OutcomeKind>>>>;

/// Completes, fails, panics, or never ends.
type Work = fn(u32, Context) -> Result<u32, u32>;

fn watched(runtime: AnyRuntime) -> (Processor<Work>, Seen) {
    let processor = Processor::builder()
        .queue(100)
        .concurrency(4)
        .results(50, None)
        .retry(Retry::NONE)
        .spawn_on(runtime, |n: u32, cx: Context| async move {
            match n % 4 {
                0 => Ok(n),
                1 => Err(n),
                2 => panic!("it panics"),
                _ => {
                    let _ = cx.sleep(ms(3_600_000)).await;
                    Ok(n)
                }
            }
        })
        .unwrap();
    let seen = Seen::default();
    let note = seen.clone();
    processor.on_settled(move |settled| {
        note.lock().unwrap().entry(settled.task).or_default().push(settled.kind());
    });
    (processor, seen)
}

fn every_task_is_seen_once_before_anybody_has_its_result(runtime: AnyRuntime) {
    let (processor, seen) = watched(runtime);
    let kinds = |task: TaskId| seen.lock().unwrap().get(&task).cloned().unwrap_or_default();
    let expected =
        [OutcomeKind::Completed, OutcomeKind::Failed, OutcomeKind::Panicked, OutcomeKind::TimedOut];
    let mut queue = processor.completion_queue(8).unwrap();
    let mut tasks = BTreeMap::new();
    for n in 0..8u32 {
        let kind = expected[n as usize % 4];
        let task = || processor.task(n).timeout(ms(20));
        let handle = task().submit().unwrap();
        let id = handle.id();
        assert_eq!(handle.wait().is_ok(), kind == OutcomeKind::Completed);
        assert_eq!(kinds(id), [kind], "it was seen before");
        tasks.insert(id, kind);
        let (sender, receiver) = std::sync::mpsc::channel();
        let called = task().call(move |settled| sender.send(settled.kind()).unwrap()).unwrap();
        assert_eq!((receiver.recv().unwrap(), kinds(called)), (kind, vec![kind]));
        tasks.insert(called, kind);
        tasks.insert(task().post().unwrap(), kind);
        tasks.insert(task().submit_to(&mut queue).unwrap(), kind);
        let retained = task().retain().unwrap();
        tasks.insert(retained, kind);
        let mut result = None;
        eventually("the result is retained", || {
            result = result.take().or_else(|| processor.result(retained));
            result.is_some()
        });
        assert_eq!(kinds(retained), [kind]);
        // Of those whose handle is dropped at once, too.
        let dropped = task().submit().unwrap();
        tasks.insert(dropped.id(), kind);
        drop(dropped);
    }
    while let Some(settled) = block_on(queue.next()) {
        assert_eq!(kinds(settled.task), [settled.kind()]);
    }
    eventually("all are seen", || seen.lock().unwrap().len() == tasks.len());
    let queued = processor.task(3).delay(ms(60_000)).submit().unwrap();
    let id = queued.id();
    drop(processor);
    assert_eq!(kinds(id), [OutcomeKind::Cancelled]);
    assert_eq!(queued.wait(), Err(TaskError::Ended));
    tasks.insert(id, OutcomeKind::Cancelled);
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter()
            .map(|(task, kinds)| (*task, kinds.clone()))
            .eq(tasks.iter().map(|(task, kind)| (*task, vec![*kind])))
    );
}

fn the_hook_goes_with_the_processor(runtime: AnyRuntime) {
    let live = Count::default();
    let processor =
        Processor::builder().spawn_on(runtime, infallible(|probe: Probe| async move { probe })).unwrap();
    for _ in 0..2 {
        let (submitter, probe) = (processor.submitter(), live.probe());
        processor.on_settled(move |_| {
            let _ = (&probe, submitter.census());
        });
    }
    assert_eq!(live.live(), 1, "the second replaces the first");
    let handle = processor.submit(live.probe()).unwrap();
    let kept = handle.wait().unwrap();
    let submitter = processor.submitter();
    drop(processor);
    eventually("it is dropped", || live.live() == 1);
    drop((kept, submitter));
    assert_eq!(live.live(), 0);
}

fn a_hook_may_panic_and_drop_the_owner(runtime: AnyRuntime) {
    type Value = OnDrop<Box<dyn FnMut() + Send>>;
    let processor =
        Processor::builder().spawn_on(runtime, infallible(|value: Value| async move { value })).unwrap();
    let (submitter, live) = (processor.submitter(), Count::default());
    let value = || {
        let (submitter, probe) = (submitter.clone(), live.probe());
        OnDrop(Box::new(move || {
            let _ = (&probe, submitter.census());
        }) as Box<dyn FnMut() + Send>)
    };
    processor.on_settled(|_| panic!("in the hook"));
    assert!(processor.submit(value()).ok().unwrap().wait().is_ok());
    assert_eq!(processor.totals().late_panics, 1);
    let owner = Arc::new(Mutex::new(None));
    let dropped = owner.clone();
    processor.on_settled(move |_| {
        // Two statements: the hook is called from within.
        let owner = dropped.lock().unwrap().take();
        drop(owner);
    });
    processor.pause();
    let handles: Vec<_> = (0..10).map(|_| processor.submit(value()).ok().unwrap()).collect();
    *owner.lock().unwrap() = Some(processor);
    submitter.resume();
    for handle in handles {
        let _ = handle.wait();
    }
    eventually("all values are dropped", || submitter.census().is_empty() && live.live() == 0);
}

/// Longer than the end waits for a callback.
const SLOW: Duration = ms(60);

fn a_handle_has_what_a_slow_hook_is_shown_at_the_end(runtime: AnyRuntime) {
    let processor = Processor::builder().spawn_on(runtime, infallible(|n: u32| async move { n })).unwrap();
    let (entered, is_entered) = mpsc::channel();
    processor.on_settled(move |_| {
        entered.send(()).unwrap();
        std::thread::sleep(SLOW);
    });
    let handle = processor.submit(7).unwrap();
    let (done, result) = mpsc::channel();
    let waits = std::thread::spawn(move || done.send(handle.wait()).unwrap());
    is_entered.recv().unwrap();
    let _ = block_on(processor.shutdown(Drain::Cancel));
    assert_eq!(result.recv_timeout(ms(10_000)).expect("the handle is woken"), Ok(7));
    waits.join().unwrap();
}

#[test]
fn what_is_shown_is_not_lost_when_its_handle_goes_meanwhile() {
    let (manual, live) = (Manual::default(), Count::default());
    let processor = Processor::builder()
        .spawn_on(manual.clone(), infallible(|probe: Probe| async move { probe }))
        .unwrap();
    let slot = Arc::new(Mutex::new(None));
    let handle = slot.clone();
    processor.on_settled(move |_| {
        let handle = handle.lock().unwrap().take();
        drop(handle);
    });
    *slot.lock().unwrap() = Some(processor.submit(live.probe()).unwrap());
    manual.run();
    assert_eq!((live.live(), processor.census().tasks), (0, 0));
}
