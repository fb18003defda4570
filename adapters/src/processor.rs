//! The one owner of a processor.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll_core::{Census, Drain, Ledger, Remains, Totals};

use crate::builder::{Builder, Once};
use crate::cache::Cache;
use crate::engine::Close;
use crate::submitter::Submitter;

/// A running processor, and its one owner. What can be done with it, apart from ending it, is on [`Submitter`].
///
/// Dropping it aborts: when the drop returns, every task is settled, every callback was called, and every value and
/// future is dropped, except what is being called or polled at that moment, by this thread or another; that goes when
/// the call returns. It works anywhere, also in a handler or callback of its own, and with a runtime that has stopped.
/// [`shutdown`](Self::shutdown) ends it gracefully.
pub struct Processor<J, O, E, M: Copy = (), K = (), V = ()> {
    submitter: Submitter<J, O, E, M>,
    engine: Arc<dyn Close>,
    cache: Cache<K, V>,
}

/// What [`Processor::shutdown`] reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// What was left when the end came.
    pub remains: Remains,
    /// What has come and gone.
    pub totals: Totals,
    /// The movements of every class of things that could leak.
    pub ledger: Ledger,
    /// What is held now: nothing.
    pub census: Census,
}

impl Processor<(), (), ()> {
    /// Begins to build a processor. The types of job, output and error are those of the handler.
    pub fn builder() -> Builder<(), (), (), Once> {
        Builder::new()
    }
}

impl<J, O, E, M: Copy, K, V> Processor<J, O, E, M, K, V> {
    pub(crate) fn new(submitter: Submitter<J, O, E, M>, engine: Arc<dyn Close>, cache: Cache<K, V>) -> Self {
        Self { submitter, engine, cache }
    }

    /// A submitter, which may be kept and cloned without keeping the processor alive.
    #[must_use]
    pub fn submitter(&self) -> Submitter<J, O, E, M> {
        self.submitter.clone()
    }

    /// The cache. It may be cloned; it is emptied at the end.
    #[must_use]
    pub const fn cache(&self) -> &Cache<K, V> {
        &self.cache
    }

    /// Ends the processor: from now on it takes nothing in and detaches its sources.
    ///
    /// [`Drain::Graceful`] lets what was admitted go on, until all is done and every handle has taken its outcome, or
    /// until the time is over; then, or at once with [`Drain::Abort`], it aborts. The draining begins with this call,
    /// not with the first poll; if the future is dropped before it is ready, that aborts.
    ///
    /// The future is ready when nothing is left and every callback has returned, unless an attempt had to be abandoned
    /// or the runtime has stopped. So do not block on it in what a worker runs: a callback, a waker, a value's `Drop`.
    /// Time is kept by the runtime: one that is never polled again reaches no deadline. Then drop the owner instead.
    pub fn shutdown(self, mode: Drain) -> Shutdown<J, O, E, M, K, V> {
        if mode == Drain::Abort {
            // In one lock hold with the drain others are barred from taking effects: what is left is done here.
            self.end();
        } else {
            let shared = &self.submitter.shared;
            let now = shared.now();
            shared.act(|machine| machine.drain(now, mode));
        }
        Shutdown { processor: Some(self) }
    }

    /// Aborts what is left and empties everything. Does nothing the second time.
    fn end(&self) {
        let shared = &self.submitter.shared;
        if !shared.is_closed() {
            let cached = shared.cache.count(false).held;
            shared.end();
            self.engine.close();
            if let Some(remains) = &mut shared.lock().ended {
                remains.cached = cached;
            }
        }
    }

    fn report(&self) -> Report {
        let mut remains = self.submitter.shared.lock().ended.unwrap_or_default();
        // Panics in the drops at the very end are counted after the machine has ended.
        remains.totals = self.totals();
        Report { remains, totals: self.totals(), ledger: self.ledger(), census: self.census() }
    }
}

impl<J, O, E, M: Copy, K, V> Deref for Processor<J, O, E, M, K, V> {
    type Target = Submitter<J, O, E, M>;

    fn deref(&self) -> &Self::Target {
        &self.submitter
    }
}

impl<J, O, E, M: Copy, K, V> Drop for Processor<J, O, E, M, K, V> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<J, O, E, M: Copy, K, V> fmt::Debug for Processor<J, O, E, M, K, V> {
    /// Counts, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor")
            .field("phase", &self.phase())
            .field("census", &self.census())
            .field("totals", &self.totals())
            .finish_non_exhaustive()
    }
}

/// Ready with a [`Report`] when a processor has ended. See [`Processor::shutdown`].
#[must_use = "dropping it aborts what is still going on"]
pub struct Shutdown<J, O, E, M: Copy = (), K = (), V = ()> {
    processor: Option<Processor<J, O, E, M, K, V>>,
}

impl<J, O, E, M: Copy, K, V> Future for Shutdown<J, O, E, M, K, V> {
    type Output = Report;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Report> {
        let Some(processor) = &self.processor else {
            debug_assert!(false, "polled after it was ready");
            return Poll::Pending;
        };
        let shared = &processor.submitter.shared;
        // A waker's clone and drop are foreign code: both happen without the lock.
        let waker = cx.waker().clone();
        let mut state = shared.lock();
        // What others have taken out of the machine is to be done too, unless it is an attempt that does not stop. And
        // without its runtime a processor comes to no end by itself.
        let over = state.owned
            || state.stranded
            || state.ended.is_some_and(|remains| remains.abandoned > 0 || !shared.has_turns());
        let replaced = if over { Some(waker) } else { state.shutdown.replace(waker) };
        drop(state);
        drop(replaced);
        if !over {
            return Poll::Pending;
        }
        processor.end();
        let report = processor.report();
        self.processor = None;
        Poll::Ready(report)
    }
}

impl<J, O, E, M: Copy, K, V> fmt::Debug for Shutdown<J, O, E, M, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("processor", &self.processor).finish()
    }
}
