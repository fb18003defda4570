//! `futures-buffered` behind a bounded queue: one driver polls the running jobs in one set, which is bounded and never
//! allocates.

use std::marker::PhantomData;

use futures_buffered::BufferedStreamExt;
use futures_util::StreamExt;

use super::Contender;
use super::attempt::Timing;
use super::queue::{Queue, serve};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits};

/// `T` is how it gives a job its time-out.
pub struct Driven<T>(PhantomData<T>);

impl<H: Host, T: Timing> Contender<H> for Driven<T> {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (queue, receiver) = Queue::bounded(limits.queue);
        let jobs = receiver.map(serve::<H, T, B>);
        H::detach(jobs.buffered_unordered(limits.concurrency).for_each(async |()| ()));
        queue
    }
}
