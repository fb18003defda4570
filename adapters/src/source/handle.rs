//! Opening a source, and what its users hold of it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use plimsoll_core::{OpenRefusal, Refusal, SourceId, SourceView};

use super::puller::Puller;
use super::{Pull, Source};
use crate::access::Access;
use crate::engine::machine::Shared;
use crate::options::Options;
use crate::work::{AnyWork, SendWork};

impl<W: SendWork> Access<W> {
    /// Opens a source: the jobs of an engine outside become tasks of this processor, and the engine hears how they ended.
    /// Returns a handle, and a future that does the pulling, for you to spawn. It is ready when the processor has drained, or
    /// the source was stopped or came to its end, and the engine was told everything: with the number of deliveries
    /// whose verdict it has not confirmed.
    ///
    /// The processor has to be built [for sources](crate::Builder::sources). Tasks of a source have the terms of `pull`, and
    /// an outcome that goes nowhere but to [`on_settled`](crate::Processor::on_settled), events, and the engine:
    ///
    /// | the task | the engine hears |
    /// |---|---|
    /// | completed | done |
    /// | failed, with tries left | again after the backoff, counted. Deliveries count as tries |
    /// | panicked or timed out, with tries left and [`Retry::on_panic`](crate::Retry::on_panic) or [`Retry::on_timeout`](crate::Retry::on_timeout) | the same |
    /// | panicked or timed out, and the retry does not say so | dead, at the first time |
    /// | ended in one of these ways with no tries left, or failed with [`no_retry`](crate::Context::no_retry) | dead, with the error's text |
    /// | was snoozed | again after the delay, uncounted |
    /// | was cut off by a drain, or not begun | again at once, uncounted |
    /// | was cancelled by its id, and not while the processor drains | dead |
    ///
    /// A second try needs [`Builder::retry`](crate::Builder::retry), as for other tasks: without, the first error makes a dead
    /// letter.
    ///
    /// **At least once.** A job is done again if the process dies, or the engine is away until the lease runs out, between its
    /// outcome and the confirmation. Jobs with an identity are then known for a while: see [`Pull::window`].
    ///
    /// A processor whose future is dropped, because its runtime has ended for instance, closes the source: its tasks go on, and the
    /// engine delivers again what it has not heard of.
    ///
    /// # Errors
    /// [`SourceRefusal`], with the engine.
    #[allow(clippy::type_complexity, reason = "a future of this crate's own has no name")]
    pub fn source<S>(
        &self,
        engine: S,
        pull: Pull<W::Meta>,
    ) -> Result<(SourceHandle<W>, impl Future<Output = u32> + Send + 'static), SourceRefusal<S>>
    where
        S: Source<Job = W::Job>,
    {
        let shared = &self.shared;
        let refused = |reason, engine| Err(SourceRefusal { reason, engine });
        let terms = match shared.defaults.with(&Options { unique: None, ..pull.options }) {
            Ok(terms) => terms,
            Err(reason) => return refused(SourceRefusalReason::Terms(reason), engine),
        };
        let (limits, now) = (self.limits(), shared.now());
        if pull.options.lane.is_some() && limits.lanes.lanes == 0 {
            return refused(SourceRefusalReason::Terms(Refusal::Lanes), engine);
        }
        let of_source = pull.terms(engine.abilities(), &limits);
        let id = match shared.act(|machine| machine.open_source(now, &of_source)) {
            Ok(id) => id,
            Err(reason) => return refused(SourceRefusalReason::Open(reason), engine),
        };
        let puller = Puller::new(shared.clone(), id, engine, pull, terms, &limits);
        Ok((SourceHandle { shared: shared.clone(), id }, puller.run()))
    }
}

/// A source of a processor. Dropping the handle changes nothing.
pub struct SourceHandle<W: AnyWork> {
    shared: Arc<Shared<W>>,
    id: SourceId,
}

impl<W: AnyWork> SourceHandle<W> {
    /// Which source.
    #[must_use]
    pub const fn id(&self) -> SourceId {
        self.id
    }

    /// Pulls nothing more. What was pulled is finished, and told. Returns whether it was still pulled from.
    pub fn stop(&self) -> bool {
        let now = self.shared.now();
        self.shared.act(|machine| machine.stop_pulling(now, self.id))
    }

    /// The source in numbers. `None` when it is closed.
    #[must_use]
    pub fn view(&self) -> Option<SourceView> {
        self.shared.read(|machine| machine.source(self.id))
    }
}

impl<W: AnyWork> fmt::Debug for SourceHandle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceHandle").field("id", &self.id).field("view", &self.view()).finish()
    }
}

/// A source could not be opened.
#[non_exhaustive]
pub struct SourceRefusal<S> {
    /// Why.
    pub reason: SourceRefusalReason,
    /// The engine, handed back.
    pub engine: S,
}

/// Why a source could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceRefusalReason {
    /// By the machine.
    Open(OpenRefusal),
    /// The terms of its tasks can't be fulfilled.
    Terms(Refusal),
}

impl fmt::Display for SourceRefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(reason) => reason.fmt(f),
            Self::Terms(reason) => reason.fmt(f),
        }
    }
}

impl<S> fmt::Debug for SourceRefusal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceRefusal").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<S> fmt::Display for SourceRefusal<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<S> Error for SourceRefusal<S> {}
