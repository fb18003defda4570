//! Who keeps whom alive, and what goes when.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Wake, Waker};

use futures::executor::block_on;

use super::kit::{Count, Manual, Probe, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{Context, Drain, Phase, Processor, Runtime, Submitter, TaskError};

/// The work of a processor whose jobs are probes or hold one.
type Probing<J> = fn(J, Context) -> Result<Probe, ()>;

on_every_runtime! {
    the_owner_may_be_dropped_in_its_own_handler
    the_owner_may_be_dropped_in_a_callback
    the_owner_may_be_dropped_by_a_job_that_is_dropped
    jobs_that_hold_a_submitter_keep_nothing_alive
    what_outlives_the_processor_is_harmless
}

type Slot<J> = Arc<Mutex<Option<Processor<Probing<J>>>>>;

fn take<J>(slot: &Slot<J>) -> Option<Processor<Probing<J>>> {
    slot.lock().unwrap().take()
}

fn the_owner_may_be_dropped_in_its_own_handler(runtime: AnyRuntime) {
    let live = Count::default();
    let slot: Slot<bool> = Arc::default();
    let (captured, counted, owner) = (live.probe(), live.clone(), slot.clone());
    let (sender, receiver) = std::sync::mpsc::channel();
    let processor = Processor::builder()
        .concurrency(3)
        .spawn_on(runtime, move |end: bool, _: Context| {
            let (probe, slot, sender, _) = (counted.probe(), owner.clone(), sender.clone(), &captured);
            let in_future = counted.clone();
            async move {
                if !end {
                    pending::<()>().await;
                }
                drop(take(&slot));
                // All is gone but what is being polled: this future, and with its place the handler.
                sender.send(in_future.live()).unwrap();
                Ok(probe)
            }
        })
        .unwrap();
    let submitter = processor.submitter();
    let handles = [submitter.submit(false).unwrap(), submitter.submit(false).unwrap()];
    // What is being polled is not dropped by the owner.
    eventually("two wait", || live.live() == 3 && !submitter.shared.has_attempt_in_hand());
    *slot.lock().unwrap() = Some(processor);
    let last = submitter.submit(true).unwrap();
    assert_eq!(receiver.recv().unwrap(), 2);
    for handle in handles.into_iter().chain([last]) {
        assert!(block_on(handle).is_err());
    }
    eventually("the rest went with the poll", || live.live() == 0);
    assert!(submitter.census().is_empty());
}

fn the_owner_may_be_dropped_in_a_callback(runtime: AnyRuntime) {
    let live = Count::default();
    let slot: Slot<u32> = Arc::default();
    let counted = live.clone();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime, move |n: u32, _: Context| {
            let probe = counted.probe();
            async move { if n == 0 { Ok(probe) } else { pending().await } }
        })
        .unwrap();
    let submitter = processor.submitter();
    processor.pause();
    let (sender, receiver) = std::sync::mpsc::channel();
    for n in 0..5 {
        let (owner, sender) = (slot.clone(), sender.clone());
        let called = processor.task(n).call(move |settled| {
            drop(take(&owner));
            sender.send((n, settled.kind())).unwrap();
        });
        assert!(called.is_ok());
    }
    *slot.lock().unwrap() = Some(processor);
    submitter.resume();
    let mut outcomes: Vec<_> = (0..5).map(|_| receiver.recv().unwrap()).collect();
    // The first is called last to the end: all others are called from within it.
    outcomes.sort_unstable();
    assert_eq!(outcomes.iter().filter(|(_, kind)| *kind == crate::OutcomeKind::Completed).count(), 1);
    eventually("nothing is left", || live.live() == 0);
    assert_eq!(submitter.phase(), Phase::Drained);
}

/// Drops its owner when it is dropped.
struct Last(Slot<Last>);

impl Drop for Last {
    fn drop(&mut self) {
        drop(take(&self.0));
    }
}

fn the_owner_may_be_dropped_by_a_job_that_is_dropped(runtime: AnyRuntime) {
    let slot: Slot<Last> = Arc::default();
    let processor =
        Processor::builder().spawn_on(runtime, |_: Last, _: Context| pending::<Result<Probe, ()>>()).unwrap();
    let submitter = processor.submitter();
    *slot.lock().unwrap() = Some(processor);
    submitter.task(Last(slot.clone())).post().unwrap();
    eventually("the handler has dropped its job", || submitter.phase() == Phase::Drained);
    eventually("nothing is left", || submitter.census().is_empty() && slot.lock().unwrap().is_none());
}

/// A job that holds a submitter of its own processor.
struct Circular(Submitter<Probing<Circular>>, Probe);

fn jobs_that_hold_a_submitter_keep_nothing_alive(runtime: AnyRuntime) {
    let live = Count::default();
    let processor = Processor::builder()
        .concurrency(2)
        .subscribers(2)
        .results(4, None)
        .spawn_on(runtime, |job: Circular, cx: Context| async move {
            let _events = job.0.subscribe();
            let _context = cx.clone();
            cx.cancelled().await;
            Ok(job.1)
        })
        .unwrap();
    for _ in 0..2 {
        let job = Circular(processor.submitter(), live.probe());
        processor.task(job).post().unwrap();
    }
    eventually("two run", || processor.census().subscribers == 2);
    for _ in 0..2 {
        let (job, again) = (Circular(processor.submitter(), live.probe()), processor.submitter());
        let probe = live.probe();
        let called = processor.task(job).call(move |_| {
            let _ = again.census();
            drop(probe);
        });
        assert!(called.is_ok());
        processor.task(Circular(processor.submitter(), live.probe())).retain().unwrap();
    }
    assert_eq!(live.live(), 8);
    let shared = Arc::downgrade(&processor.submitter().shared);
    drop(processor);
    // A handler may have been in its first poll still: its future goes when that returns.
    eventually("all are dropped", || live.live() == 0);
    // The workers and the driver are the last who know of it.
    eventually("nobody knows of it any more", || shared.strong_count() == 0);
}

