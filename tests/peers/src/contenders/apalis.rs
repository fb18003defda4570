//! `apalis` with its storage in memory and its concurrency limit. That storage takes in whatever comes, so a semaphore
//! bounds the queue; what its layers for time-outs and panics find does not reach a task's handle, so the handler sees
//! to both.

use std::sync::Arc;

use apalis::layers::WorkerBuilderExt;
use apalis_core::backend::memory::{MemorySink, MemoryStorage, MemoryStorageError};
use apalis_core::task::Task;
use apalis_core::worker::builder::WorkerBuilder;
use futures_util::lock::Mutex;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Contender;
use super::attempt::{ByLibrary, Timing, Told};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

pub struct Worker;

impl<H: Host> Contender<H> for Worker {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (sender, receiver) = futures_channel::mpsc::unbounded();
        let sender = sender.sink_map_err(MemoryStorageError::from);
        let sink = MemorySink::new(Arc::new(Mutex::new(Box::new(sender))));
        let storage = MemoryStorage::new_with(sink.clone(), receiver.boxed());
        let worker = WorkerBuilder::new("worker")
            .backend(storage)
            .concurrency(limits.concurrency)
            .build(serve::<H, B>);
        H::detach(async move { worker.run().await.expect("nobody stops it") });
        Queue { sink, room: Arc::new(Semaphore::new(limits.queue)) }
    }
}

struct Job {
    id: u64,
    waiting: OwnedSemaphorePermit,
    outcome: oneshot::Sender<Outcome>,
}

async fn serve<H: Host, B: Body>(job: Job) {
    let Job { id, waiting, outcome } = job;
    drop(waiting);
    // Whoever has dropped the handle does not want to know.
    let _ = outcome.send(ByLibrary::attempt::<H, B>(id).await);
}

#[derive(Clone)]
struct Queue {
    sink: MemorySink<Job>,
    room: Arc<Semaphore>,
}

impl Peer for Queue {
    type Handle = Told<oneshot::Receiver<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let waiting = self.room.clone().acquire_owned().await.expect("never closed");
        let (sender, receiver) = oneshot::channel();
        self.sink.send(Task::new(Job { id, waiting, outcome: sender })).await.expect("the worker lives");
        Told(receiver)
    }
}
