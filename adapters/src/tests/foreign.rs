//! Foreign code at its worst: values, wakers and callbacks that panic or call back into the processor.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Wake, Waker};

use futures::executor::block_on;

use super::kit::{OnDrop, eventually};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{BatchListener, Cache, ErrorListener, TaskResult};
use crate::{CacheLimits, Context, Emitter, Processor, Submitter, TaskError, TaskListener};

/// What the processors of these tests work on.
type Flag = fn(bool, Context) -> Result<(), ()>;
type Number = fn(u32, Context) -> Result<(), ()>;
type Valued = fn(Do, Context) -> Result<Value, Failure>;

on_every_runtime! {
    values_may_call_back_when_they_are_dropped
    wakers_may_call_back
    callbacks_may_submit_cancel_and_subscribe
    late_panics_are_counted_and_change_nothing
    registrations_may_call_back_and_panic
}

/// A value whose drop calls back into its processor.
type Value = OnDrop<Box<dyn FnMut() + Send + Sync>>;

/// Makes values that call back into a processor, and counts them.
#[derive(Clone, Default)]
struct Maker {
    submitter: Arc<Mutex<Option<Submitter<Valued>>>>,
    dropped: Arc<AtomicUsize>,
}

impl Maker {
    fn value(&self) -> Value {
        let this = self.clone();
        OnDrop(Box::new(move || {
            this.dropped.fetch_add(1, SeqCst);
            let submitter = this.submitter.lock().unwrap().clone();
            if let Some(submitter) = submitter {
                let _ = submitter.census();
                let _ = submitter.cancel(submitter.task(Do::Nothing).post().unwrap_or(NOBODY));
                drop(submitter.subscribe());
                submitter.resume();
            }
        }))
    }

    fn dropped(&self) -> usize {
        self.dropped.load(SeqCst)
    }
}

const NOBODY: crate::TaskId = match crate::TaskId::from_bits(u64::MAX) {
    Some(id) => id,
    None => unreachable!(),
};

struct Failure(#[allow(dead_code, reason = "it is there to be dropped")] Value);

impl std::fmt::Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failure")
    }
}

/// What a job is to do, with the values that it carries.
enum Do {
    Nothing,
    Complete(Value),
    Fail(Value),
    Hang(Value),
}

fn values_may_call_back_when_they_are_dropped(runtime: AnyRuntime) {
    let maker = Maker::default();
    let cache = Cache::<u32, Value>::new(CacheLimits { entries: 1, ..CacheLimits::default() }).unwrap();
    let builder = Processor::builder().concurrency(1).results(1, None).cache(&cache);
    let captured = maker.value();
    let processor = builder
        .spawn_on(runtime, move |job: Do, _: Context| {
            let _ = &captured;
            async move {
                match job {
                    Do::Nothing => pending().await,
                    Do::Complete(value) => Ok(value),
                    Do::Fail(value) => Err(Failure(value)),
                    Do::Hang(value) => {
                        pending::<()>().await;
                        Ok(value)
                    }
                }
            }
        })
        .unwrap();
    *maker.submitter.lock().unwrap() = Some(processor.submitter());

    let mut expected = 0;
    let mut dropped = |what: &str, more: usize| {
        expected += more;
        eventually(what, || maker.dropped() == expected);
    };
    // Outputs and errors without a handle, with one that is dropped before and after, and retained ones.
    processor.task(Do::Complete(maker.value())).post().unwrap();
    dropped("an output nobody wants", 1);
    processor.task(Do::Fail(maker.value())).post().unwrap();
    dropped("an error nobody wants", 1);
    let handle = processor.submit(Do::Complete(maker.value())).unwrap();
    eventually("it is done", || processor.census().unclaimed == 1);
    drop(handle);
    dropped("an output whose handle was dropped", 1);
    for _ in 0..2 {
        let done = processor.totals().settled.completed;
        processor.task(Do::Complete(maker.value())).retain().unwrap();
        eventually("it is done", || processor.totals().settled.completed > done);
    }
    dropped("a result that made room for a newer one", 1);
    // A running future and queued jobs that are cancelled.
    let running = processor.submit(Do::Hang(maker.value())).unwrap();
    eventually("it runs", || processor.census().running == 1);
    let queued = processor.submit(Do::Complete(maker.value())).unwrap().cancel_on_drop();
    let waiting = processor.task(Do::Complete(maker.value())).post().unwrap();
    drop(queued);
    dropped("a job of a handle that cancels", 1);
    processor.cancel(waiting).unwrap();
    dropped("a job that was cancelled", 1);
    running.cancel().unwrap();
    assert!(matches!(block_on(running), Err(TaskError::Cancelled(_))));
    dropped("a future that was cancelled", 1);
    // Cached values that are replaced, evicted, removed.
    assert!(cache.insert(1, maker.value()) && cache.insert(1, maker.value()));
    assert!(cache.insert(2, maker.value()));
    dropped("a replaced and an evicted value", 2);
    assert!(cache.get(&2).is_some() && cache.remove(&1).is_none());
    // All that is left when the owner goes: a cached value, a result, the handler, one that runs and one that waits.
    processor.task(Do::Hang(maker.value())).post().unwrap();
    processor.task(Do::Complete(maker.value())).post().unwrap();
    eventually("it runs", || processor.census().running == 1);
    drop(processor);
    dropped("everything else", 5);
    *maker.submitter.lock().unwrap() = None;
}

