//! The executors of the crate `futures`.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::executor::{LocalPool, LocalSpawner, ThreadPool};
use futures::task::{AtomicWaker, LocalSpawnExt, SpawnExt};
use plimsoll::conformance::executor::LocalExecutor;
use plimsoll::{Instant, LocalRuntime, Runtime, since_start};

use crate::timer::IoTimer;

/// The pool as it is, with a binding of the usual kind. It polls a future that was woken while it was polled at once again, so
/// that futures which are always ready keep its threads from all others: see [`InTurns`]. A future that waits keeps the pool
/// alive, so it does not end before the processors on it.
#[derive(Clone)]
pub struct Threads(ThreadPool);

impl Threads {
    pub fn start() -> Self {
        Self(ThreadPool::builder().pool_size(2).create().expect("threads can be started"))
    }
}

impl Runtime for Threads {
    type Timer = IoTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> IoTimer {
        IoTimer::new()
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        // Fails only after the pool was shut down, which this one never is; then the future is dropped.
        let _ = self.0.spawn(future);
    }
}

/// The same pool, where a future that was woken while it was polled stands in line behind the others: it is spawned anew.
#[derive(Clone)]
pub struct InTurns(Threads);

impl InTurns {
    pub fn start() -> Self {
        Self(Threads::start())
    }
}

impl Runtime for InTurns {
    type Timer = IoTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> IoTimer {
        IoTimer::new()
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let turn = Turn { future: Some(Box::pin(future)), wakeup: Arc::default(), pool: self.0.clone() };
        self.0.spawn(turn);
    }
}

/// A future until it is woken while it is polled.
struct Turn {
    /// None when the turn is over.
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    wakeup: Arc<Wakeup>,
    pool: Threads,
}

/// The waker of a future, through all of its turns.
#[derive(Default)]
struct Wakeup {
    is_woken: AtomicBool,
    turn: AtomicWaker,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.turn.wake();
    }
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(mut future) = this.future.take() else { return Poll::Ready(()) };
        this.wakeup.turn.register(cx.waker());
        this.wakeup.is_woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(this.wakeup.clone());
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return Poll::Ready(());
        }
        if this.wakeup.is_woken.load(Ordering::SeqCst) {
            let (future, wakeup, pool) = (Some(future), this.wakeup.clone(), this.pool.clone());
            this.pool.spawn(Turn { future, wakeup, pool });
            return Poll::Ready(());
        }
        this.future = Some(future);
        Poll::Pending
    }
}

struct LocalBound(LocalSpawner);

impl LocalRuntime for LocalBound {
    type Timer = IoTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> IoTimer {
        IoTimer::new()
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        // Fails only after the pool is gone; then the future is dropped.
        let _ = self.0.spawn_local(future);
    }
}

pub struct Local {
    spawner: LocalSpawner,
    pool: RefCell<LocalPool>,
}

impl Local {
    pub fn new() -> Self {
        let pool = LocalPool::new();
        Self { spawner: pool.spawner(), pool: RefCell::new(pool) }
    }
}

impl LocalExecutor for Local {
    fn runtime(&self) -> impl LocalRuntime {
        LocalBound(self.spawner.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.pool.borrow_mut().run_until(future)
    }
}
