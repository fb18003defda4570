//! A pool of workers over a bounded `kanal`: one worker for each place, a oneshot channel for each task.

use std::marker::PhantomData;

use kanal::{AsyncSender, bounded_async};

use super::Contender;
use super::attempt::{Timing, Told};
use super::queue::{Job, serve};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

/// `T` is how it gives a job its time-out.
pub struct Pool<T>(PhantomData<T>);

impl<H: Host, T: Timing> Contender<H> for Pool<T> {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (sender, receiver) = bounded_async::<Job>(limits.queue);
        for _ in 0..limits.concurrency {
            let receiver = receiver.clone();
            H::detach(async move {
                while let Ok(job) = receiver.recv().await {
                    serve::<H, T, B>(job).await;
                }
            });
        }
        Queue(sender)
    }
}

#[derive(Clone)]
struct Queue(AsyncSender<Job>);

impl Peer for Queue {
    type Handle = Told<oneshot::AsyncReceiver<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::async_channel();
        self.0.send((id, sender)).await.expect("the workers live");
        Told(receiver)
    }
}
