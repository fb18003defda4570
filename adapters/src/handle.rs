//! The future of one task's outcome.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use plimsoll_core::{CancelError, Cancelled, Claim, Outcome, Settlement, TaskId};

use crate::shared::Shared;
use crate::signal::Waiter;

/// The outcome of one task, to be awaited. It does not keep the processor alive.
///
/// It stands for a slot of the machine, one of [`Limits::unclaimed`](crate::Limits::unclaimed). Awaiting it to its end
/// frees the slot; so does dropping it, and the task goes on unless [`cancel_on_drop`](Self::cancel_on_drop) was
/// chosen.
#[must_use = "dropping a handle gives its outcome up: use `post` for a task whose outcome is of no interest"]
pub struct Handle<J, O, E, M: Copy = ()> {
    shared: Arc<Shared<J, O, E, M>>,
    task: TaskId,
    on_drop: OnDrop,
}

/// What dropping a handle does. As wide as the other fields: padding would be copied in pieces with every move.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum OnDrop {
    /// The outcome is given up.
    Release,
    /// So it is, and the task is cancelled.
    Cancel,
    /// Nothing: the outcome was taken.
    Nothing,
}

/// The processor ended before the outcome was taken, or the outcome was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the processor has ended before the outcome was taken")
    }
}

impl std::error::Error for Ended {}

impl<J, O, E, M: Copy> Handle<J, O, E, M> {
    pub(crate) const fn new(shared: Arc<Shared<J, O, E, M>>, task: TaskId) -> Self {
        Self { shared, task, on_drop: OnDrop::Release }
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
        let now = self.shared.now();
        self.shared.act(|machine| machine.cancel(now, self.task))
    }

    /// Makes dropping the handle cancel the task.
    pub const fn cancel_on_drop(mut self) -> Self {
        if matches!(self.on_drop, OnDrop::Release) {
            self.on_drop = OnDrop::Cancel;
        }
        self
    }

    /// Gives the outcome up and lets the task go on, whatever was chosen before.
    pub fn detach(mut self) {
        if self.on_drop == OnDrop::Cancel {
            self.on_drop = OnDrop::Release;
        }
    }
}

impl<J, O, E, M: Copy> fmt::Debug for Handle<J, O, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("task", &self.task)
            .field("cancel_on_drop", &(self.on_drop == OnDrop::Cancel))
            .finish_non_exhaustive()
    }
}

impl<J, O, E, M: Copy> Future for Handle<J, O, E, M> {
    type Output = Result<Outcome<O, E>, Ended>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.on_drop == OnDrop::Nothing {
            return Poll::Ready(Err(Ended));
        }
        let task = self.task;
        let mut state = self.shared.lock();
        // Taken apart at once: the whole is large, and most of it is not needed.
        if let Some(Settlement { outcome, job, .. }) = state.machine.try_claim(task) {
            let driver = state.has_duty();
            drop(state);
            if driver {
                self.shared.driver.notify();
            }
            self.on_drop = OnDrop::Nothing;
            self.shared.discard(job);
            return Poll::Ready(Ok(outcome));
        }
        // Whoever looks again and again is not to hold the others up for longer than it takes to look.
        let is_awaited = state.machine.waiter(task).is_some_and(|left| left.will_wake(cx.waker()));
        drop(state);
        if is_awaited {
            return Poll::Pending;
        }
        // A waker's clone and drop are foreign code, so they happen before and after the lock is held.
        let waker = Waiter::Waker(cx.waker().clone());
        // Taking an outcome depends on no deadline: the time that the machine was told last will do.
        match self.shared.act(|machine| machine.claim(machine.now(), task, waker)) {
            Claim::Ready(Settlement { outcome, job, .. }, waker) => {
                self.on_drop = OnDrop::Nothing;
                self.shared.discard(waker);
                self.shared.discard(job);
                Poll::Ready(Ok(outcome))
            }
            Claim::Pending(replaced) => {
                self.shared.discard(replaced);
                Poll::Pending
            }
            _ => {
                self.on_drop = OnDrop::Nothing;
                Poll::Ready(Err(Ended))
            }
        }
    }
}

impl<J, O, E, M: Copy> Drop for Handle<J, O, E, M> {
    fn drop(&mut self) {
        if self.on_drop == OnDrop::Nothing {
            return;
        }
        let (task, cancel, now) = (self.task, self.on_drop == OnDrop::Cancel, self.shared.now());
        let released = self.shared.act(|machine| {
            if cancel {
                // Settled already: then there is nothing to cancel.
                let _ = machine.cancel(now, task);
            }
            machine.release(now, task)
        });
        self.shared.discard(released.waiter);
        if let Some(settlement) = released.settlement {
            self.shared.discard(settlement.outcome);
            self.shared.discard(settlement.job);
        }
    }
}
