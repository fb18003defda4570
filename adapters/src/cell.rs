//! Where one attempt lives: a place that is used again for task after task.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use pin_project_lite::pin_project;
use plimsoll_core::{AttemptId, Instant, Start};

use crate::context::Context;
use crate::perform::{Panic, catch, discard_panic};
use crate::shared::Types;
use crate::signal::PlaceSignal;

pin_project! {
    /// The future of one attempt, what made it, and what its report needs. It is allocated once a place.
    ///
    /// All of it is foreign: its methods catch what panics, and whoever drops it does so without a lock.
    pub(crate) struct Cell<J, H, F> {
        #[pin]
        future: Option<F>,
        // One clone a place, so that the owner can drop the handler by emptying the places.
        handler: Option<Arc<H>>,
        // The job once more, for a further try.
        copy: Option<J>,
        attempt: Option<AttemptId>,
        // When the grace period of an attempt that was asked to stop is over.
        stop_by: Option<Instant>,
    }
}

/// How an attempt ended.
pub(crate) enum End<O, E> {
    Completed(O),
    Failed(E),
    Panicked(Panic),
    /// It was asked to stop, and was dropped.
    Stopped,
}

/// What a cell knew of its attempt.
pub(crate) struct Attempt<J> {
    pub(crate) id: AttemptId,
    pub(crate) copy: Option<J>,
    pub(crate) had_grace: bool,
}

impl<J, H, F> Cell<J, H, F> {
    pub(crate) fn new(handler: Arc<H>) -> Self {
        Self { future: None, handler: Some(handler), copy: None, attempt: None, stop_by: None }
    }

    /// Makes the future of an attempt, unless the attempt is not wanted any more. Returns its end if there is no future.
    pub(crate) fn begin<O, E, M: Copy>(
        self: Pin<&mut Self>,
        start: Start<Types<J, O, E, M>>,
        signal: &Arc<PlaceSignal>,
        clone: Option<fn(&J) -> J>,
    ) -> Option<End<O, E>>
    where
        H: Fn(J, Context<M>) -> F,
        F: Future<Output = Result<O, E>>,
    {
        let mut this = self.project();
        let Start { task, attempt, number, job, meta, deadline, may_retry, .. } = start;
        debug_assert!(this.attempt.is_none(), "a place has one attempt at a time");
        *this.attempt = Some(attempt);
        if !signal.is_running(attempt.to_bits()) {
            return Some(catch(|| drop(job)).map_or_else(End::Panicked, |()| End::Stopped));
        }
        let Some(handler) = this.handler else { return Some(End::Stopped) };
        let context = Context { signal: signal.clone(), task, attempt, number, deadline, meta };
        let copy = this.copy;
        let made = catch(|| {
            *copy = clone.filter(|_| may_retry).map(|clone| clone(&job));
            handler(job, context)
        });
        match made {
            Ok(future) => {
                this.future.set(Some(future));
                None
            }
            Err(panic) => Some(End::Panicked(panic)),
        }
    }

    /// Polls the future, and drops it when it is over.
    pub(crate) fn poll<O, E>(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Option<End<O, E>>
    where
        F: Future<Output = Result<O, E>>,
    {
        let future = self.as_mut().project().future;
        let polled = catch(|| future.as_pin_mut().map_or(Poll::Pending, |future| future.poll(cx)));
        let end = match polled {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(Ok(output))) => End::Completed(output),
            Ok(Poll::Ready(Err(error))) => End::Failed(error),
            Err(panic) => End::Panicked(panic),
        };
        match (self.clear(), end) {
            (None, end) => Some(end),
            (Some(second), End::Panicked(first)) => {
                discard_panic(second);
                Some(End::Panicked(first))
            }
            (Some(panic), end) => {
                if let Err(second) = catch(|| drop(end)) {
                    discard_panic(second);
                }
                Some(End::Panicked(panic))
            }
        }
    }

    /// Drops the future; returns what it panicked with.
    pub(crate) fn clear(self: Pin<&mut Self>) -> Option<Panic> {
        let mut future = self.project().future;
        catch(|| future.set(None)).err()
    }

    /// Takes out what is known of the attempt, which is over: the place is free.
    pub(crate) fn finish(self: Pin<&mut Self>) -> Option<Attempt<J>> {
        let this = self.project();
        let had_grace = this.stop_by.take().is_some();
        Some(Attempt { id: this.attempt.take()?, copy: this.copy.take(), had_grace })
    }

    /// The attempt that is here.
    pub(crate) fn attempt(&self) -> Option<AttemptId> {
        self.attempt
    }

    /// When its grace period is over, if it has begun.
    pub(crate) fn stop_by(&self) -> Option<Instant> {
        self.stop_by
    }

    /// Begins its grace period.
    pub(crate) fn grant_grace(self: Pin<&mut Self>, until: Instant) {
        *self.project().stop_by = Some(until);
    }

    /// Takes out the copy of the job and the handler, to be dropped one by one.
    pub(crate) fn dismantle(self: Pin<&mut Self>) -> (Option<J>, Option<Arc<H>>) {
        let this = self.project();
        (this.copy.take(), this.handler.take())
    }
}
