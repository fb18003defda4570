//! An executor of one's own, in a hundred lines of safe Rust, and a processor on it.
//!
//! ```sh
//! cargo run --bin own_executor
//! ```
//!
//! Write one where there is a loop already that everything has to run on: that of a window system, of a game, of a device.
//! To run a processor an executor has to offer
//! - a clock that is monotonic, may be read from any thread, and keeps nothing alive;
//! - one timer a processor, which can be set again and again, and wakes the waker that it was polled with last;
//! - a place for futures, a handful a processor, that are polled when they are woken, from whichever thread;
//! - an end: the futures are dropped with the executor. That is how the processor learns of it.
//!
//! It need not offer more. There is no spawning from another thread here, no join handle and no yielding: all that is the
//! processor's.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use plimsoll::{Context, Drain, Instant, Processor, Retry, Runtime, Threads, Timer, since_start};

fn main() -> anyhow::Result<()> {
    let executor = Executor::default();
    let processor = Processor::builder().concurrency(2).retry(Retry::times(2)).spawn_on(&executor, brew)?;

    // The executor sleeps until a timer is due or somebody else's thread has work for it.
    let orders = processor.submitter();
    let guest = thread::spawn(move || orders.submit("espresso").map(|cup| cup.wait()));

    let report = executor.run(async {
        let (tea, coffee) = (processor.submit("tea")?, processor.submit("coffee")?);
        println!("{} and {}", tea.await?, coffee.await?);
        Ok::<_, anyhow::Error>(processor.shutdown(Drain::graceful(Duration::from_secs(1))).await)
    })?;
    if let Ok(cup) = guest.join() {
        println!("from another thread: {}", cup??);
    }
    println!("{} attempts for {} cups", report.totals.started, report.totals.settled.completed);
    Ok(())
}

/// The handler. Its sleep is the processor's, which uses the one timer that it has of the executor.
async fn brew(drink: &'static str, cx: Context) -> Result<String, NoWater> {
    cx.sleep(Duration::from_millis(20)).await.map_err(|_| NoWater)?;
    if drink == "coffee" && cx.attempt() == 1 {
        return Err(NoWater);
    }
    Ok(format!("a cup of {drink}"))
}

#[derive(Debug)]
struct NoWater;

impl std::fmt::Display for NoWater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there is no water")
    }
}

impl std::error::Error for NoWater {}

type Spawned = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls futures on the thread that calls [`run`](Self::run), and on no other.
#[derive(Default)]
struct Executor {
    futures: RefCell<HashMap<u64, Spawned>>,
    ids: Cell<u64>,
    hub: Arc<Hub>,
}

impl Executor {
    /// The id of the future that [`run`](Self::run) is given.
    const MAIN: u64 = 0;

    /// Runs everything until this future is ready.
    fn run<T>(&self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        self.hub.push(Self::MAIN);
        loop {
            match self.hub.next() {
                None => {}
                Some(Self::MAIN) => {
                    let waker = self.waker(Self::MAIN);
                    if let Poll::Ready(output) = main.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
                        return output;
                    }
                }
                Some(id) => self.poll(id),
            }
        }
    }

    /// Polls a future, which is nowhere else meanwhile: it may spawn others.
    fn poll(&self, id: u64) {
        let Some(mut future) = self.futures.borrow_mut().remove(&id) else { return };
        let waker = self.waker(id);
        if future.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending() {
            self.futures.borrow_mut().insert(id, future);
        }
    }

    fn waker(&self, id: u64) -> Waker {
        Waker::from(Arc::new(Wakeup { id, hub: self.hub.clone() }))
    }
}

/// For a reference, since `spawn_on` takes a runtime by value, and keeps nothing of it but clock, timer and futures.
impl Runtime for &Executor {
    type Timer = HubTimer;

    fn threads(&self) -> Threads {
        Threads::One
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> HubTimer {
        let mut state = self.hub.lock();
        state.timers_made += 1;
        HubTimer { hub: self.hub.clone(), number: state.timers_made, at: Instant::MAX }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let id = self.ids.get() + 1;
        self.ids.set(id);
        self.futures.borrow_mut().insert(id, Box::pin(future));
        self.hub.push(id);
    }
}

/// What wakers and timers share with the executor, from whichever thread.
#[derive(Default)]
struct Hub {
    state: Mutex<HubState>,
    changed: Condvar,
}

#[derive(Default)]
struct HubState {
    /// Futures that were woken, each once.
    ready: VecDeque<u64>,
    /// Timers that are set and were polled, by deadline.
    timers: BTreeMap<(Instant, u64), Waker>,
    timers_made: u64,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, id: u64) {
        let mut state = self.lock();
        // There are few, so looking through all of them is cheap.
        if !state.ready.contains(&id) {
            state.ready.push_back(id);
            self.changed.notify_one();
        }
    }

