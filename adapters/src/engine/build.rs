//! Building an engine.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};

use plimsoll_core::BuildError;

use super::base::{Engine, Manner};
use super::machine::{DynEngine, Host, Parts, Shared};
use super::place::Cell;
use super::places::Places;
use super::timekeeper::Timekeeper;
use super::wake;
use super::worker::Worker;
use crate::handler::Handler;
use crate::sharing::Local;
use crate::work::{AnyWork, LocalWork, SendWork};

/// A future of the engine, to be spawned.
pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future of an engine that stays on one thread.
pub(crate) type LocalBoxFuture = Pin<Box<dyn Future<Output = ()>>>;

/// An engine, and what has to be polled so that it runs.
pub(crate) struct Built<W: AnyWork, B> {
    pub(crate) shared: Arc<Shared<W>>,
    pub(crate) engine: DynEngine<W>,
    pub(crate) futures: Vec<B>,
}

/// Builds an engine. Everything that it will ever hold is allocated here.
pub(crate) fn build<W, H, F, A>(
    parts: Parts<W>,
    manner: Manner<W::Job>,
    handler: H,
) -> Result<Built<W, BoxFuture>, BuildError>
where
    W: SendWork,
    H: Handler<W, A, Future = F> + Send + Sync + 'static,
    F: Future<Output = Result<W::Output, W::Error>> + Send + 'static,
    A: 'static,
{
    let boxing = Boxing::<W, H, F, A, BoxFuture> {
        host: |shared| shared,
        engine: |engine| engine,
        worker: |worker| Box::pin(worker),
        timekeeper: |timekeeper| Box::pin(timekeeper),
    };
    assemble(parts, manner, handler, &boxing)
}

/// As [`build`], of an engine that stays on one thread.
pub(crate) fn build_local<W, H, F, A>(
    parts: Parts<Local<W>>,
    manner: Manner<W::Job>,
    handler: H,
) -> Result<Built<Local<W>, LocalBoxFuture>, BuildError>
where
    W: LocalWork,
    H: Handler<W, A, Local, Future = F> + 'static,
    F: Future<Output = Result<W::Output, W::Error>> + 'static,
    A: 'static,
{
    let boxing = Boxing::<Local<W>, H, F, A, LocalBoxFuture> {
        host: |shared| shared,
        engine: |engine| engine,
        worker: |worker| Box::pin(worker),
        timekeeper: |timekeeper| Box::pin(timekeeper),
    };
    assemble(parts, manner, handler, &boxing)
}

/// Makes an engine one of a type that does not name the handler and its future.
type Forget<W, H, F> = fn(Arc<Engine<W, H, F>>) -> DynEngine<W>;

/// Puts the parts of an engine into boxes that do not name the handler and its future. Only the two callers know whether those
/// are `Send`.
struct Boxing<W: AnyWork, H, F, A, B> {
    host: fn(Weak<Shared<W>>) -> Weak<Host<W>>,
    engine: Forget<W, H, F>,
    worker: fn(Worker<W, H, F, A>) -> B,
    timekeeper: fn(Timekeeper<W>) -> B,
}

fn assemble<W: AnyWork, H, F, A, B>(
    parts: Parts<W>,
    manner: Manner<W::Job>,
    handler: H,
    boxing: &Boxing<W, H, F, A, B>,
) -> Result<Built<W, B>, BuildError> {
    let (count, places) = (parts.workers, parts.limits.concurrency);
    let shared = Shared::new(parts, manner.clone.is_some(), boxing.host)?;
    let handler = Arc::new(handler);
    let cells = (0..places as usize).map(|place| {
        let waker = wake::waker_of(&shared.wakes, u32::try_from(place).unwrap_or(u32::MAX));
        Box::pin(Cell::new(handler.clone(), waker))
    });
    let engine = Arc::new(Engine { shared: shared.clone(), places: Places::new(cells), manner });
    let mut futures = Vec::with_capacity(count as usize + 1);
    futures.extend((0..count).map(|index| (boxing.worker)(Worker::new(engine.clone(), index, places))));
    let engine = (boxing.engine)(engine);
    futures.push((boxing.timekeeper)(Timekeeper::new(shared.clone(), engine.clone())));
    Ok(Built { shared, engine, futures })
}
