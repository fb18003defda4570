//! The executors that processors run on, each of which can be stopped and dropped at any time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::channel::oneshot;
use plimsoll::Smol;
use plimsoll::Thread;
use plimsoll::Tokio;
use plimsoll::{Builder, Cloning, Handler};
use smol::Executor;
use smol::channel::Sender;

use crate::names::Runtime;
use crate::values::Service;
use crate::world::Owner;

/// An executor that runs. Dropping it stops it, waits for its threads, and drops the tasks that are left.
pub struct Host(#[expect(dead_code, reason = "dropped")] Inner);

enum Inner {
    TokioCurrent(#[expect(dead_code, reason = "dropped")] Stopped),
    Tokio(#[expect(dead_code, reason = "dropped")] tokio::runtime::Runtime),
    Smol(#[expect(dead_code, reason = "dropped")] SmolHost),
    /// Runs until its last future is done: it cannot be stopped.
    Thread,
}

/// A thread that is told to stop, and waited for.
struct Stopped {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.stop.take());
        join(self.thread.take());
    }
}

/// Threads that run an executor. The last one to let go of it drops its tasks.
struct SmolHost {
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
    #[expect(dead_code, reason = "dropped after the threads have ended")]
    executor: Arc<Executor<'static>>,
}

impl Drop for SmolHost {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.threads.drain(..).for_each(|thread| join(Some(thread)));
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(Err(panic)) = thread.map(JoinHandle::join) {
        std::panic::resume_unwind(panic);
    }
}

impl Host {
    /// Starts it, with what spawns on it.
    pub fn start(runtime: Runtime) -> Result<(Self, Spawner), String> {
        let started = match runtime {
            Runtime::TokioCurrent => start_tokio_current(),
            Runtime::Tokio2 => start_tokio(2),
            Runtime::Tokio8 => start_tokio(8),
            Runtime::Smol1 => start_smol(1),
            Runtime::Smol2 => start_smol(2),
            Runtime::Thread => Thread::start().map(|thread| (Inner::Thread, Spawner::Thread(thread))),
        };
        let (inner, spawner) =
            started.map_err(|error| format!("cannot start {}: {error}", runtime.name()))?;
        Ok((Self(inner), spawner))
    }
}

type Started = std::io::Result<(Inner, Spawner)>;

fn start_tokio(threads: usize) -> Started {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_time().build()?;
    let spawner = Spawner::Tokio(runtime.handle().clone());
    Ok((Inner::Tokio(runtime), spawner))
}

fn start_tokio_current() -> Started {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let spawner = Spawner::Tokio(runtime.handle().clone());
    let (stop, stopped) = oneshot::channel();
    let run = move || {
        let _ = runtime.block_on(stopped);
    };
    let thread = thread::Builder::new().name("tokio-current".to_owned()).spawn(run)?;
    Ok((Inner::TokioCurrent(Stopped { stop: Some(stop), thread: Some(thread) }), spawner))
}

fn start_smol(threads: usize) -> Started {
    let executor = Arc::new(Executor::new());
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    let run = |_| {
        let (executor, stopped) = (executor.clone(), stopped.clone());
        thread::Builder::new().name("smol".to_owned()).spawn(move || {
            // An error: the sender is gone.
            let _ = smol::block_on(executor.run(stopped.recv()));
        })
    };
    let threads = (0..threads).map(run).collect::<Result<_, _>>()?;
    let spawner = Spawner::Smol(Arc::downgrade(&executor));
    Ok((Inner::Smol(SmolHost { stop: Some(stop), threads, executor }), spawner))
}

/// Spawns on an executor without keeping it alive, a plain thread excepted.
#[derive(Clone)]
pub enum Spawner {
    Tokio(tokio::runtime::Handle),
    Smol(Weak<Executor<'static>>),
    Thread(Thread),
}

impl Spawner {
    /// Runs the future, or drops it if the executor is gone.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Tokio(handle) => drop(handle.spawn(future)),
            Self::Smol(executor) => {
                if let Some(executor) = executor.upgrade() {
                    executor.spawn(future).detach();
                }
            }
            Self::Thread(thread) => plimsoll::Runtime::spawn(thread, future),
        }
    }

    /// Builds a processor on it; `None` if the executor is gone.
    pub fn build<H, A>(&self, builder: Builder<Cloning>, handler: H) -> Result<Owner, String>
    where
        H: Handler<Service, A, Future: Send + 'static> + Send + Sync + 'static,
        A: 'static,
    {
        let text = |error: &dyn fmt::Display| format!("cannot build a processor: {error}");
        match self {
            Self::Tokio(handle) => {
                builder.spawn_on(Tokio::on(handle.clone()), handler).map_err(|error| text(&error))
            }
            Self::Smol(executor) => {
                let executor = executor.upgrade().ok_or("the executor is gone")?;
                builder.spawn_on(Smol::on(executor), handler).map_err(|error| text(&error))
            }
            Self::Thread(thread) => builder.spawn_on(thread.clone(), handler).map_err(|error| text(&error)),
        }
    }
}

/// Where a future runs: by that it is known which timers it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On tokio.
    Tokio,
    /// On another executor, or on a thread of its own.
    Anywhere,
}

impl Place {
    /// Of what is spawned on this runtime.
    pub const fn on(runtime: Runtime) -> Self {
        match runtime {
            Runtime::TokioCurrent | Runtime::Tokio2 | Runtime::Tokio8 => Self::Tokio,
            Runtime::Smol1 | Runtime::Smol2 | Runtime::Thread => Self::Anywhere,
        }
    }

    /// Ready after this time, by a timer of the place.
    pub fn sleep(self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match self {
            Self::Tokio => Box::pin(tokio::time::sleep(duration)),
            Self::Anywhere => Box::pin(async move {
                smol::Timer::after(duration).await;
            }),
        }
    }
}
