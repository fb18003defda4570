//! A task pool of bevy, with threads of its own, which are joined when it is dropped. It has no timers.

use std::sync::Arc;

use bevy_tasks::{TaskPool, TaskPoolBuilder};
use plimsoll::conformance::executor::Executor;
use plimsoll::{Instant, Runtime, since_start};

use crate::timer::IoTimer;

struct Bound(Arc<TaskPool>);

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

pub struct Bevy(Arc<TaskPool>);

impl Bevy {
    pub fn start() -> Self {
        Self(Arc::new(TaskPoolBuilder::new().num_threads(2).build()))
    }
}

impl Executor for Bevy {
    fn runtime(&self) -> impl Runtime {
        Bound(self.0.clone())
    }
}