    /// The next future to be polled. Without one this fires a timer that is due, or sleeps for a while: look again then.
    fn next(&self) -> Option<u64> {
        let mut state = self.lock();
        let now = since_start();
        if let Some(timer) = state.timers.first_entry().filter(|timer| timer.key().0 <= now) {
            let waker = timer.remove();
            drop(state); // A waker is foreign code, and ours takes this lock.
            waker.wake();
            return None;
        }
        let ready = state.ready.pop_front();
        if ready.is_none() {
            match state.timers.keys().next().copied() {
                Some((at, _)) => drop(self.changed.wait_timeout(state, at.saturating_since(now))),
                None => drop(self.changed.wait(state)),
            }
        }
        ready
    }
}

struct Wakeup {
    id: u64,
    hub: Arc<Hub>,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.hub.push(self.id);
    }
}

/// The timer that a processor has of an [`Executor`].
struct HubTimer {
    hub: Arc<Hub>,
    number: u64,
    at: Instant,
}

impl HubTimer {
    /// Leaves a waker until the deadline, or takes the one away that was left.
    fn leave(&self, waker: Option<Waker>) {
        let mut state = self.hub.lock();
        let key = (self.at, self.number);
        let replaced = match waker {
            Some(waker) => state.timers.insert(key, waker),
            None => state.timers.remove(&key),
        };
        self.hub.changed.notify_one();
        drop(state);
        drop(replaced);
    }
}

impl Timer for HubTimer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.leave(None);
        self.at = at;
    }

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.at <= since_start() {
            return Poll::Ready(());
        }
        // One that is not set needs no waker: it is polled again after it was set.
        let is_set = self.at < Instant::MAX;
        self.leave(is_set.then(|| cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for HubTimer {
    fn drop(&mut self) {
        self.leave(None);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time;

    use futures_util::StreamExt;
    use plimsoll::conformance::executor::{self, check};
    use plimsoll::{CancelReason, OutcomeKind, Phase, SleepRefusal, TaskError};

    use super::*;

    /// Everything that a processor asks of an executor is tried on this one.
    impl executor::Executor for Executor {
        fn runtime(&self) -> impl Runtime {
            self
        }

        fn block_on<F: Future>(&self, future: F) -> F::Output {
            self.run(future)
        }
    }

    #[test]
    fn it_keeps_its_promises() {
        check(Executor::default).assert_ok();
    }

    async fn nap(millis: u64, cx: Context) -> Result<u64, SleepRefusal> {
        cx.sleep(Duration::from_millis(millis)).await?;
        Ok(millis)
    }

    #[test]
    fn timers_wake_in_order_and_none_early() -> anyhow::Result<()> {
        let executor = Executor::default();
        let processor = Processor::builder().spawn_on(&executor, nap)?;
        let mut queue = processor.completion_queue(3)?;
        let start = time::Instant::now();
        for millis in [60, 20, 40] {
            queue.submit(millis)?;
        }
        for expected in [20, 40, 60] {
            let settled = executor.run(queue.next());
            assert_eq!(settled.and_then(|settled| settled.result.ok()), Some(expected));
            assert!(start.elapsed() >= Duration::from_millis(expected));
        }
        Ok(())
    }

    #[test]
    fn another_thread_wakes_an_executor_that_sleeps() -> anyhow::Result<()> {
        let executor = Executor::default();
        let processor = Processor::builder().spawn_on(&executor, nap)?;
        let (handle, submitter) = (processor.submit(10_000)?, processor.submitter());
        let task = handle.id();
        let start = time::Instant::now();
        let guest = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            submitter.cancel(task)
        });
        assert_eq!(executor.run(handle), Err(TaskError::Cancelled(None)));
        assert!(start.elapsed() < Duration::from_secs(5));
        assert!(matches!(guest.join(), Ok(Ok(_))));
        Ok(())
    }

    #[test]
    fn an_executor_that_goes_ends_its_processors() -> anyhow::Result<()> {
        let executor = Executor::default();
        let processor = Processor::builder().concurrency(1).spawn_on(&executor, nap)?;
        let (sender, receiver) = mpsc::channel();
        let running = processor.submit(10_000)?;
        processor.task(10_000).call(move |settled| sender.send(settled.kind()).unwrap_or_default())?;
        executor.run(async {}); // Long enough for the first of them to be started.
        assert_eq!(processor.health().running, 1);
        drop(executor);
        assert_eq!(receiver.try_recv()?, OutcomeKind::Cancelled);
        assert_eq!(running.wait(), Err(TaskError::Cancelled(Some(CancelReason::ENDED))));
        assert_eq!(processor.phase(), Phase::Drained);
        Ok(())
    }
}
