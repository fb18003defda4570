//! The executors of the crate `async-executor`, on which smol and others stand.

use std::rc::Rc;
use std::sync::Arc;

use async_executor::{Executor, LocalExecutor};
use plimsoll::conformance::executor;
use plimsoll::{Instant, LocalRuntime, Runtime, since_start};

use crate::timer::IoTimer;

struct Bound(Arc<Executor<'static>>);

impl Runtime for Bound {
    type Timer = IoTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> IoTimer {
        IoTimer::new()
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(future).detach();
    }
}

#[derive(Default)]
pub struct Shared(Arc<Executor<'static>>);

impl executor::Executor for Shared {
    fn runtime(&self) -> impl Runtime {
        Bound(self.0.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_io::block_on(self.0.run(future))
    }
}

struct LocalBound(Rc<LocalExecutor<'static>>);

impl LocalRuntime for LocalBound {
    type Timer = IoTimer;

    fn clock(&self) -> impl Fn() -> Instant + Send + Sync + 'static {
        since_start
    }

    fn timer(&self) -> IoTimer {
        IoTimer::new()
    }

    fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.0.spawn(future).detach();
    }
}

#[derive(Default)]
pub struct Local(Rc<LocalExecutor<'static>>);

impl executor::LocalExecutor for Local {
    fn runtime(&self) -> impl LocalRuntime {
        LocalBound(self.0.clone())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_io::block_on(self.0.run(future))
    }
}
