//! What the tests share: a processor whose jobs are futures, gates, counters and a watchdog; and the runtimes, in `hosts`.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant as Time};

use plimsoll::{Builder, Handle, Processor, Settlement, Submitter, TaskResult, Timeouts};

#[macro_use]
mod hosts;

pub(crate) use hosts::*;

/// After this a test hangs, and fails.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);
/// How long [`eventually`] and [`happens`] wait: shorter than a gate stays closed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);
/// After this a gate opens by itself, so that a test that fails still ends.
const GATE: Duration = Duration::from_secs(6);

// The processor under test.

/// A job says itself what its attempt does.
pub(crate) type Job = Pin<Box<dyn Future<Output = Result<u32, String>> + Send>>;
pub(crate) type Signature = fn(Job) -> Result<u32, String>;
pub(crate) type Work = Processor<Signature>;
pub(crate) type WorkSubmitter = Submitter<Signature>;
pub(crate) type WorkHandle = Handle<Signature>;
pub(crate) type WorkResult = TaskResult<Signature>;
pub(crate) type WorkSettlement = Settlement<Signature>;

pub(crate) fn build(builder: Builder, host: &impl Host) -> Work {
    builder.spawn_on(host.runtime(), |job: Job| job).unwrap()
}

/// Eight attempts at a time, which share as much as they can.
pub(crate) fn eight_places(builder: Builder) -> Builder {
    builder.concurrency(8)
}

/// Room for this many tasks that are delayed or in backoff, beside the queue.
pub(crate) fn delayed<R>(builder: Builder<R>, tasks: u32) -> Builder<R> {
    builder.delayed(tasks)
}

pub(crate) fn job(work: impl Future<Output = Result<u32, String>> + Send + 'static) -> Job {
    Box::pin(work)
}

/// Completes with `n` when it is polled first.
pub(crate) fn instant(n: u32) -> Job {
    job(async move { Ok(n) })
}

/// Never completes. Holds `value` until it is dropped.
pub(crate) fn hanging(value: impl Send + 'static) -> Job {
    job(async move {
        std::future::pending::<()>().await;
        drop(value);
        Ok(0)
    })
}

/// Blocks its thread until the gate opens.
pub(crate) fn blocking(gate: &Gate) -> Job {
    let gate = gate.clone();
    job(async move {
        gate.pass();
        Ok(0)
    })
}

/// Has an attempt block its thread until the gate is open, and waits until it has begun to.
pub(crate) fn block_a_thread(processor: &Work) -> Gate {
    let (gate, begun) = (Gate::default(), Counter::default());
    let (blocked, begins) = (gate.clone(), begun.clone());
    let blocker = job(async move {
        begins.add();
        blocked.pass();
        Ok(0)
    });
    processor.task(blocker).post().unwrap();
    eventually("a handler blocks", || begun.get() == 1);
    gate
}

pub(crate) fn start_to_close(limit: Duration) -> Timeouts {
    Timeouts { start_to_close: Some(limit), ..Timeouts::NONE }
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Wakes itself and lets others run, once.
pub(crate) async fn yield_now() {
    let mut has_yielded = false;
    std::future::poll_fn(|cx| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Computes for so long.
pub(crate) fn spin(time: Duration) {
    let start = Time::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

// Waiting without hanging.

/// Runs a test on a thread of its own, and fails if that takes longer than `limit`.
pub(crate) fn within<R: Send + 'static>(limit: Duration, run: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, is_done) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let result = run();
        drop(done);
        result
    });
    if is_done.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("hangs: it was not done within {limit:?}");
    }
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Whether something becomes true while one may wait for it.
pub(crate) fn happens(is: impl FnMut() -> bool) -> bool {
    happens_within(PATIENCE, is)
}

pub(crate) fn happens_within(limit: Duration, mut is: impl FnMut() -> bool) -> bool {
    let start = Time::now();
    while !is() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(ms(1));
    }
    true
}

pub(crate) fn eventually(what: &str, is: impl FnMut() -> bool) {
    assert!(happens(is), "never happened: {what}");
}

/// For what a machine that is busy with other things may spoil: fails with the third failure in a row.
pub(crate) fn one_of_three(mut run: impl FnMut() -> Result<(), String>) {
    let failures: Vec<_> = (0..3).map_while(|_| run().err()).collect();
    assert!(failures.len() < 3, "failed three times: {failures:#?}");
}

/// A future that a thread of its own waits for.
pub(crate) struct Awaited<T>(mpsc::Receiver<T>);

impl<T: Send + 'static> Awaited<T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(futures::executor::block_on(future)));
        Self(receiver)
    }

    /// What it came to; `None` if that does not come.
    pub(crate) fn get(&self) -> Option<T> {
        self.get_within(PATIENCE)
    }

    pub(crate) fn get_within(&self, limit: Duration) -> Option<T> {
        self.0.recv_timeout(limit).ok()
    }
}

/// Blocks threads until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Blocks this thread until the gate is opened, or has been closed for too long.
    pub(crate) fn pass(&self) {
        let is_open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_timeout_while(is_open, GATE, |is_open| !*is_open).unwrap());
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, SeqCst);
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}
