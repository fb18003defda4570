//! plimsoll by its public interface, with the limits of the benchmark and its defaults otherwise.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll::{BuildError, Builder, Handle, Processor, Runtime, SendWork, TaskError, Tokio};

use super::Contender;
use crate::drive::Peer;
use crate::host::{Host, Smol};
use crate::work::{Body, LONG, Limits, Outcome};

pub struct OnSmol;

impl Contender<Smol> for OnSmol {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start::<B>(builder(limits), smol())
    }
}

pub struct OnTokio;

impl<H: Host> Contender<H> for OnTokio {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start::<B>(builder(limits), Tokio::current())
    }
}

/// As [`OnTokio`], with workers that take three attempts at a time.
pub struct OnTokioInThrees;

impl<H: Host> Contender<H> for OnTokioInThrees {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start::<B>(in_threes(builder(limits)), Tokio::current())
    }
}

/// On a thread of its own: the submitters are on smol.
pub struct OnThread;

impl<H: Host> Contender<H> for OnThread {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start::<B>(builder(limits), plimsoll::Thread::start().expect("a thread"))
    }
}

/// Sleeps with `Context::sleep` instead of the runtime's timer.
pub struct OnSmolAsleep;

impl Contender<Smol> for OnSmolAsleep {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start_asleep::<B>(builder(limits), smol())
    }
}

/// As [`OnSmolAsleep`], on tokio.
pub struct OnTokioAsleep;

impl<H: Host> Contender<H> for OnTokioAsleep {
    async fn start<B: Body>(limits: Limits) -> impl Peer {
        start_asleep::<B>(builder(limits), Tokio::current())
    }
}

pub fn smol() -> impl Runtime {
    plimsoll::Smol::on_one_thread(Smol::executor().clone())
}

pub fn builder(limits: Limits) -> Builder {
    let places = |limit: usize| u32::try_from(limit).expect("a small limit");
    Processor::builder()
        .queue(places(limits.queue))
        .concurrency(places(limits.concurrency))
        .unclaimed(places(limits.window()))
        .timeout(LONG)
}

/// A worker takes at most three attempts at a time, where handlers never block their thread.
fn in_threes(builder: Builder) -> Builder {
    builder.prefetch(3)
}

fn start<B: Body>(builder: Builder, runtime: impl Runtime) -> impl Peer {
    Plimsoll::<B, _>::new(builder.spawn_on(runtime, |id: u64| B::run(id)))
}

fn start_asleep<B: Body>(builder: Builder, runtime: impl Runtime) -> impl Peer {
    Plimsoll::<B, _>::new(builder.spawn_on(runtime, asleep))
}

async fn asleep(id: u64, context: plimsoll::Context) -> Result<u64, u64> {
    let _gauge = crate::work::Gauge::enter();
    context.sleep(crate::work::nap(id)).await.expect("an attempt that goes on, with one sleep");
    Ok(crate::work::output(id))
}

/// What a processor does here, with a context or without.
trait Service: SendWork<Job = u64, Output = u64, Error = u64, Meta = ()> {}

impl<W: SendWork<Job = u64, Output = u64, Error = u64, Meta = ()>> Service for W {}

struct Plimsoll<B, W: Service>(Arc<Processor<W>>, PhantomData<B>);

impl<B, W: Service> Plimsoll<B, W> {
    fn new(processor: Result<Processor<W>, BuildError>) -> Self {
        Self(Arc::new(processor.expect("limits in bounds")), PhantomData)
    }
}

impl<B, W: Service> Clone for Plimsoll<B, W> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<B: Body, W: Service> Peer for Plimsoll<B, W> {
    type Handle = Told<W>;

    async fn submit(&mut self, id: u64) -> Told<W> {
        let handle = if B::OWN_LIMIT {
            self.0.task(id).timeout(B::limit(id)).submit_wait().await
        } else {
            self.0.submit_wait(id).await
        };
        Told(handle.unwrap_or_else(|refused| panic!("refused: {:?}", refused.reason)))
    }
}

struct Told<W: Service>(Handle<W>);

impl<W: Service> Future for Told<W> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx).map(outcome)
    }
}

/// What a task came to, as the harness counts it.
pub fn outcome(result: Result<u64, TaskError<u64>>) -> Outcome {
    match result {
        Ok(output) => Outcome::Completed(output),
        Err(TaskError::Failed(error)) => Outcome::Failed(error),
        Err(TaskError::TimedOut) => Outcome::TimedOut,
        Err(TaskError::Panicked(_)) => Outcome::Panicked,
        Err(other) => panic!("no task ends like this here: {other:?}"),
    }
}
