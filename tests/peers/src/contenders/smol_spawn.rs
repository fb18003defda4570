//! What most people write on smol: a task each, a semaphore and a timer. The task is the handle.

use std::marker::PhantomData;
use std::sync::Arc;

use async_executor::Task;
use async_lock::Semaphore;

use super::Contender;
use super::attempt::{ByLibrary, Timing};
use crate::drive::Peer;
use crate::host::Smol;
use crate::work::{Body, Limits, Outcome};

pub struct Spawn;

impl Contender<Smol> for Spawn {
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
    type Handle = Task<Outcome>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let waiting = self.queue.acquire_arc().await;
        let places = self.places.clone();
        Smol::executor().spawn(async move {
            let _place = places.acquire().await;
            drop(waiting);
            ByLibrary::attempt::<Smol, B>(id).await
        })
    }
}
