//! A `JoinSet`: one driver takes jobs from a bounded queue and spawns each as a task of the set.

use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Contender;
use super::attempt::{Told, settle};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, Limits, Outcome};

pub struct Joined;

impl<H: Host> Contender<H> for Joined {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        let (sender, receiver) = mpsc::channel(limits.queue);
        H::detach(drive::<B>(receiver, limits.concurrency));
        Queue(sender)
    }
}

type Job = (u64, oneshot::Sender<Outcome>);

async fn drive<B: Body>(mut jobs: mpsc::Receiver<Job>, concurrency: usize) {
    let mut running = JoinSet::new();
    loop {
        // Those that are done make room without the driver having to wait for them.
        while running.try_join_next().is_some() {}
        tokio::select! {
            biased;
            job = jobs.recv(), if running.len() < concurrency => {
                let Some((id, outcome)) = job else { break };
                running.spawn(one(PhantomData::<B>, id, outcome));
            }
            Some(_) = running.join_next(), if !running.is_empty() => {}
        }
    }
}

async fn one<B: Body>(_: PhantomData<B>, id: u64, outcome: oneshot::Sender<Outcome>) {
    let timed = tokio::time::timeout(B::limit(id), B::run(id));
    let caught = AssertUnwindSafe(timed).catch_unwind().await;
    // Whoever has dropped the handle does not want to know.
    let _ = outcome.send(settle(caught.map(Result::ok)));
}

#[derive(Clone)]
struct Queue(mpsc::Sender<Job>);

impl Peer for Queue {
    type Handle = Told<oneshot::Receiver<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let (sender, receiver) = oneshot::channel();
        self.0.send((id, sender)).await.expect("the driver lives");
        Told(receiver)
    }
}