fn what_outlives_the_processor_is_harmless(runtime: AnyRuntime) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let processor = Processor::builder()
        .spawn_on(runtime, move |hang: bool, cx: Context| {
            sender.send(cx).unwrap();
            async move { if hang { pending().await } else { Ok::<(), ()>(()) } }
        })
        .unwrap();
    let submitter = processor.submitter();
    let (done, hanging) = (submitter.submit(false).unwrap(), submitter.submit(true).unwrap());
    let contexts = [receiver.recv().unwrap(), receiver.recv().unwrap()];
    eventually("one is done", || submitter.census().unclaimed == 1);
    let mut events = submitter.subscribe().unwrap();
    let id = hanging.id();
    drop(processor);
    assert!(contexts.iter().all(Context::is_cancelled));
    assert_eq!((block_on(done), block_on(hanging)), (Err(TaskError::Ended), Err(TaskError::Ended)));
    assert_eq!(events.try_next(), None);
    assert!(
        submitter.submit(true).is_err() && submitter.cancel(id).is_err() && submitter.result(id).is_none()
    );
    assert!(block_on(submitter.submit_wait(true)).is_err());
    submitter.pause();
    submitter.resume();
    assert!(submitter.set_concurrency(3) == 3 && submitter.census().is_empty());
}

#[cfg(feature = "tokio")]
#[test]
fn a_tokio_runtime_may_stop_first() {
    let runtime =
        ::tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    stopped_first(crate::Tokio::on(runtime.handle().clone()), move || runtime.shutdown_background());
}

#[cfg(feature = "smol")]
#[test]
fn a_smol_executor_may_stop_first() {
    let executor = Arc::new(::smol::Executor::new());
    let running = executor.clone();
    let (stop, stopped) = futures::channel::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || block_on(running.run(stopped)));
    stopped_first(crate::Smol::on(executor.clone()), move || {
        drop(stop);
        drop(thread.join());
        assert_eq!(Arc::strong_count(&executor), 1);
    });
}

#[test]
fn a_runtime_of_ones_own_may_stop_first() {
    let manual = Manual::default();
    let (running, (stop, stopped)) = (manual.clone(), std::sync::mpsc::channel::<()>());
    let thread = std::thread::spawn(move || {
        while stopped.recv_timeout(ms(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            running.run();
        }
    });
    stopped_first(manual.clone(), move || {
        drop(stop);
        thread.join().unwrap();
        manual.stop();
    });
}

/// A running and a queued task when the runtime stops: it ends the processor.
fn stopped_first(runtime: impl Runtime, stop: impl FnOnce()) {
    let live = Count::default();
    let captured = live.probe();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime, move |probe: Probe, _: Context| {
            let _ = &captured;
            async move {
                pending::<()>().await;
                Ok::<Probe, ()>(probe)
            }
        })
        .unwrap();
    let running = processor.submit(live.probe()).unwrap();
    eventually("it runs", || processor.census().running == 1);
    let (sender, receiver) = std::sync::mpsc::channel();
    let called = processor.task(live.probe()).call(move |settled| sender.send(settled.kind()).unwrap());
    assert!(called.is_ok());
    stop();
    assert_eq!(receiver.recv(), Ok(crate::OutcomeKind::Cancelled));
    // A shutdown that can't be graceful any more does not wait for ever.
    let report = block_on(processor.shutdown(Drain::graceful(ms(3_600_000))));
    assert!(matches!(block_on(running), Err(TaskError::Cancelled(_))));
    assert_eq!((report.remains.cancelled, report.remains.abandoned, live.live()), (2, 0, 0));
}

/// Drops the owner when it is woken, and notes whether the callback had been called when that returned.
struct Heir {
    owner: Slot<u32>,
    called: Arc<AtomicBool>,
    in_time: AtomicBool,
}

impl Wake for Heir {
    fn wake(self: Arc<Self>) {
        if let Some(processor) = take(&self.owner) {
            drop(processor);
            self.in_time.store(self.called.load(SeqCst), SeqCst);
        }
    }
}

#[test]
fn who_waits_for_the_end_of_an_attempt_may_drop_the_owner() {
    let runtime = Manual::default();
    let (owner, called) = (Slot::default(), Arc::new(AtomicBool::new(false)));
    let heir = Arc::new(Heir { owner, called: called.clone(), in_time: AtomicBool::new(false) });
    let (sender, receiver) = std::sync::mpsc::channel();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime.clone(), move |_: u32, context: Context| {
            sender.send(context).unwrap();
            pending()
        })
        .unwrap();
    let task = processor.task(1).call(move |_| called.store(true, SeqCst)).ok().unwrap();
    runtime.run();
    let context = receiver.recv().unwrap();
    let mut cancelled = pin!(context.cancelled());
    let waker = Waker::from(heir.clone());
    assert!(cancelled.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
    processor.cancel(task).unwrap();
    *heir.owner.lock().unwrap() = Some(processor);
    runtime.run();
    assert!(heir.in_time.load(SeqCst), "the callback is called before the drop of the owner returns");
}
