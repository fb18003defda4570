//! Submitting with backpressure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use plimsoll_core::{
    Conditions, Instant, Refusal, Refused, ReservedRefusal, RoomStatus, Route, TaskId, WaitRefusal, WaiterId,
};

use crate::handle::Handle;
use crate::shared::{Machine, Shared};
use crate::signal::Waiter;
use crate::submitter::Submitter;

/// Submits a job as soon as there is room. See [`Submitter::submit_wait`].
///
/// Dropping it at any time drops the job and gives its place in the line, or the room it was granted, to the next one.
/// After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SubmitWait<J, O, E, M: Copy = ()> {
    /// Until it goes on to the handle.
    submitter: Option<Submitter<J, O, E, M>>,
    meta: M,
    /// Those of the builder, if none.
    conditions: Option<Conditions>,
    job: Option<J>,
    place: Option<WaiterId>,
}

// The job is moved, never pinned.
impl<J, O, E, M: Copy> Unpin for SubmitWait<J, O, E, M> {}

type Answer<J, O, E, M> = Result<Handle<J, O, E, M>, Refused<J>>;

/// What one look at the machine came to.
enum Attempt<J> {
    Admitted(TaskId),
    Refused(Refusal, J),
    /// Keeps the job and waits in this place of the line.
    Waiting(WaiterId, J),
    /// Keeps the job, and could not join the line without a waker.
    NoRoom(J),
}

impl<J, O, E, M: Copy> SubmitWait<J, O, E, M> {
    pub(crate) const fn new(
        submitter: Submitter<J, O, E, M>,
        job: J,
        meta: M,
        conditions: Option<Conditions>,
    ) -> Self {
        Self { submitter: Some(submitter), meta, conditions, job: Some(job), place: None }
    }

    /// Submits if there is room and nobody was first, or else joins the line. What room would not help is refused at
    /// once.
    fn arrive(&self, shared: &Shared<J, O, E, M>, job: J, waker: &mut Option<Waiter>) -> Attempt<J> {
        let conditions = self.conditions.as_ref().unwrap_or(&shared.conditions);
        let (mut state, now) = shared.lock_to_submit(conditions);
        let attempt = match state.machine.try_submit(now, job, self.meta, Route::Handle, conditions) {
            Ok(task) => Attempt::Admitted(task),
            Err(Refused { reason: Refusal::Full | Refusal::Backlog, value: (job, _) }) => {
                match waker.take() {
                    Some(new) => join(&mut state.machine, now, job, new, waker),
                    None => Attempt::NoRoom(job),
                }
            }
            Err(Refused { reason, value: (job, _) }) => Attempt::Refused(reason, job),
        };
        shared.unlock_submitted(state, conditions);
        attempt
    }

    /// Asks how it stands in the line, and submits if room was granted.
    fn come_back(
        &self,
        shared: &Shared<J, O, E, M>,
        job: J,
        place: WaiterId,
        waker: &mut Option<Waiter>,
    ) -> Attempt<J> {
        let Some(new) = waker.take() else { return Attempt::NoRoom(job) };
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

/// Joins the line. The waker stays in `unused` when that is refused.
fn join<J, O, E, M: Copy>(
    machine: &mut Machine<J, O, E, M>,
    now: Instant,
    job: J,
    waker: Waiter,
    unused: &mut Option<Waiter>,
) -> Attempt<J> {
    match machine.wait_for_room(now, waker) {
        Ok(place) => Attempt::Waiting(place, job),
        Err(Refused { reason, value }) => {
            *unused = Some(value);
            let closed = reason == WaitRefusal::Closed;
            Attempt::Refused(if closed { Refusal::Closed } else { Refusal::Full }, job)
        }
    }
}

fn admit<J, R>(result: Result<TaskId, Refused<(J, R), ReservedRefusal>>) -> Attempt<J> {
    match result {
        Ok(task) => Attempt::Admitted(task),
        Err(Refused { reason, value: (job, _) }) => {
            let reason = match reason {
                ReservedRefusal::Task(reason) => reason,
                // Asked for under the same lock hold, so it was granted.
                _ => Refusal::Full,
            };
            Attempt::Refused(reason, job)
        }
    }
}

impl<J, O, E, M: Copy> Future for SubmitWait<J, O, E, M> {
    type Output = Answer<J, O, E, M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (Some(job), Some(submitter)) = (this.job.take(), this.submitter.take()) else {
            debug_assert!(false, "polled after it was ready");
            return Poll::Pending;
        };
        let shared = &submitter.shared;
        let attempt = match this.place {
            None => this.arrive(shared, job, &mut None),
            Some(_) => Attempt::NoRoom(job),
        };
        match attempt {
            Attempt::Admitted(task) => Poll::Ready(Ok(Handle::new(submitter.shared, task))),
            Attempt::NoRoom(job) => this.wait(submitter, job, cx.waker()),
            attempt => this.conclude(submitter, attempt),
        }
    }
}

impl<J, O, E, M: Copy> SubmitWait<J, O, E, M> {
    /// Joins the line, or asks how it stands there.
    #[cold]
    fn wait(&mut self, submitter: Submitter<J, O, E, M>, job: J, waker: &Waker) -> Poll<Answer<J, O, E, M>> {
        // Cloned and dropped without the lock, for a waker is foreign code; and not before it is needed. If that panics
        // this future is whole, so that dropping it leaves the line.
        (self.job, self.submitter) = (Some(job), Some(submitter));
        let mut waker = Some(Waiter::Waker(waker.clone()));
        let (Some(job), Some(submitter)) = (self.job.take(), self.submitter.take()) else {
            return Poll::Pending;
        };
        let shared = &submitter.shared;
        let attempt = match self.place {
            None => self.arrive(shared, job, &mut waker),
            Some(place) => self.come_back(shared, job, place, &mut waker),
        };
        shared.discard(waker);
        self.conclude(submitter, attempt)
    }

    fn conclude(
        &mut self,
        submitter: Submitter<J, O, E, M>,
        attempt: Attempt<J>,
    ) -> Poll<Answer<J, O, E, M>> {
        let (place, job) = match attempt {
            Attempt::Admitted(task) => {
                self.place = None;
                return Poll::Ready(Ok(Handle::new(submitter.shared, task)));
            }
            Attempt::Refused(reason, value) => {
                self.place = None;
                return Poll::Ready(Err(Refused { reason, value }));
            }
            Attempt::Waiting(place, job) => (Some(place), job),
            Attempt::NoRoom(job) => {
                debug_assert!(false, "with a waker it can wait");
                (self.place, job)
            }
        };
        self.place = place;
        self.job = Some(job);
        self.submitter = Some(submitter);
        Poll::Pending
    }
}

impl<J, O, E, M: Copy> Drop for SubmitWait<J, O, E, M> {
    fn drop(&mut self) {
        let (Some(place), Some(submitter)) = (self.place, &self.submitter) else { return };
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
