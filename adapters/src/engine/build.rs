//! Building an engine.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use plimsoll_core::BuildError;

use super::base::{Engine, Manner};
use super::ending::Close;
use super::machine::{Parts, Shared};
use super::place::Cell;
use super::places::Places;
use super::timekeeper::Timekeeper;
use super::wake;
use super::worker::Worker;
use crate::handler::Handler;
use crate::work::{SendWork, Work};

/// A future of the engine, to be spawned.
pub(crate) type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An engine, and what has to be polled so that it runs.
pub(crate) struct Built<W: Work> {
    pub(crate) shared: Arc<Shared<W>>,
    pub(crate) engine: Arc<dyn Close>,
    pub(crate) futures: Vec<BoxFuture>,
}

/// Builds an engine. Everything that it will ever hold is allocated here.
pub(crate) fn build<W, H, F, A>(
    parts: Parts,
    manner: Manner<W::Job>,
    handler: H,
) -> Result<Built<W>, BuildError>
where
    W: SendWork,
    H: Handler<W, A, Future = F> + Send + Sync + 'static,
    F: Future<Output = Result<W::Output, W::Error>> + Send + 'static,
    A: 'static,
{
    let (count, places) = (parts.workers, parts.limits.concurrency);
    let shared = Shared::new(parts)?;
    let handler = Arc::new(handler);
    let cells = (0..places as usize).map(|place| {
        let waker = wake::waker_of(&shared.wakes, u32::try_from(place).unwrap_or(u32::MAX));
        Box::pin(Cell::new(handler.clone(), waker))
    });
    let engine = Arc::new(Engine { shared: shared.clone(), places: Places::new(cells), manner });
    let worker = |index| -> BoxFuture { Box::pin(Worker::<_, _, _, A>::new(engine.clone(), index, places)) };
    let mut futures = Vec::with_capacity(count as usize + 1);
    futures.extend((0..count).map(worker));
    futures.push(Box::pin(Timekeeper::new(shared.clone(), engine.clone())));
    Ok(Built { shared, engine, futures })
}
