//! `taskvisor`: a supervisor, to which each job is added as a task that is run once, with its limits and its time-out.
//! What it says of a task's end has no output, and does not tell a time-out or a panic from another failure, so the job
//! has a oneshot channel for its outcome and catches panics; an attempt that was dropped has timed out.

use std::future::Future;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use oneshot::{AsyncReceiver, Sender};
use taskvisor::{BoxTaskFuture, Supervisor, SupervisorConfig, SupervisorHandle, Task, TaskContext, TaskSpec};

use super::Contender;
use super::attempt::settle;
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

pub struct Supervised;

impl<H: Host> Contender<H> for Supervised {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        // It owns a task until that has been destroyed, which it leaves to threads of its own; one that waits for this
        // capacity is not yet in.
        let owned = NonZeroUsize::new(limits.queue + limits.concurrency);
        let config = SupervisorConfig::new()
            .with_max_concurrent(NonZeroUsize::new(limits.concurrency))
            .with_ownership_capacity(owned)
            .with_max_registered_tasks(None);
        let supervisor = Supervisor::new(config, Vec::new()).serve().expect("a runtime and threads");
        Queue::<B> { supervisor, names: Arc::default(), body: PhantomData }
    }
}

struct Queue<B> {
    supervisor: SupervisorHandle,
    /// Each registered task has a name that no other has.
    names: Arc<AtomicU64>,
    body: PhantomData<B>,
}

impl<B> Clone for Queue<B> {
    fn clone(&self) -> Self {
        Self { supervisor: self.supervisor.clone(), names: self.names.clone(), body: PhantomData }
    }
}

impl<B: Body> Peer for Queue<B> {
    type Handle = Told;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::async_channel();
        let job = Arc::new(Job::<B> { id, outcome: Mutex::new(Some(sender)), body: PhantomData });
        let name = self.names.fetch_add(1, Relaxed).to_string();
        let task = TaskSpec::once(name, job).with_timeout(B::limit(id));
        self.supervisor.add(task).await.expect("it is taken in, once there is room");
        Told(receiver)
    }
}

struct Job<B> {
    id: u64,
    /// For the one attempt there is.
    outcome: Mutex<Option<Sender<Outcome>>>,
    body: PhantomData<fn() -> B>,
}

impl<B: Body> Task for Job<B> {
    fn spawn(&self, _context: TaskContext) -> BoxTaskFuture {
        let outcome = self.outcome.lock().expect("nobody panics here").take().expect("it is run once");
        let caught = AssertUnwindSafe(B::run(self.id)).catch_unwind();
        Box::pin(async move {
            // Whoever has dropped the handle does not want to know.
            let _ = outcome.send(settle(caught.await.map(Some)));
            Ok(())
        })
    }
}

struct Told(AsyncReceiver<Outcome>);

impl Future for Told {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(cx)).unwrap_or(Outcome::TimedOut))
    }
}
