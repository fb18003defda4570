//! Submitting with backpressure.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use plimsoll_core::{
    Refusal, Refused, ReservedRefusal, RoomStatus, Route, TaskId, Terms, WaitRefusal, WaiterId,
};

use crate::handle::Handle;
use crate::options::Options;
use crate::shared::{Machine, Types};
use crate::submitter::Submitter;

/// Submits a job as soon as there is room. See [`Submitter::submit_wait`].
///
/// Dropping it at any time drops the job and gives its place in the line, or the room it was granted, to the next one.
/// After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct SubmitWait<J, O, E, M: Copy = ()> {
    submitter: Submitter<J, O, E, M>,
    options: Options<M>,
    job: Option<J>,
    place: Option<WaiterId>,
}

// The job is moved, never pinned.
impl<J, O, E, M: Copy> Unpin for SubmitWait<J, O, E, M> {}

/// What one look at the machine came to.
enum Attempt<J> {
    Admitted(TaskId),
    Refused(Refusal, J),
    /// Keeps the job and waits in this place of the line.
    Waiting(WaiterId, J),
}

impl<J, O, E, M: Copy> SubmitWait<J, O, E, M> {
    pub(crate) const fn new(submitter: Submitter<J, O, E, M>, job: J, options: Options<M>) -> Self {
        Self { submitter, options, job: Some(job), place: None }
    }

    fn attempt(&self, job: J, waker: Waker) -> (Attempt<J>, Option<Waker>) {
        let shared = &self.submitter.shared;
        let terms = shared.defaults.terms(self.options, Route::Handle);
        let now = shared.now();
        shared.act(|machine| match self.place {
            None => arrive(machine, now, job, terms, waker),
            Some(place) => match machine.rewait(place, waker) {
                RoomStatus::Granted(waker) => {
                    (admit(machine.submit_reserved(now, place, job, terms)), Some(waker))
                }
                RoomStatus::Waiting(replaced) => (Attempt::Waiting(place, job), replaced),
                RoomStatus::Gone(waker) => (Attempt::Refused(Refusal::Closed, job), Some(waker)),
            },
        })
    }
}

/// Submits if there is room and nobody was first, or else joins the line.
fn arrive<J, O, E, M: Copy>(
    machine: &mut Machine<J, O, E, M>,
    now: plimsoll_core::Instant,
    job: J,
    terms: Terms<Types<J, O, E, M>>,
    waker: Waker,
) -> (Attempt<J>, Option<Waker>) {
    // What room would not help is refused at once.
    let hopeless = machine.terms_refusal(&terms).is_some();
    if machine.free_room() > 0 || hopeless {
        return match machine.submit(now, job, terms) {
            Ok(task) => (Attempt::Admitted(task), Some(waker)),
            Err(Refused { reason, value: (job, _) }) => (Attempt::Refused(reason, job), Some(waker)),
        };
    }
    match machine.wait_for_room(now, waker) {
        Ok(place) => (Attempt::Waiting(place, job), None),
        Err(Refused { reason: WaitRefusal::Closed, value }) => {
            (Attempt::Refused(Refusal::Closed, job), Some(value))
        }
        Err(Refused { value, .. }) => (Attempt::Refused(Refusal::Full, job), Some(value)),
    }
}

fn admit<J, O, E, M: Copy>(
    result: Result<TaskId, Refused<(J, Terms<Types<J, O, E, M>>), ReservedRefusal>>,
) -> Attempt<J> {
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
    type Output = Result<Handle<J, O, E, M>, Refused<J>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(job) = self.job.take() else {
            debug_assert!(false, "polled after it was ready");
            return Poll::Pending;
        };
        // Cloned and dropped without the lock: a waker is foreign code.
        let (attempt, waker) = self.attempt(job, cx.waker().clone());
        drop(waker);
        match attempt {
            Attempt::Admitted(task) => {
                self.place = None;
                Poll::Ready(Ok(Handle::new(self.submitter.shared.clone(), task)))
            }
            Attempt::Refused(reason, job) => {
                self.place = None;
                Poll::Ready(Err(Refused { reason, value: job }))
            }
            Attempt::Waiting(place, job) => {
                self.place = Some(place);
                self.job = Some(job);
                Poll::Pending
            }
        }
    }
}

impl<J, O, E, M: Copy> Drop for SubmitWait<J, O, E, M> {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let shared = &self.submitter.shared;
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
