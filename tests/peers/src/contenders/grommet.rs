//! `grommet`: one shard, which is a thread with a runtime of its own. Every task has a key of its own, for those of one
//! key run one after the other; nothing is kept for a key. A semaphore bounds the queue, for the mailbox and the shard
//! behind it have a bound each. Time-out and panics are the handler's business.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;

use grommet::{Answer, Call, ClassId, Disposition, IO, PinPolicy, Processor, Scheduler, ShardConfig, Work};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Contender;
use super::attempt::{ByLibrary, Timing, Told};
use crate::drive::Peer;
use crate::host::{Host, Tokio};
use crate::work::{Body, Limits, Outcome};

pub struct Shard;

impl<H: Host> Contender<H> for Shard {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let mut config = ShardConfig::new([limits.concurrency, 1]);
        // Mailbox and shard hold so many each. Both are larger than what the semaphore lets in: with a mailbox that
        // was ever full, shard and submitters came to wait for each other.
        config.scheduler.max_pending = 2 * limits.queue;
        config.scheduler.queue_reserve = config.scheduler.max_pending;
        let scheduler = Scheduler::<Handler<B>>::builder(1, [limits.concurrency, 1])
            .shard_config(config)
            .mailbox(2 * limits.queue)
            .pin(PinPolicy::Disabled)
            .spawn(|_| Handler(PhantomData))
            .expect("a shard");
        Router { scheduler: Arc::new(scheduler), room: Arc::new(Semaphore::new(limits.queue)) }
    }
}

struct Job {
    id: u64,
    waiting: OwnedSemaphorePermit,
}

impl Work for Job {
    type Key = u64;
    type Id = ();

    fn key(&self) -> u64 {
        self.id
    }

    fn class(&self) -> ClassId {
        IO
    }
}

struct Handler<B>(PhantomData<B>);

impl<B> Clone for Handler<B> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<B: Body> Processor for Handler<B> {
    type Work = Call<Job, Outcome>;
    type State = ();
    type Error = Infallible;

    async fn process(
        &self,
        _key: u64,
        _state: Option<()>,
        call: Self::Work,
    ) -> Result<Disposition<()>, Infallible> {
        let (job, responder) = call.into_parts();
        drop(job.waiting);
        responder.send(ByLibrary::attempt::<Tokio, B>(job.id).await);
        Ok(Disposition::Drop)
    }
}

struct Router<B: Body> {
    scheduler: Arc<Scheduler<Handler<B>>>,
    room: Arc<Semaphore>,
}

impl<B: Body> Clone for Router<B> {
    fn clone(&self) -> Self {
        Self { scheduler: self.scheduler.clone(), room: self.room.clone() }
    }
}

impl<B: Body> Peer for Router<B> {
    type Handle = Told<Answer<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let waiting = self.room.clone().acquire_owned().await.expect("never closed");
        let (call, answer) = Call::new(Job { id, waiting });
        assert!(self.scheduler.router().submit(call).await.is_ok(), "the shard lives");
        Told(answer)
    }
}
