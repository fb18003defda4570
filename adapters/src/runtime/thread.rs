//! A processor on a plain thread: no executor needed.
//!
//! ```
//! use plimsoll::{Processor, Thread, infallible};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u8| async move { n + 1 }))?;
//! assert_eq!(processor.submit(1)?.wait()?, 2);
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use slab::Slab;

use crate::Instant;
use crate::panics::{catch, discard_panic};
use crate::runtime::{Runtime, Threads, Timer, since_start};

/// One `std::thread` that polls whatever is spawned on it, and sleeps until a future is woken or a timer is due.
///
/// Cloning gives a further handle of the same thread, on which several processors may run. The thread ends when all
/// handles are gone and all its futures are done; those of a processor are done when that has ended.
#[derive(Clone, Debug)]
pub struct Thread(Arc<Owner>);

impl Thread {
    /// Starts a thread.
    ///
    /// # Errors
    /// The operating system's.
    pub fn start() -> io::Result<Self> {
        Self::named("plimsoll")
    }

    /// Starts a thread with this name.
    ///
    /// # Errors
    /// The operating system's.
    pub fn named(name: &str) -> io::Result<Self> {
        let hub = Arc::new(Hub::default());
        let owner = Owner(hub.clone());
        thread::Builder::new().name(name.to_owned()).spawn(move || run(&hub))?;
        Ok(Self(Arc::new(owner)))
    }
}

/// All handles of one thread.
#[derive(Debug)]
struct Owner(Arc<Hub>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().orphaned = true;
        self.0.wake.notify_one();
    }
}

impl Runtime for Thread {
    type Timer = ThreadTimer;

    fn threads(&self) -> Threads {
        Threads::One
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> ThreadTimer {
        let hub = self.0.0.clone();
        let key = hub.lock().timers.insert(NEVER);
        ThreadTimer { hub, key, at: None }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let hub = self.0.0.clone();
        let task = Arc::new(Task {
            hub: hub.clone(),
            queued: AtomicBool::new(true),
            future: Mutex::new(Some(Box::pin(future))),
        });
        let mut state = hub.lock();
        state.live = state.live.saturating_add(1);
        // Each future is in the queue at most once, so waking never has to allocate.
        let room = state.live.saturating_sub(state.ready.len());
        state.ready.reserve(room);
        state.ready.push_back(task);
        drop(state);
        hub.wake.notify_one();
    }
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A spawned future, which is its own waker.
struct Task {
    hub: Arc<Hub>,
    /// Whether it is in the queue: it is there at most once.
    queued: AtomicBool,
    future: Mutex<Option<BoxFuture>>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let hub = self.hub.clone();
            hub.push(self);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.hub.push(self.clone());
        }
    }
}

impl Task {
    /// Polls it once; whether it is done.
    fn run(self: Arc<Self>) -> bool {
        self.queued.store(false, Ordering::Release);
        let Some(mut future) = self.lock().take() else { return false };
        let waker = Waker::from(self.clone());
        match catch(|| future.as_mut().poll(&mut Context::from_waker(&waker))) {
            Ok(Poll::Pending) => {
                *self.lock() = Some(future);
                return false;
            }
            Ok(Poll::Ready(())) => {}
            Err(panic) => discard_panic(panic),
        }
        if let Err(panic) = catch(|| drop(future)) {
            discard_panic(panic);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Option<BoxFuture>> {
        self.future.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the thread, its handles, wakers and timers meet.
#[derive(Default)]
struct Hub {
    state: Mutex<HubState>,
    wake: Condvar,
}

#[derive(Default)]
struct HubState {
    ready: VecDeque<Arc<Task>>,
    /// How many futures are not done.
    live: usize,
    /// The timers with what they wake. One a processor, so there are few, and looking at all of them is cheap.
    timers: Slab<(Instant, Option<Waker>)>,
    orphaned: bool,
    /// The thread is gone: what is woken now stays where it is.
    ended: bool,
}

impl Hub {
    /// Has a task polled. A waker may outlive the thread: the queue, which would keep task and hub alive for each other,
    /// is then left alone.
    fn push(&self, task: Arc<Task>) {
        let mut state = self.lock();
        if !state.ended {
            state.ready.push_back(task);
            drop(state);
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("live", &self.lock().live).finish_non_exhaustive()
    }
}

/// What the thread does.
fn run(hub: &Hub) {
    loop {
        let mut state = hub.lock();
        if let Some(task) = state.ready.pop_front() {
            // A timer that is due is looked at before each future, so that no future can keep it waiting.
            let due = due(&mut state);
            drop(state);
            due.into_iter().for_each(Waker::wake);
            if task.run() {
                let mut state = hub.lock();
                state.live = state.live.saturating_sub(1);
                if state.live == 0 {
                    state.ready.shrink_to_fit();
                }
            }
            continue;
        }
        if state.orphaned && state.live == 0 {
            state.ended = true;
            return;
        }
        if let Some(waker) = due(&mut state) {
            drop(state);
            waker.wake();
            continue;
        }
        let first = state.timers.iter().map(|(_, (at, _))| *at).filter(|at| *at < Instant::MAX).min();
        match first.map(|at| at.saturating_since(since_start())) {
            Some(sleep) => drop(hub.wake.wait_timeout(state, sleep)),
            None => drop(hub.wake.wait(state)),
        }
    }
}

/// Takes the waker of a timer that is due. It is left again when the timer is polled.
fn due(state: &mut HubState) -> Option<Waker> {
    if state.timers.is_empty() {
        return None;
    }
    let now = since_start();
    let (_, timer) = state.timers.iter_mut().find(|(_, (at, _))| *at <= now)?;
    std::mem::replace(timer, NEVER).1
}

/// The timer of [`Thread`].
#[derive(Debug)]
pub struct ThreadTimer {
    hub: Arc<Hub>,
    /// Its place among the timers of the thread.
    key: usize,
    at: Option<Instant>,
}

/// A timer that is not armed.
const NEVER: (Instant, Option<Waker>) = (Instant::MAX, None);

impl ThreadTimer {
    fn arm(&self, to: (Instant, Option<Waker>)) {
        let replaced = self.hub.lock().timers.get_mut(self.key).map(|timer| std::mem::replace(timer, to));
        // A waker is dropped without the lock.
        drop(replaced);
        self.hub.wake.notify_one();
    }
}

impl Timer for ThreadTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.arm(NEVER);
        self.at = Some(at);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        if at <= since_start() {
            self.arm(NEVER);
            self.at = None;
            return Poll::Ready(());
        }
        self.arm((at, Some(cx.waker().clone())));
        Poll::Pending
    }
}

impl Drop for ThreadTimer {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        let removed = state.timers.try_remove(self.key);
        if state.timers.is_empty() {
            state.timers.shrink_to_fit();
        }
        drop(state);
        drop(removed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_waker_that_outlives_the_thread_keeps_nothing_alive() {
        let thread = Thread::start().unwrap();
        let hub = Arc::downgrade(&thread.0.0);
        let (sender, receiver) = std::sync::mpsc::channel();
        thread.spawn(std::future::poll_fn(move |cx| {
            sender.send(cx.waker().clone()).unwrap();
            Poll::Ready(())
        }));
        let waker = receiver.recv().unwrap();
        drop(thread);
        // The thread is gone when the waker's task is the last that keeps the hub.
        while hub.strong_count() > 1 {
            thread::yield_now();
        }
        waker.wake();
        assert_eq!(hub.strong_count(), 0);
    }
}
