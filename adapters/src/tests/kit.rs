//! What the tests share: a runtime that is driven by hand, and values that are counted.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant as Time};

use crate::runtime::{Runtime, Threads, Timer};
use crate::{EngineFuture, Instant, Processor, Timeouts};

/// A token that is counted as long as it lives.
#[derive(Debug)]
pub(super) struct Probe(Arc<AtomicUsize>);

/// Counts probes.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Arc<AtomicUsize>);

impl Count {
    pub(super) fn probe(&self) -> Probe {
        self.0.fetch_add(1, SeqCst);
        Probe(self.0.clone())
    }

    pub(super) fn live(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Count(self.0.clone()).probe()
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Runs code when it is dropped.
pub(super) struct OnDrop<F: FnMut()>(pub(super) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Is ready at the second poll, for which it has itself woken.
pub(super) fn yield_now() -> impl Future<Output = ()> {
    let mut has_yielded = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut has_yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Waits, at most 10 seconds, until something is the case.
pub(super) fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let start = Time::now();
    while !is() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn start_to_close(limit: Duration) -> Timeouts {
    Timeouts { start_to_close: Some(limit), ..Timeouts::NONE }
}

/// Asserts that a processor that has ended holds nothing.
pub(super) fn assert_empty<W: crate::Work>(processor: &Processor<W>) {
    assert_eq!(processor.census(), processor.audit());
    assert!(processor.census().is_empty(), "{:?}", processor.census());
}

/// A runtime that does nothing by itself, with a clock that stands still.
#[derive(Clone, Default)]
pub(super) struct Manual(Arc<ManualState>);

#[derive(Default)]
struct ManualState {
    now: Arc<Mutex<Instant>>,
    futures: Mutex<Vec<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    timers: Count,
}

pub(super) struct ManualTimer {
    now: Arc<Mutex<Instant>>,
    at: Instant,
    _probe: Probe,
}

impl Manual {
    /// Polls every future until none gets further.
    pub(super) fn run(&self) {
        for _ in 0..20 {
            let mut futures = std::mem::take(&mut *self.0.futures.lock().unwrap());
            futures.retain_mut(|future| {
                future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
            });
            self.0.futures.lock().unwrap().extend(futures);
        }
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut now = self.0.now.lock().unwrap();
        *now = now.saturating_add(by);
    }

    /// Stops the runtime: all its futures are dropped.
    pub(super) fn stop(&self) {
        let futures = std::mem::take(&mut *self.0.futures.lock().unwrap());
        drop(futures);
    }

    pub(super) fn live_futures(&self) -> usize {
        self.0.futures.lock().unwrap().len()
    }

    pub(super) fn live_timers(&self) -> usize {
        self.0.timers.live()
    }
}

impl Runtime for Manual {
    type Timer = ManualTimer;

    fn threads(&self) -> Threads {
        Threads::One
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let now = self.0.now.clone();
        move || *now.lock().unwrap()
    }

    fn timer(&self) -> ManualTimer {
        ManualTimer { now: self.0.now.clone(), at: Instant::MAX, _probe: self.0.timers.probe() }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.futures.lock().unwrap().push(Box::pin(future));
    }
}

impl Timer for ManualTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.at = at;
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if *self.now.lock().unwrap() >= self.at { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// As [`Manual`], as if it had several threads.
pub(super) struct Several(pub(super) Manual);

impl Runtime for Several {
    type Timer = <Manual as Runtime>::Timer;

    fn threads(&self) -> Threads {
        Threads::Several
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        self.0.clock()
    }

    fn timer(&self) -> Self::Timer {
        self.0.timer()
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(future);
    }
}

/// Polls all that are not being polled.
pub(super) fn poll_idle(futures: &[Mutex<EngineFuture>]) {
    for future in futures {
        if let Ok(mut future) = future.try_lock() {
            let _ = Pin::new(&mut *future).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub(super) struct Bell(pub(super) AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
