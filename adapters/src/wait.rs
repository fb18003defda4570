//! Submitting with backpressure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll_core::{Offer, Refusal, Refused, Route, TaskId, Terms};

use crate::carried::only_job;
use crate::engine::machine::Shared;
use crate::handle::Handle;
use crate::permit::{Permit, Reserve, refusal_of};
use crate::work::AnyWork;

/// Submits a job as soon as there is room. See [`TaskBuilder::submit_wait`](crate::TaskBuilder::submit_wait).
///
/// Dropping it at any time drops the job and gives its place in the line, or the room it was granted, to the next one.
/// After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SubmitWait<W: AnyWork> {
    /// Until the one goes on to the handle, and the job to the machine.
    offer: Option<(Arc<Shared<W>>, W::Job)>,
    meta: W::Meta,
    /// Those of the builder, if none.
    terms: Option<Terms>,
    /// Why this cannot be submitted at all.
    refusal: Option<Refusal>,
    /// Once there was no room.
    reserve: Option<Reserve<W>>,
}

// The job is moved, never pinned.
impl<W: AnyWork> Unpin for SubmitWait<W> {}

type Answer<W> = Result<Handle<W>, Refused<<W as AnyWork>::Job>>;

impl<W: AnyWork> SubmitWait<W> {
    pub(crate) const fn new(
        shared: Arc<Shared<W>>,
        job: W::Job,
        meta: W::Meta,
        terms: Result<Option<Terms>, Refusal>,
    ) -> Self {
        let (terms, refusal) = match terms {
            Ok(terms) => (terms, None),
            Err(refusal) => (None, Some(refusal)),
        };
        Self { offer: Some((shared, job)), meta, terms, refusal, reserve: None }
    }

    /// Submits if there is room and nobody was first; if not, the job comes back.
    #[inline]
    fn arrive(&self, shared: &Shared<W>, job: W::Job) -> Result<TaskId, (Refusal, W::Job)> {
        let terms = self.terms.as_ref().unwrap_or(&shared.terms);
        let offer = Offer::new(shared.carry(job), self.meta).route(Route::Handle);
        let submitted = shared.submit(terms, |machine, now| machine.try_submit(now, offer, terms));
        submitted.map_err(|refused| (refused.reason, only_job(refused).into_value()))
    }

    /// Waits for room.
    #[cold]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Answer<W>> {
        let Some(reserve) = &mut self.reserve else { return Poll::Pending };
        let Poll::Ready(reserved) = Pin::new(reserve).poll(cx) else { return Poll::Pending };
        self.reserve = None;
        let Some((shared, job)) = self.offer.take() else { return Poll::Pending };
        Poll::Ready(match reserved {
            Ok(permit) => self.submit_with(permit, &shared, job),
            Err(reason) => Err(Refused::new(refusal_of(reason), job)),
        })
    }

    fn submit_with(&self, mut permit: Permit<W>, shared: &Arc<Shared<W>>, job: W::Job) -> Answer<W> {
        let terms = self.terms.as_ref().unwrap_or(&shared.terms);
        match permit.offer(Offer::new(shared.carry(job), self.meta).route(Route::Handle), terms) {
            Ok(task) => Ok(Handle::new(shared.clone(), task)),
            Err(refused) => Err(only_job(refused)),
        }
    }
}

impl<W: AnyWork> Future for SubmitWait<W> {
    type Output = Answer<W>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.reserve.is_some() {
            return this.wait(cx);
        }
        let Some((shared, job)) = this.offer.take() else {
            debug_assert!(false, "polled after it was ready");
            return Poll::Pending;
        };
        if let Some(reason) = this.refusal {
            return Poll::Ready(Err(Refused::new(reason, job)));
        }
        match this.arrive(&shared, job) {
            Ok(task) => Poll::Ready(Ok(Handle::new(shared, task))),
            Err((Refusal::Full | Refusal::Backlog, job)) => {
                this.reserve = Some(Reserve::new(shared.clone(), 1));
                this.offer = Some((shared, job));
                this.wait(cx)
            }
            Err((reason, job)) => Poll::Ready(Err(Refused::new(reason, job))),
        }
    }
}

impl<W: AnyWork> fmt::Debug for SubmitWait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitWait").field("in_line", &self.reserve.is_some()).finish_non_exhaustive()
    }
}
