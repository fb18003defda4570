//! What most people write on tokio: a task each, a semaphore, `timeout` and a oneshot channel.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Semaphore, oneshot};

use super::Contender;
use super::attempt::{Told, settle};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

pub struct Spawn;

impl<H: Host> Contender<H> for Spawn {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let queue = Arc::new(Semaphore::new(limits.queue));
        let places = Arc::new(Semaphore::new(limits.concurrency));
        Spawner::<B> { queue, places, body: PhantomData }
    }
}

struct Spawner<B> {
    queue: Arc<Semaphore>,
    places: Arc<Semaphore>,
    body: PhantomData<B>,
}

impl<B> Clone for Spawner<B> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), places: self.places.clone(), body: PhantomData }
    }
}

impl<B: Body> Peer for Spawner<B> {
    type Handle = Told<oneshot::Receiver<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let waiting = self.queue.clone().acquire_owned().await.expect("never closed");
        let places = self.places.clone();
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let _place = places.acquire().await.expect("never closed");
            drop(waiting);
            let timed = tokio::time::timeout(B::limit(id), B::run(id));
            let caught = AssertUnwindSafe(timed).catch_unwind().await;
            // Whoever has dropped the handle does not want to know.
            let _ = sender.send(settle(caught.map(Result::ok)));
        });
        Told(receiver)
    }
}
