//! What could be lost between a lock hold and the next: timers, wake-ups, stops, and the count of what was offered.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{self, Wake, Waker};

use futures::StreamExt;
use futures::executor::block_on;

use super::kit::{Manual, eventually, ms};
use super::runtimes::{AnyRuntime, on_every_runtime};
use crate::{Cache, CacheLimits, Context, Drain, Processor, Retry, infallible};

type Bombing = fn(Bomb, Context) -> Result<Bomb, ()>;

on_every_runtime! {
    a_timer_is_set_although_effects_are_pending
    a_stop_is_not_lost_when_a_waker_panics
    values_that_panic_together_are_dropped_one_by_one
    who_waits_for_room_is_offered_once
    cached_values_that_panic_are_counted
}

fn a_timer_is_set_although_effects_are_pending(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .concurrency(1)
        .retry(Retry::NONE.attempts(2).base(ms(50)))
        .spawn_on(runtime, |_: (), cx: Context| async move {
            std::thread::sleep(ms(30));
            if cx.attempt() < 2 { Err("not yet") } else { Ok(()) }
        })
        .unwrap();
    // Each event makes an effect of its own for those who wait.
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut events = processor.subscribe().unwrap();
            std::thread::spawn(move || block_on(async { while events.next().await.is_some() {} }))
        })
        .collect();
    std::thread::sleep(ms(30));
    let (done, outcome) = mpsc::channel();
    processor.task(()).call(move |settled| done.send(settled.result).unwrap()).unwrap();
    assert_eq!(outcome.recv_timeout(ms(10_000)), Ok(Ok(())));
    drop(processor);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

fn a_stop_is_not_lost_when_a_waker_panics(runtime: AnyRuntime) {
    let waits = Arc::new(AtomicBool::new(false));
    let waiting = waits.clone();
    let processor = Processor::builder()
        .concurrency(1)
        .spawn_on(runtime, move |_: (), cx: Context| {
            let waiting = waiting.clone();
            async move {
                let mut cancelled = cx.cancelled();
                let waker = Waker::from(Arc::new(Panicking));
                let _ = Pin::new(&mut cancelled).poll(&mut task::Context::from_waker(&waker));
                waiting.store(true, SeqCst);
                pending::<()>().await;
                drop(cancelled);
                Ok::<_, ()>(())
            }
        })
        .unwrap();
    let task = processor.task(()).post().unwrap();
    eventually("it waits", || waits.load(SeqCst));
    processor.cancel(task).unwrap();
    eventually("the orphan has stopped", || processor.census().is_empty());
    eventually("the panic was counted", || processor.totals().late_panics == 1);
}

/// Panics when it is dropped, if it is a copy.
#[derive(Debug)]
struct Bomb(bool);

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Self(true)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0, "a drop panics");
    }
}

fn values_that_panic_together_are_dropped_one_by_one(runtime: AnyRuntime) {
    let slot: Arc<Mutex<Option<crate::Submitter<Bombing>>>> = Arc::default();
    let own = slot.clone();
    let processor = Processor::builder()
        .concurrency(1)
        .retry(Retry::NONE.attempts(2))
        .spawn_on(runtime, move |_: Bomb, context: Context| {
            let submitter = own.lock().unwrap().clone();
            async move {
                submitter.unwrap().cancel(context.task()).unwrap();
                Ok::<_, ()>(Bomb(true))
            }
        })
        .unwrap();
    *slot.lock().unwrap() = Some(processor.submitter());
    processor.task(Bomb(false)).post().unwrap();
    // The output comes too late, and the copy of the job is not needed.
    eventually("both were counted", || processor.totals().late_panics == 2);
    assert_eq!(processor.totals().settled.cancelled, 1);
    slot.lock().unwrap().take();
}

fn who_waits_for_room_is_offered_once(runtime: AnyRuntime) {
    let processor = Processor::builder()
        .queue(0)
        .concurrency(1)
        .spawn_on(runtime, |_: u8, _: Context| async move {
            std::thread::sleep(ms(5));
            Ok::<_, ()>(())
        })
        .unwrap();
    for job in 0..5 {
        block_on(processor.submit_wait(job)).unwrap().detach();
    }
    eventually("all are done", || processor.census().tasks == 0);
    let totals = processor.totals();
    assert_eq!((totals.offered, totals.refused, totals.admitted), (5, 0, 5));
}

fn cached_values_that_panic_are_counted(runtime: AnyRuntime) {
    let cache = Cache::new(CacheLimits { entries: 4, ..CacheLimits::default() }).unwrap();
    let processor = Processor::builder()
        .cache(&cache)
        .spawn_on(runtime, |_: (), _: Context| async { Ok::<_, ()>(()) })
        .unwrap();
    for key in 0..3 {
        assert!(cache.insert(key, Bomb(true)));
    }
    let submitter = processor.submitter();
    drop(processor);
    assert_eq!((submitter.totals().late_panics, submitter.census().cached), (3, 0));
}

/// Needs a runtime with several threads: on one thread a handler that blocks holds everything up.
#[cfg(feature = "tokio")]
#[test]
fn work_goes_to_a_worker_that_sleeps() {
    let runtime =
        ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (go, gone) = futures::channel::oneshot::channel::<()>();
    let gates = Mutex::new(Some((gone, released)));
    let blocked = Arc::new(AtomicBool::new(false));
    let is_blocked = blocked.clone();
    let processor = Processor::builder()
        .concurrency(4)
        .prefetch(2)
        .spawn_on(crate::Tokio::on(runtime.handle().clone()), move |blocks: bool, _: Context| {
            let gates = if blocks { gates.lock().unwrap().take() } else { None };
            let blocked = blocked.clone();
            async move {
                if let Some((gone, released)) = gates {
                    let _ = gone.await;
                    blocked.store(true, SeqCst);
                    let _ = released.recv();
                }
                Ok::<_, ()>(())
            }
        })
        .unwrap();
    let task = processor.task(true).post().unwrap();
    eventually("it runs", || processor.census().running == 1);
    std::thread::sleep(ms(30));
    go.send(()).unwrap();
    eventually("it blocks its worker", || is_blocked.load(SeqCst));
    let (done, outcome) = mpsc::channel();
    processor.task(false).call(move |settled| done.send(settled.result).unwrap()).unwrap();
    assert_eq!(outcome.recv_timeout(ms(10_000)), Ok(Ok(())));
    release.send(()).unwrap();
    eventually("the other one goes on", || processor.cancel(task).is_err());
}

#[test]
fn a_subscriber_sees_the_end_whenever_it_comes() {
    for round in 0..2_000 {
        let manual = Manual::default();
        let processor = Processor::builder().spawn_on(manual.clone(), infallible(|()| async {})).unwrap();
        let mut events = processor.subscribe().unwrap();
        let (done, has_ended) = mpsc::channel();
        let reads = std::thread::spawn(move || {
            block_on(async { while events.next().await.is_some() {} });
            done.send(()).unwrap();
        });
        processor.task(()).post().unwrap();
        (0..round % 200).for_each(|_| std::hint::spin_loop());
        let _ = block_on(processor.shutdown(Drain::Cancel));
        has_ended.recv_timeout(ms(10_000)).expect("the reader is woken");
        reads.join().unwrap();
    }
}
