//! A pool of workers over a bounded `kanal`: one worker for each place, a oneshot channel for each task.

use std::marker::PhantomData;

use kanal::{AsyncSender, bounded_async};

use super::Contender;
use super::attempt::{Timing, Told};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

/// `T` is how it gives a job its time-out.
pub struct Pool<T>(PhantomData<T>);

impl<H: Host, T: Timing> Contender<H> for Pool<T> {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (sender, receiver) = bounded_async::<(u64, oneshot::Sender<Outcome>)>(limits.queue);
        for _ in 0..limits.concurrency {
            let receiver = receiver.clone();
            H::detach(async move {
                while let Ok((id, outcome)) = receiver.recv().await {
                    // Whoever has dropped the handle does not want to know.
                    let _ = outcome.send(T::attempt::<H, B>(id).await);
                }
            });
        }
        Queue(sender)
    }
}

#[derive(Clone)]
struct Queue(AsyncSender<(u64, oneshot::Sender<Outcome>)>);

impl Peer for Queue {
    type Handle = Told<oneshot::AsyncReceiver<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::async_channel();
        self.0.send((id, sender)).await.expect("the workers live");
        Told(receiver)
    }
}
