//! A good binding, to the plain thread, with a fault.

use std::future::poll_fn;
use std::mem::forget;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures::executor::block_on;
use plimsoll::{Instant, Runtime, Thread, Threads, Timer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// One wake-up in seven goes nowhere.
    LosesWakes,
    /// One future in seven is dropped in place of being spawned.
    DropsFutures,
    /// What is done is kept.
    KeepsFutures,
    /// Each future is polled once more when it is done.
    PollsWhatIsDone,
    PollsWithinSpawn,
    /// Each future has a thread of its own, and it says that there is one.
    HasManyThreads,
    /// A timer has fired as soon as it is set.
    FiresEarly,
    /// A timer that is set ignores that it is set again.
    IsNotSetAgain,
    KeepsTheFirstWaker,
    /// The clock is set back by a minute, for half of the time.
    GoesBackwards,
    StandsStill,
    /// It counts microseconds.
    HasAnotherUnit,
    /// Each clock begins when it is asked for.
    HasManyOrigins,
}

impl Fault {
    pub(crate) const ALL: [Self; 13] = [
        Self::LosesWakes,
        Self::DropsFutures,
        Self::KeepsFutures,
        Self::PollsWhatIsDone,
        Self::PollsWithinSpawn,
        Self::HasManyThreads,
        Self::FiresEarly,
        Self::IsNotSetAgain,
        Self::KeepsTheFirstWaker,
        Self::GoesBackwards,
        Self::StandsStill,
        Self::HasAnotherUnit,
        Self::HasManyOrigins,
    ];
}

/// The plain thread, with a fault. If `NEVER_GOES_ON`, no task may ever go on.
#[derive(Clone)]
pub(crate) struct Broken<const NEVER_GOES_ON: bool = false> {
    thread: Thread,
    fault: Option<Fault>,
    spawned: Arc<AtomicU64>,
}

impl<const NEVER_GOES_ON: bool> Broken<NEVER_GOES_ON> {
    pub(crate) fn new(fault: Option<Fault>) -> Self {
        Self { thread: Thread::start().unwrap(), fault, spawned: Arc::default() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

impl<const NEVER_GOES_ON: bool> Runtime for Broken<NEVER_GOES_ON> {
    type Timer = BrokenTimer<<Thread as Runtime>::Timer>;

    fn threads(&self) -> Threads {
        Threads::One
    }

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        let (clock, fault) = (self.thread.clock(), self.fault);
        let start = clock();
        move || {
            let now = clock().as_nanos();
            Instant::from_nanos(match fault {
                Some(Fault::GoesBackwards) if now / 5_000_000 % 2 == 1 => now.saturating_sub(60_000_000_000),
                Some(Fault::StandsStill) => 1,
                Some(Fault::HasAnotherUnit) => now / 1_000,
                Some(Fault::HasManyOrigins) => now - start.as_nanos(),
                _ => now,
            })
        }
    }

    fn timer(&self) -> Self::Timer {
        BrokenTimer { timer: Box::pin(self.thread.timer()), fault: self.fault, is_set: false, waker: None }
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut future = Box::pin(future);
        if self.has(Fault::DropsFutures) && self.spawned.fetch_add(1, SeqCst) % 7 == 6 {
            return;
        }
        if self.has(Fault::HasManyThreads) {
            drop(thread::spawn(|| block_on(future)));
            return;
        }
        if self.has(Fault::PollsWithinSpawn) && future.as_mut().poll(&mut noop()).is_ready() {
            return;
        }
        let (fault, wakes) = (self.fault, Arc::<AtomicU64>::default());
        let mut future = Some(future);
        self.thread.spawn(poll_fn(move |cx| {
            let lossy = Waker::from(Arc::new(Lossy { waker: cx.waker().clone(), wakes: wakes.clone() }));
            let loses = fault == Some(Fault::LosesWakes);
            let cx = &mut if loses { Context::from_waker(&lossy) } else { Context::from_waker(cx.waker()) };
            let is_done = future.as_mut().is_none_or(|future| future.as_mut().poll(cx).is_ready());
            if is_done && fault == Some(Fault::PollsWhatIsDone) {
                let _ = future.as_mut().map(|future| future.as_mut().poll(cx));
            }
            if is_done && fault == Some(Fault::KeepsFutures) {
                forget(future.take());
            }
            if is_done { Poll::Ready(()) } else { Poll::Pending }
        }));
    }

    fn may_go_on() -> bool {
        !NEVER_GOES_ON
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A waker that loses wake-ups.
struct Lossy {
    waker: Waker,
    wakes: Arc<AtomicU64>,
}

impl Wake for Lossy {
    fn wake(self: Arc<Self>) {
        if self.wakes.fetch_add(1, SeqCst) % 7 < 6 {
            self.waker.wake_by_ref();
        }
    }
}

pub(crate) struct BrokenTimer<T> {
    timer: Pin<Box<T>>,
    fault: Option<Fault>,
    is_set: bool,
    waker: Option<Waker>,
}

impl<T: Timer> Timer for BrokenTimer<T> {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        if self.is_set && self.fault == Some(Fault::IsNotSetAgain) {
            return;
        }
        (self.is_set, self.waker) = (true, None);
        self.timer.as_mut().reset(at);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.fault == Some(Fault::FiresEarly) {
            return Poll::Ready(());
        }
        let first = self.waker.get_or_insert_with(|| cx.waker().clone()).clone();
        let keeps = self.fault == Some(Fault::KeepsTheFirstWaker);
        let cx = &mut if keeps { Context::from_waker(&first) } else { Context::from_waker(cx.waker()) };
        let fired = self.timer.as_mut().poll(cx);
        if fired.is_ready() {
            (self.is_set, self.waker) = (false, None);
        }
        fired
    }
}
