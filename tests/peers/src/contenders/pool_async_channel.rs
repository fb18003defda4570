//! A pool of workers over a bounded `async-channel`: one worker for each place, a oneshot channel for each task.

use std::marker::PhantomData;

use super::Contender;
use super::attempt::Timing;
use super::queue::{Queue, serve};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits};

/// `T` is how it gives a job its time-out.
pub struct Pool<T>(PhantomData<T>);

impl<H: Host, T: Timing> Contender<H> for Pool<T> {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (queue, receiver) = Queue::bounded(limits.queue);
        for _ in 0..limits.concurrency {
            let receiver = receiver.clone();
            H::detach(async move {
                while let Ok(job) = receiver.recv().await {
                    serve::<H, T, B>(job).await;
                }
            });
        }
        queue
    }
}
