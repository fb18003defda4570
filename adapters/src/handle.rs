//! The future of one task's outcome.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use plimsoll_core::{CancelError, Cancelled, Claim, Outcome, Settlement, TaskId};

use crate::engine::machine::Shared;
use crate::park;

/// The outcome of one task, to be awaited. It does not keep the processor alive.
///
/// It stands for a slot of the machine, one of [`Limits::unclaimed`](crate::Limits::unclaimed). Awaiting it to its end
/// frees the slot; so does dropping it, and the task goes on. [`cancel_on_drop`](Self::cancel_on_drop) makes one with
/// which it does not.
// Two words, which move in registers. A third one would go through memory with every move, and wait for it.
#[must_use = "dropping a handle gives its outcome up: use `post` for a task whose outcome is of no interest"]
pub struct Handle<J, O, E, M: Copy = ()> {
    /// `None` once the outcome was taken, or it was seen that there will be none.
    shared: Option<Arc<Shared<J, O, E, M>>>,
    task: TaskId,
}

/// A [`Handle`] whose drop cancels the task, unless its outcome was taken. Made by [`Handle::cancel_on_drop`].
///
/// It is awaited like the handle; [`Ended`] says the same. Dropping it is O(1).
#[must_use = "dropping it cancels the task"]
pub struct CancelOnDrop<J, O, E, M: Copy = ()>(Handle<J, O, E, M>);

/// The processor was aborted before the outcome was taken, or the outcome was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the processor was aborted before the outcome was taken")
    }
}

impl std::error::Error for Ended {}

impl<J, O, E, M: Copy> Handle<J, O, E, M> {
    #[inline]
    pub(crate) const fn new(shared: Arc<Shared<J, O, E, M>>, task: TaskId) -> Self {
        Self { shared: Some(shared), task }
    }

    /// Which task.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.task
    }

    /// Cancels the task; its outcome, [`Outcome::Cancelled`], is still to be awaited.
    ///
    /// # Errors
    /// [`CancelError`] when it is settled already, or gone.
    pub fn cancel(&self) -> Result<Cancelled, CancelError> {
        let Some(shared) = &self.shared else { return Err(CancelError::NotFound) };
        let now = shared.now();
        shared.act(|machine| machine.cancel(now, self.task))
    }

    /// A handle in its place that cancels the task when it is dropped.
    pub const fn cancel_on_drop(self) -> CancelOnDrop<J, O, E, M> {
        CancelOnDrop(self)
    }

    /// Gives the outcome up and lets the task go on.
    pub fn detach(self) {}

    /// Waits for the outcome, on a thread that runs no executor. On one that does, others would wait with it; and on the
    /// one that runs the processor it would wait for ever.
    ///
    /// ```
    /// # use plimsoll::{Outcome, Processor, Thread};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, |n: u64| async move { Ok::<_, ()>(n * 2) })?;
    /// assert_eq!(processor.submit(21)?.wait()?, Outcome::Completed(42));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Ended`], as awaiting it has.
    pub fn wait(mut self) -> Result<Outcome<O, E>, Ended> {
        park::block_on(&mut self)
    }

    /// As [`wait`](Self::wait), for so long at most, on the clock of the operating system. The task goes on in any case.
    ///
    /// # Errors
    /// The handle, when the time is over.
    pub fn wait_timeout(mut self, limit: Duration) -> Result<Result<Outcome<O, E>, Ended>, Self> {
        park::block_on_for(&mut self, limit).ok_or(self)
    }

    /// Leaves a waker where the outcome will be, if it is not there yet.
    #[cold]
    fn claim(&mut self, waker: &Waker) -> Poll<Result<Outcome<O, E>, Ended>> {
        let Some(shared) = &self.shared else { return Poll::Ready(Err(Ended)) };
        let task = self.task;
        // A waker's clone and drop are foreign code, so they happen before and after the lock is held.
        let waker = waker.clone();
        // Taking an outcome depends on no deadline: the time that the machine was told last will do.
        match shared.act(|machine| machine.claim(machine.now(), task, waker)) {
            Claim::Ready(Settlement { outcome, job, .. }, waker) => {
                shared.discard(waker);
                shared.discard(job);
                self.shared = None;
                Poll::Ready(Ok(outcome))
            }
            Claim::Pending(replaced) => {
                shared.discard(replaced);
                Poll::Pending
            }
            _ => {
                self.shared = None;
                Poll::Ready(Err(Ended))
            }
        }
    }
}

/// Nobody wants the outcome any more, nor, if `cancel`, the task.
#[cold]
fn give_up<J, O, E, M: Copy>(shared: &Shared<J, O, E, M>, task: TaskId, cancel: bool) {
    let now = shared.now();
    let released = shared.act(|machine| {
        if cancel {
            // Settled already: then there is nothing to cancel.
            let _ = machine.cancel(now, task);
        }
        machine.release(now, task)
    });
    shared.discard(released.waiter);
    if let Some(settlement) = released.settlement {
        shared.discard(settlement.outcome);
        shared.discard(settlement.job);
    }
}

impl<J, O, E, M: Copy> CancelOnDrop<J, O, E, M> {
    /// Which task.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.0.id()
    }

    /// Cancels the task now: see [`Handle::cancel`].
    ///
    /// # Errors
    /// [`CancelError`] when it is settled already, or gone.
    pub fn cancel(&self) -> Result<Cancelled, CancelError> {
        self.0.cancel()
    }

    /// Gives the outcome up and lets the task go on after all.
    pub fn detach(mut self) {
        let Handle { shared, task } = &mut self.0;
        drop(Handle { shared: shared.take(), task: *task });
    }
}

impl<J, O, E, M: Copy> fmt::Debug for Handle<J, O, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("task", &self.task).finish_non_exhaustive()
    }
}

impl<J, O, E, M: Copy> fmt::Debug for CancelOnDrop<J, O, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelOnDrop").field(&self.0).finish()
    }
}

impl<J, O, E, M: Copy> Future for Handle<J, O, E, M> {
    type Output = Result<Outcome<O, E>, Ended>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task;
        let Some(shared) = &self.shared else { return Poll::Ready(Err(Ended)) };
        let claimed = shared.take(|machine| match machine.try_claim(task) {
            // Taken apart at once: the whole is large, and most of it is not needed.
            Some(Settlement { outcome, job, .. }) => Ok((outcome, job)),
            None => Err(machine.waiter(task).is_some_and(|left| left.will_wake(cx.waker()))),
        });
        match claimed {
            Ok((outcome, job)) => {
                shared.discard(job);
                self.shared = None;
                Poll::Ready(Ok(outcome))
            }
            // A handle that is polled again with the same waker returns here, after one short hold of the lock.
            Err(true) => Poll::Pending,
            Err(false) => self.claim(cx.waker()),
        }
    }
}

impl<J, O, E, M: Copy> Future for CancelOnDrop<J, O, E, M> {
    type Output = Result<Outcome<O, E>, Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<J, O, E, M: Copy> Drop for Handle<J, O, E, M> {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            give_up(&shared, self.task, false);
        }
    }
}

impl<J, O, E, M: Copy> Drop for CancelOnDrop<J, O, E, M> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.shared.take() {
            give_up(&shared, self.0.task, true);
        }
    }
}
