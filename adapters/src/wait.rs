//! Submitting with backpressure.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use plimsoll_core::{
    Conditions, Instant, PermitId, PermitRefusal, Refusal, Refused, RoomStatus, Route, TaskId, WaitRefusal,
};

use crate::engine::machine::{Machine, Shared};
use crate::handle::Handle;
use crate::options::Options;
use crate::submitter::Submitter;

/// Submits a job as soon as there is room. See [`Submitter::submit_wait`].
///
/// Dropping it at any time drops the job and gives its place in the line, or the room it was granted, to the next one.
/// After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SubmitWait<J, O, E, M: Copy = ()> {
    /// Until the submitter goes on to the handle, and the job to the machine.
    offer: Option<(Submitter<J, O, E, M>, J)>,
    meta: M,
    /// Those of the builder, if none.
    conditions: Option<Conditions>,
    /// Why this cannot be submitted at all.
    refusal: Option<Refusal>,
    place: Option<PermitId>,
}

impl<J, O, E, M: Copy> Submitter<J, O, E, M> {
    /// Submits a job on the default terms as soon as there is room, first come first served. The job is in the future
    /// until then, and is dropped with it.
    ///
    /// The future is ready with an error when the processor ends, when too many wait
    /// ([`Limits::waiters`](crate::Limits::waiters)), or when more outcomes than
    /// [`Limits::unclaimed`](crate::Limits::unclaimed) are not taken: the waiter might be the one that has to take them.
    pub fn submit_wait(&self, job: J) -> SubmitWait<J, O, E, M>
    where
        M: Default,
    {
        SubmitWait::new(self.clone(), job, M::default(), Ok(None))
    }

    /// As [`submit_wait`](Self::submit_wait), on these terms.
    pub fn submit_wait_with(&self, job: J, options: Options<M>) -> SubmitWait<J, O, E, M> {
        let conditions = self.shared.defaults.with(&options);
        SubmitWait::new(self.clone(), job, options.meta, conditions.map(Some))
    }
}

// The job is moved, never pinned.
impl<J, O, E, M: Copy> Unpin for SubmitWait<J, O, E, M> {}

type Answer<J, O, E, M> = Result<Handle<J, O, E, M>, Refused<J>>;

/// What a look at the machine came to, with the job unless that was taken.
enum Attempt<J> {
    Admitted(TaskId),
    Refused(Refusal, J),
    /// In this place of the line.
    Waiting(PermitId, J),
}

impl<J, O, E, M: Copy> SubmitWait<J, O, E, M> {
    pub(crate) const fn new(
        submitter: Submitter<J, O, E, M>,
        job: J,
        meta: M,
        conditions: Result<Option<Conditions>, Refusal>,
    ) -> Self {
        let (conditions, refusal) = match conditions {
            Ok(conditions) => (conditions, None),
            Err(refusal) => (None, Some(refusal)),
        };
        Self { offer: Some((submitter, job)), meta, conditions, refusal, place: None }
    }

    /// Submits if there is room and nobody was first; if not, the job comes back.
    #[inline]
    fn arrive(&self, shared: &Shared<J, O, E, M>, job: J) -> Result<TaskId, (Refusal, J)> {
        let conditions = self.conditions.as_ref().unwrap_or(&shared.conditions);
        let submitted = shared.submit(conditions, |machine, now| {
            machine.try_submit(now, job, self.meta, Route::Handle, conditions)
        });
        submitted.map_err(|refused| (refused.reason, refused.into_value().0))
    }

    /// As [`arrive`](Self::arrive), and joins the line if there is no room. What room would not help is refused at once.
    fn arrive_to_wait(&self, shared: &Shared<J, O, E, M>, job: J, waker: &mut Option<Waker>) -> Attempt<J> {
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
        shared: &Shared<J, O, E, M>,
        job: J,
        place: PermitId,
        waker: &mut Option<Waker>,
    ) -> Attempt<J> {
        let Some(new) = waker.take() else { return Attempt::Waiting(place, job) };
        let conditions = self.conditions.as_ref().unwrap_or(&shared.conditions);
        let now = shared.now();
        shared.act(|machine| match machine.rewait(place, new) {
            RoomStatus::Granted(unused) => {
                *waker = Some(unused);
                let submitted =
                    machine.submit_reserved_on(now, place, job, self.meta, Route::Handle, conditions);
                if submitted.is_err() {
                    // A permit holds no waker.
                    let _ = machine.leave(now, place);
                }
                admit(submitted)
            }
            RoomStatus::Waiting(replaced) => {
                *waker = replaced;
                Attempt::Waiting(place, job)
            }
            RoomStatus::Unclaimed(unused) => {
                *waker = Some(unused);
                Attempt::Refused(Refusal::Unclaimed, job)
            }
            RoomStatus::Gone(unused) => {
                *waker = Some(unused);
                Attempt::Refused(Refusal::Closed, job)
            }
        })
    }
}

