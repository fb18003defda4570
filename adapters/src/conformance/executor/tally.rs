//! Waiting for events, with a limit that does not depend on the executor under test.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};

use super::verdict::PATIENCE;

/// Counts events, and wakes the waiters at each. Clones count together.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Mutex<(usize, Vec<Waker>)>>);

impl Tally {
    pub(super) fn add(&self) {
        let mut state = self.lock();
        state.0 += 1;
        let waiters = std::mem::take(&mut state.1);
        drop(state);
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(super) fn count(&self) -> usize {
        self.lock().0
    }

    /// Ready when there were so many events. Nothing else wakes the waiter: a wake-up that the executor loses stays lost.
    pub(super) fn reach(&self, count: usize) -> impl Future<Output = ()> + Send + use<> {
        let this = self.clone();
        std::future::poll_fn(move |cx| {
            // Wakers are code of the executor: they are cloned before the lock is taken, and dropped after it.
            let waker = cx.waker().clone();
            let mut state = this.lock();
            if state.0 >= count {
                return Poll::Ready(());
            }
            if !state.1.iter().any(|left| left.will_wake(&waker)) {
                state.1.push(waker);
            }
            Poll::Pending
        })
    }

    /// Whether there are so many events in time.
    pub(super) async fn reaches(&self, count: usize) -> bool {
        in_time(self.reach(count)).await.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, (usize, Vec<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something becomes true in time, on a thread that runs nothing.
pub(super) fn happens(is: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !is() && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
    is()
}

/// What a future comes to, if it does so in time.
pub(super) async fn in_time<F: Future>(future: F) -> Option<F::Output> {
    match select(pin!(future), nap(PATIENCE)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Ready after this time, by a thread and not by a timer of the executor. Counted from the first poll.
pub(super) fn nap(time: Duration) -> Nap {
    Nap { time, over: Tally::default(), alarm: None }
}

pub(super) struct Nap {
    time: Duration,
    over: Tally,
    /// The thread ends at once when this is dropped.
    alarm: Option<Sender<()>>,
}

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.alarm.is_none() {
            let (alarm, dropped) = channel::<()>();
            let (time, over) = (self.time, self.over.clone());
            self.alarm = Some(alarm);
            let thread = thread::Builder::new().spawn(move || {
                if dropped.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    over.add();
                }
            });
            if thread.is_err() {
                return Poll::Ready(());
            }
        }
        pin!(self.over.reach(1)).poll(cx)
    }
}

/// Wakes itself, by reference or by value, and lets others run, once.
pub(super) async fn yield_now(by_value: bool) {
    let mut has_yielded = false;
    std::future::poll_fn(|cx| {
        if has_yielded {
            return Poll::Ready(());
        }
        has_yielded = true;
        let waker = cx.waker().clone();
        if by_value {
            waker.wake()
        } else {
            waker.wake_by_ref()
        }
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    struct Ignores;

    impl Wake for Ignores {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_waiter_leaves_its_waker_once_however_often_it_is_polled() {
        let (tally, own) = (Tally::default(), Arc::new(Ignores));
        let waker = Waker::from(own.clone());
        let mut reached = pin!(tally.reach(1));
        for _ in 0..10 {
            assert!(reached.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&own), 3);
        tally.add();
        assert!(reached.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        assert_eq!(Arc::strong_count(&own), 2);
    }
}