/// A waker that calls back into a processor when it is cloned, woken and dropped.
struct Reentrant {
    submitter: Submitter<Flag>,
    thread: Waker,
}

impl Reentrant {
    fn call_back(&self) {
        let _ = self.submitter.census();
        let _ = self.submitter.health();
    }
}

impl Wake for Reentrant {
    fn wake(self: Arc<Self>) {
        self.call_back();
        self.thread.wake_by_ref();
    }
}

impl Drop for Reentrant {
    fn drop(&mut self) {
        self.call_back();
    }
}

/// A waker of its own for each poll, so that every one is replaced, woken or dropped by the processor.
fn block_on_reentrant<F: Future>(submitter: &Submitter<Flag>, future: F) -> F::Output {
    let mut future = pin!(future);
    block_on(std::future::poll_fn(|cx| {
        for _ in 0..2 {
            let waker = Arc::new(Reentrant { submitter: submitter.clone(), thread: cx.waker().clone() });
            let polled = future.as_mut().poll(&mut TaskContext::from_waker(&Waker::from(waker)));
            if polled.is_ready() {
                return polled;
            }
        }
        std::task::Poll::Pending
    }))
}

fn wakers_may_call_back(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .queue(0)
        .concurrency(1)
        .spawn_on(runtime, |hang: bool, _: Context| async move {
            if hang { pending().await } else { Ok::<(), ()>(()) }
        })
        .unwrap();
    let submitter = processor.submitter();
    let running = submitter.submit(true).unwrap();
    std::thread::scope(|scope| {
        let next = scope.spawn(|| {
            let handle = block_on_reentrant(&submitter, submitter.submit_wait(false)).unwrap();
            block_on_reentrant(&submitter, handle)
        });
        let mut events = submitter.subscribe().unwrap();
        eventually("it waits for room", || submitter.census().waiters == 1);
        running.cancel().unwrap();
        assert_eq!(block_on_reentrant(&submitter, running), Err(TaskError::Cancelled(None)));
        assert_eq!(next.join().unwrap(), Ok(()));
        let mut read = 0;
        while read < 4 {
            let notice = block_on_reentrant(&submitter, futures::StreamExt::next(&mut events));
            assert!(notice.is_some());
            read += 1;
        }
    });
    // Waiting ones, when the owner goes.
    let running = submitter.submit(true).unwrap();
    std::thread::scope(|scope| {
        let refused = scope.spawn(|| block_on_reentrant(&submitter, submitter.submit_wait(false)));
        let ended = scope.spawn(|| block_on_reentrant(&submitter, running));
        eventually("it waits for room", || submitter.census().waiters == 1);
        drop(processor);
        assert!(refused.join().unwrap().is_err());
        // Woken with its outcome, and in time to take it or not.
        assert!(matches!(ended.join().unwrap(), Err(TaskError::Cancelled(_)) | Err(_)));
    });
}

