//! `futures-buffered` behind a bounded queue: one driver polls the running jobs in one set, which is bounded and never
//! allocates.

use std::marker::PhantomData;

use futures_buffered::BufferedStreamExt;
use futures_util::StreamExt;

use super::Contender;
use super::attempt::{Timing, Told};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

/// `T` is how it gives a job its time-out.
pub struct Driven<T>(PhantomData<T>);

impl<H: Host, T: Timing> Contender<H> for Driven<T> {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (sender, receiver) = async_channel::bounded::<(u64, oneshot::Sender<Outcome>)>(limits.queue);
        let jobs = receiver.map(|(id, outcome)| async move {
            // Whoever has dropped the handle does not want to know.
            let _ = outcome.send(T::attempt::<H, B>(id).await);
        });
        H::detach(jobs.buffered_unordered(limits.concurrency).for_each(async |()| ()));
        Queue(sender)
    }
}

#[derive(Clone)]
struct Queue(async_channel::Sender<(u64, oneshot::Sender<Outcome>)>);

impl Peer for Queue {
    type Handle = Told<oneshot::AsyncReceiver<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::async_channel();
        self.0.send((id, sender)).await.expect("the driver lives");
        Told(receiver)
    }
}
