//! Submitting with backpressure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use plimsoll_core::{
    Conditions, Instant, Refusal, Refused, ReservedRefusal, RoomStatus, Route, TaskId, WaitRefusal, WaiterId,
};

use crate::engine::machine::{Machine, Shared};
use crate::handle::Handle;
use crate::work::Work;

/// Submits a job as soon as there is room. See [`TaskBuilder::submit_wait`](crate::TaskBuilder::submit_wait).
///
/// Dropping it at any time drops the job and gives its place in the line, or the room it was granted, to the next one.
/// After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SubmitWait<W: Work> {
    /// Until the one goes on to the handle, and the job to the machine.
    offer: Option<(Arc<Shared<W>>, W::Job)>,
    meta: W::Meta,
    /// Those of the builder, if none.
    conditions: Option<Conditions>,
    /// Why this cannot be submitted at all.
    refusal: Option<Refusal>,
    place: Option<WaiterId>,
}

// The job is moved, never pinned.
impl<W: Work> Unpin for SubmitWait<W> {}

type Answer<W> = Result<Handle<W>, Refused<<W as Work>::Job>>;

/// What a look at the machine came to, with the job unless that was taken.
enum Attempt<J> {
    Admitted(TaskId),
    Refused(Refusal, J),
    /// In this place of the line.
    Waiting(WaiterId, J),
}

impl<W: Work> SubmitWait<W> {
    pub(crate) const fn new(
        shared: Arc<Shared<W>>,
        job: W::Job,
        meta: W::Meta,
        conditions: Result<Option<Conditions>, Refusal>,
    ) -> Self {
        let (conditions, refusal) = match conditions {
            Ok(conditions) => (conditions, None),
            Err(refusal) => (None, Some(refusal)),
        };
        Self { offer: Some((shared, job)), meta, conditions, refusal, place: None }
    }

    /// Submits if there is room and nobody was first; if not, the job comes back.
    #[inline]
    fn arrive(&self, shared: &Shared<W>, job: W::Job) -> Result<TaskId, (Refusal, W::Job)> {
        let conditions = self.conditions.as_ref().unwrap_or(&shared.conditions);
        let submitted = shared.submit(conditions, |machine, now| {
            machine.try_submit(now, job, self.meta, Route::Handle, conditions)
        });
        submitted.map_err(|refused| (refused.reason, refused.into_value().0))
    }

    /// As [`arrive`](Self::arrive), and joins the line if there is no room. What room would not help is refused at once.
    fn arrive_to_wait(&self, shared: &Shared<W>, job: W::Job, waker: &mut Option<Waker>) -> Attempt<W::Job> {
        let conditions = self.conditions.as_ref().unwrap_or(&shared.conditions);
        shared.submit(conditions, |machine, now| {
            match machine.try_submit(now, job, self.meta, Route::Handle, conditions) {
                Ok(task) => Attempt::Admitted(task),
                Err(refused) => match refused.into_parts() {
                    (Refusal::Full | Refusal::Backlog, (job, _)) => join(machine, now, job, waker),
                    (reason, (job, _)) => Attempt::Refused(reason, job),
                },
            }
        })
    }

    /// Asks how it stands in the line, and submits if room was granted.
    fn come_back(
        &self,
        shared: &Shared<W>,
        job: W::Job,
        place: WaiterId,
        waker: &mut Option<Waker>,
    ) -> Attempt<W::Job> {
        let Some(new) = waker.take() else { return Attempt::Waiting(place, job) };
        let conditions = self.conditions.as_ref().unwrap_or(&shared.conditions);
        let now = shared.now();
        shared.act(|machine| match machine.rewait(place, new) {
            RoomStatus::Granted(unused) => {
                *waker = Some(unused);
                admit(machine.submit_reserved_on(now, place, job, self.meta, Route::Handle, conditions))
            }
            RoomStatus::Waiting(replaced) => {
                *waker = replaced;
                Attempt::Waiting(place, job)
            }
            RoomStatus::Gone(unused) => {
                *waker = Some(unused);
                Attempt::Refused(Refusal::Closed, job)
            }
        })
    }
}

/// Joins the line with this waker, which stays where it is when that is refused.
fn join<W: Work>(
    machine: &mut Machine<W>,
    now: Instant,
    job: W::Job,
    waker: &mut Option<Waker>,
) -> Attempt<W::Job> {
    let Some(new) = waker.take() else { return Attempt::Refused(Refusal::Full, job) };
    match machine.wait_for_room(now, new) {
        Ok(place) => Attempt::Waiting(place, job),
        Err(refused) => {
            let closed = refused.reason == WaitRefusal::Closed;
            *waker = Some(refused.into_value());
            Attempt::Refused(if closed { Refusal::Closed } else { Refusal::Full }, job)
        }
    }
}

fn admit<J, R>(result: Result<TaskId, Refused<(J, R), ReservedRefusal>>) -> Attempt<J> {
    match result {
        Ok(task) => Attempt::Admitted(task),
        Err(refused) => {
            let reason = match refused.reason {
                ReservedRefusal::Task(reason) => reason,
                // Asked for under the same lock hold, so it was granted.
                _ => Refusal::Full,
            };
            Attempt::Refused(reason, refused.into_value().0)
        }
    }
}

impl<W: Work> Future for SubmitWait<W> {
    type Output = Answer<W>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.place.is_some() {
            return this.wait(cx.waker());
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
            Err((reason, job)) => this.turned_away(reason, job, shared, cx.waker()),
        }
    }
}

impl<W: Work> SubmitWait<W> {
    /// Waits if that can help.
    #[cold]
    fn turned_away(
        &mut self,
        reason: Refusal,
        job: W::Job,
        shared: Arc<Shared<W>>,
        waker: &Waker,
    ) -> Poll<Answer<W>> {
        if !matches!(reason, Refusal::Full | Refusal::Backlog) {
            return Poll::Ready(Err(Refused::new(reason, job)));
        }
        self.offer = Some((shared, job));
        self.wait(waker)
    }

    /// Joins the line, or asks how it stands there.
    #[cold]
    fn wait(&mut self, waker: &Waker) -> Poll<Answer<W>> {
        // Cloned and dropped without the lock, for a waker is foreign code; and not before it is needed. If that panics
        // this future is whole, so that dropping it leaves the line.
        let mut waker = Some(waker.clone());
        let Some((shared, job)) = self.offer.take() else { return Poll::Pending };
        let attempt = match self.place {
            None => self.arrive_to_wait(&shared, job, &mut waker),
            Some(place) => self.come_back(&shared, job, place, &mut waker),
        };
        shared.discard(waker);
        self.place = None;
        match attempt {
            Attempt::Admitted(task) => Poll::Ready(Ok(Handle::new(shared, task))),
            Attempt::Refused(reason, value) => Poll::Ready(Err(Refused::new(reason, value))),
            Attempt::Waiting(place, job) => {
                (self.place, self.offer) = (Some(place), Some((shared, job)));
                Poll::Pending
            }
        }
    }
}

impl<W: Work> Drop for SubmitWait<W> {
    #[inline]
    fn drop(&mut self) {
        if self.place.is_some() {
            self.leave();
        }
    }
}

impl<W: Work> SubmitWait<W> {
    /// Leaves the line.
    #[cold]
    fn leave(&mut self) {
        let (Some(place), Some((shared, _))) = (self.place, &self.offer) else { return };
        let now = shared.now();
        let waker = shared.act(|machine| machine.leave(now, place));
        shared.discard(waker);
    }
}

impl<W: Work> fmt::Debug for SubmitWait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitWait").field("in_line", &self.place.is_some()).finish_non_exhaustive()
    }
}