fn callbacks_may_submit_cancel_and_subscribe(runtime: AnyRuntime) {
    type Echo = fn(u32, Context) -> Result<u32, ()>;
    let processor =
        Processor::builder().spawn_on(runtime, |n: u32, _: Context| async move { Ok::<u32, ()>(n) }).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    fn chain(submitter: Submitter<Echo>, n: u32, sender: std::sync::mpsc::Sender<TaskResult<Echo>>) {
        let again = submitter.clone();
        let called = submitter.task(n).call(move |settled| {
            drop(again.subscribe());
            assert!(again.cancel(NOBODY).is_err());
            sender.send(settled.result).unwrap();
            if n > 0 {
                chain(again, n - 1, sender);
            }
        });
        assert!(called.is_ok());
    }
    chain(processor.submitter(), 100, sender);
    let outcomes: Vec<_> = receiver.iter().collect();
    assert_eq!(outcomes, (0..=100).rev().map(Ok).collect::<Vec<_>>());
    assert_eq!(processor.census().callbacks, 0);
}

fn late_panics_are_counted_and_change_nothing(runtime: AnyRuntime) {
    fn explode() {
        panic!("dropped");
    }
    let bomb = || OnDrop(Box::new(explode) as Box<dyn FnMut() + Send + Sync>);
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime, |job: Do, _: Context| async move {
            match job {
                Do::Complete(value) => Ok(value),
                Do::Fail(value) => Err(Failure(value)),
                Do::Hang(value) => {
                    pending::<()>().await;
                    Ok(value)
                }
                Do::Nothing => Ok(OnDrop(Box::new(|| ()) as Box<dyn FnMut() + Send + Sync>)),
            }
        })
        .unwrap();
    let late = |n: u64| eventually("a late panic is counted", || processor.totals().late_panics == n);
    processor.task(Do::Nothing).call(|_| panic!("callback")).unwrap();
    late(1);
    processor.task(Do::Complete(bomb())).post().unwrap();
    late(2);
    processor.task(Do::Fail(bomb())).post().unwrap();
    late(3);
    let running = processor.submit(Do::Hang(bomb())).unwrap();
    eventually("it runs", || processor.census().running == 1);
    let queued = processor.task(Do::Complete(bomb())).post().unwrap();
    processor.cancel(queued).unwrap();
    late(4);
    running.cancel().unwrap();
    assert!(matches!(block_on(running), Err(TaskError::Cancelled(_))));
    // The future of an attempt that was told to stop.
    late(5);
    let settled = processor.totals().settled;
    assert_eq!((settled.completed, settled.failed, settled.cancelled, settled.panicked), (2, 1, 2, 0));
    // Panics of futures and jobs that are there at the end.
    processor.task(Do::Hang(bomb())).post().unwrap();
    processor.task(Do::Complete(bomb())).post().unwrap();
    eventually("it runs", || processor.census().running == 1);
    let submitter = processor.submitter();
    drop(processor);
    // A worker that was just about to stop the running one drops it at the end of its poll.
    eventually("all are counted", || submitter.totals().late_panics == 7);
    assert!(submitter.census().is_empty());
}

/// An emitter whose registrations call back into the processor when they are dropped, and panic.
struct Rude(Submitter<Number>);

impl Rude {
    fn registration(&self) -> Box<dyn std::any::Any + Send> {
        let submitter = self.0.clone();
        let call_back = OnDrop(move || {
            let _ = submitter.census();
            panic!("registration");
        });
        Box::new(call_back)
    }
}

impl Emitter<u32> for Rude {
    type Listener = Box<dyn std::any::Any + Send>;

    fn on_task(&self, _: TaskListener<u32>) -> Self::Listener {
        self.registration()
    }

    fn on_batch(&self, _: BatchListener<u32>) -> Self::Listener {
        self.registration()
    }

    fn on_error(&self, _: ErrorListener) -> Self::Listener {
        self.registration()
    }
}

fn registrations_may_call_back_and_panic(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .emitters(1)
        .spawn_on(runtime, |_: u32, _: Context| async { Ok::<(), ()>(()) })
        .unwrap();
    let rude = Rude(processor.submitter());
    let attached = processor.attach(&rude).unwrap();
    assert!(processor.attach(&rude).is_err());
    assert_eq!(processor.totals().late_panics, 3);
    assert!(attached.detach().is_some());
    assert_eq!(processor.totals().late_panics, 6);
    processor.attach(&rude).unwrap();
    let submitter = processor.submitter();
    drop(processor);
    assert_eq!(submitter.totals().late_panics, 9);
}