/// Joins the line with this waker, which stays where it is when that is refused.
fn join<J, O, E, M: Copy>(
    machine: &mut Machine<J, O, E, M>,
    now: Instant,
    job: J,
    waker: &mut Option<Waker>,
) -> Attempt<J> {
    let Some(new) = waker.take() else { return Attempt::Refused(Refusal::Full, job) };
    match machine.wait_for_room(now, new, NonZeroU32::MIN) {
        Ok(place) => Attempt::Waiting(place, job),
        Err(refused) => {
            let closed = refused.reason == WaitRefusal::Closed;
            *waker = Some(refused.into_value());
            Attempt::Refused(if closed { Refusal::Closed } else { Refusal::Full }, job)
        }
    }
}

fn admit<J, R>(result: Result<TaskId, Refused<(J, R), PermitRefusal>>) -> Attempt<J> {
    match result {
        Ok(task) => Attempt::Admitted(task),
        Err(refused) => {
            let reason = match refused.reason {
                PermitRefusal::Task(reason) => reason,
                // Asked for under the same lock hold, so it was granted.
                _ => Refusal::Full,
            };
            Attempt::Refused(reason, refused.into_value().0)
        }
    }
}

impl<J, O, E, M: Copy> Future for SubmitWait<J, O, E, M> {
    type Output = Answer<J, O, E, M>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.place.is_some() {
            return this.wait(cx.waker());
        }
        let Some((submitter, job)) = this.offer.take() else {
            debug_assert!(false, "polled after it was ready");
            return Poll::Pending;
        };
        if let Some(reason) = this.refusal {
            return Poll::Ready(Err(Refused::new(reason, job)));
        }
        match this.arrive(&submitter.shared, job) {
            Ok(task) => Poll::Ready(Ok(Handle::new(submitter.shared, task))),
            Err((reason, job)) => this.turned_away(reason, job, submitter, cx.waker()),
        }
    }
}

impl<J, O, E, M: Copy> SubmitWait<J, O, E, M> {
    /// Waits if that can help.
    #[cold]
    fn turned_away(
        &mut self,
        reason: Refusal,
        job: J,
        submitter: Submitter<J, O, E, M>,
        waker: &Waker,
    ) -> Poll<Answer<J, O, E, M>> {
        if !matches!(reason, Refusal::Full | Refusal::Backlog) {
            return Poll::Ready(Err(Refused::new(reason, job)));
        }
        self.offer = Some((submitter, job));
        self.wait(waker)
    }

    /// Joins the line, or asks how it stands there.
    #[cold]
    fn wait(&mut self, waker: &Waker) -> Poll<Answer<J, O, E, M>> {
        // Cloned and dropped without the lock, for a waker is foreign code; and not before it is needed. If that panics
        // this future is whole, so that dropping it leaves the line.
        let mut waker = Some(waker.clone());
        let Some((submitter, job)) = self.offer.take() else { return Poll::Pending };
        let shared = &submitter.shared;
        let attempt = match self.place {
            None => self.arrive_to_wait(shared, job, &mut waker),
            Some(place) => self.come_back(shared, job, place, &mut waker),
        };
        shared.discard(waker);
        self.place = None;
        match attempt {
            Attempt::Admitted(task) => Poll::Ready(Ok(Handle::new(submitter.shared, task))),
            Attempt::Refused(reason, value) => Poll::Ready(Err(Refused::new(reason, value))),
            Attempt::Waiting(place, job) => {
                (self.place, self.offer) = (Some(place), Some((submitter, job)));
                Poll::Pending
            }
        }
    }
}

impl<J, O, E, M: Copy> Drop for SubmitWait<J, O, E, M> {
    #[inline]
    fn drop(&mut self) {
        if self.place.is_some() {
            self.leave();
        }
    }
}

impl<J, O, E, M: Copy> SubmitWait<J, O, E, M> {
    /// Leaves the line.
    #[cold]
    fn leave(&mut self) {
        let (Some(place), Some((submitter, _))) = (self.place, &self.offer) else { return };
        let shared = &submitter.shared;
        let now = shared.now();
        let waker = shared.act(|machine| machine.leave(now, place));
        shared.discard(waker);
    }
}

impl<J, O, E, M: Copy> fmt::Debug for SubmitWait<J, O, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubmitWait").field("in_line", &self.place.is_some()).finish_non_exhaustive()
    }
}
