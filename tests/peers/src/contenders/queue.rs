//! What the pools and the sets have in common: a bounded queue of jobs, each with a oneshot channel for its outcome.

use async_channel::{Receiver, Sender};

use super::attempt::{Timing, Told};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Outcome};

/// A job's number, and where its outcome goes.
pub type Job = (u64, oneshot::Sender<Outcome>);

/// Does a job and tells its outcome. `T` is how it gives the job its time-out.
pub async fn serve<H: Host, T: Timing, B: Body>((id, outcome): Job) {
    // Whoever has dropped the handle does not want to know.
    let _ = outcome.send(T::attempt::<H, B>(id).await);
}

/// The submitters' end of a bounded `async-channel`.
#[derive(Clone)]
pub struct Queue(Sender<Job>);

impl Queue {
    /// Both ends of a queue for so many jobs.
    pub fn bounded(jobs: usize) -> (Self, Receiver<Job>) {
        let (sender, receiver) = async_channel::bounded(jobs);
        (Self(sender), receiver)
    }
}

impl Peer for Queue {
    type Handle = Told<oneshot::AsyncReceiver<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::async_channel();
        self.0.send((id, sender)).await.expect("somebody receives");
        Told(receiver)
    }
}
