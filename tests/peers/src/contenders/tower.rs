//! `tower`: a buffer, a concurrency limit and a time-out. A buffer leaves the response to be polled by whoever asked,
//! so each is spawned: otherwise only the one that is awaited would run.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tower::timeout::TimeoutLayer;
use tower::timeout::error::Elapsed;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use super::Contender;
use super::attempt::{Told, settle};
use crate::drive::Peer;
use crate::host::Host;
use crate::work::{Body, LONG, Limits, Outcome};

pub struct Layers;

impl<H: Host> Contender<H> for Layers {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        // The layer knows one time-out for all.
        let timeout = (!B::OWN_LIMIT).then(|| TimeoutLayer::new(LONG));
        let service = ServiceBuilder::new()
            .buffer(limits.queue)
            .concurrency_limit(limits.concurrency)
            .option_layer(timeout)
            .service_fn(async |id| Ok::<_, BoxError>(serve::<B>(id).await));
        Stack(service)
    }
}

async fn serve<B: Body>(id: u64) -> Outcome {
    let caught = AssertUnwindSafe(B::run(id)).catch_unwind();
    if B::OWN_LIMIT {
        match tokio::time::timeout(B::limit(id), caught).await {
            Ok(caught) => settle(caught.map(Some)),
            Err(_) => Outcome::TimedOut,
        }
    } else {
        settle(caught.await.map(Some))
    }
}

#[derive(Clone)]
struct Stack<S>(S);

impl<S> Peer for Stack<S>
where
    S: Service<u64, Response = Outcome, Error = BoxError, Future: Send + 'static> + Clone + Send + 'static,
{
    type Handle = Told<JoinHandle<Outcome>>;

    async fn submit(&mut self, id: u64) -> Self::Handle {
        let response = self.0.ready().await.expect("the buffer lives").call(id);
        Told(tokio::spawn(response.map(|answer| match answer {
            Ok(outcome) => outcome,
            Err(error) if error.is::<Elapsed>() => Outcome::TimedOut,
            Err(error) => panic!("{error}"),
        })))
    }
}
