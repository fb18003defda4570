use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn processor(max_concurrency: usize) -> (EventLoop, TaskProcessor) {
    let events = EventLoop::default();
    let processor = TaskProcessor::new(&events, Options { max_concurrency, ..Options::default() });
    (events, processor)
}

fn resolves_after(events: &EventLoop, delay: Duration, value: u64) -> Work {
    let events = events.clone();
    Rc::new(move |done| {
        let done = Cell::new(Some(done));
        events.set_timeout(delay, move || done.take().into_iter().for_each(|done| done.resolve(value)));
    })
}

#[test]
fn so_many_run_at_a_time() {
    let (events, processor) = processor(2);
    let promises: Vec<Promise> = (0..4)
        .map(|value| resolves_after(&events, SECOND, value))
        .map(|work| processor.add_task(work, AddOptions::default()).unwrap())
        .collect();
    let settled = || promises.iter().filter(|promise| promise.settled().is_some()).count();
    events.run_for(SECOND);
    assert_eq!((settled(), processor.unsettled()), (2, 2));
    events.run_for(SECOND);
    assert_eq!((settled(), processor.unsettled()), (4, 0));
    assert_eq!(promises[3].settled(), Some(Settled::Completed(3)));
}

#[test]
fn what_is_late_changes_nothing() {
    let (events, processor) = processor(1);
    let called = Rc::new(RefCell::new(Vec::new()));
    let note = called.clone();
    let options = AddOptions {
        timeout: Some(SECOND),
        callback: Some(Rc::new(move |settled| note.borrow_mut().push(settled.clone()))),
        ..AddOptions::default()
    };
    let promise = processor.add_task(resolves_after(&events, 2 * SECOND, 1), options).unwrap();
    events.run_for(3 * SECOND);
    assert_eq!(promise.settled(), Some(Settled::TimedOut));
    assert_eq!(*called.borrow(), [Settled::TimedOut]);
    assert_eq!(processor.last_error().map(|error| error.message), Some("task timed out".into()));
}

#[test]
fn results_are_kept_for_a_time() {
    let (events, processor) = processor(1);
    let promise = processor.add_task(Rc::new(|done| done.reject("no")), AddOptions::default()).unwrap();
    events.run_for(SECOND);
    assert_eq!(promise.settled(), Some(Settled::Failed("no".into())));
    events.run_for(600 * SECOND);
    assert_eq!(promise.settled(), None);
}

#[test]
fn unsubscribing_ends_the_notices_of_one() {
    let (events, processor) = processor(1);
    let notices = Rc::new(Cell::new(0));
    let subscribe = || {
        let notices = notices.clone();
        processor.subscribe(Rc::new(move |_| notices.set(notices.get() + 1)))
    };
    let (first, _second) = (subscribe(), subscribe());
    let run = || {
        processor.add_task(Rc::new(|done| done.resolve(0)), AddOptions::default()).unwrap();
        events.run_for(SECOND);
    };
    run();
    assert_eq!(notices.get(), 2);
    first();
    run();
    assert_eq!((notices.get(), processor.subscribers()), (3, 1));
}

#[test]
fn without_leaks_nothing_keeps_a_destroyed_processor() {
    let (events, processor) = processor(1);
    let source = EventEmitter::default();
    processor.attach(&source);
    source.emit("batch", &vec![resolves_after(&events, SECOND, 1), Rc::new(|done| done.resolve(2))]);
    let captured = Rc::new(());
    let weak = Rc::downgrade(&captured);
    processor.on_health(move |_| drop(captured.clone()));
    events.run_for(SECOND / 2);
    processor.destroy();
    drop(processor);
    events.run_for(SECOND);
    assert!(weak.upgrade().is_none() && events.timers() == 0);
}
