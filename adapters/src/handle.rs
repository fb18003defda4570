//! The future of one task's result.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use plimsoll_core::{CancelError, CancelReason, Cancelled, Claim, Settlement, TaskId};

use crate::engine::machine::Shared;
use crate::park;
use crate::task_error::{TaskError, TaskResult, result_of};
use crate::work::AnyWork;

/// The result of one task, to be awaited: its output, or the [`TaskError`] that says how it ended. It does not keep the processor alive.
///
/// It stands for a slot of the machine, one of [`Limits::unclaimed`](crate::Limits::unclaimed). Awaiting it to its end
/// frees the slot; so does dropping it, and the task goes on. [`cancel_on_drop`](Self::cancel_on_drop) makes one with
/// which it does not.
// Two words, which move in registers. A third one would go through memory with every move, and wait for it.
#[must_use = "dropping a handle gives its result up: use `post` for a task whose result is of no interest"]
pub struct Handle<W: AnyWork> {
    /// `None` once the result was taken, or it was seen that there will be none.
    shared: Option<Arc<Shared<W>>>,
    task: TaskId,
}

/// A [`Handle`] whose drop cancels the task, unless its result was taken. Made by [`Handle::cancel_on_drop`].
///
/// It is awaited like the handle. Dropping it is O(1).
#[must_use = "dropping it cancels the task"]
pub struct CancelOnDrop<W: AnyWork>(Handle<W>);

impl<W: AnyWork> Handle<W> {
    #[inline]
    pub(crate) const fn new(shared: Arc<Shared<W>>, task: TaskId) -> Self {
        Self { shared: Some(shared), task }
    }

    /// Which task.
    #[must_use]
    pub const fn id(&self) -> TaskId {
        self.task
    }

    /// Cancels the task; its result, [`TaskError::Cancelled`], is still to be awaited.
    ///
    /// ```
    /// # use plimsoll::{Processor, TaskError, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// let handle = processor.submit(1)?;
    /// handle.cancel()?;
    /// assert_eq!(handle.wait(), Err(TaskError::Cancelled(None)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CancelError`] when it is settled already, or gone.
    pub fn cancel(&self) -> Result<Cancelled, CancelError> {
        self.cancel_with(None)
    }

    /// As [`cancel`](Self::cancel), for a reason: see [`Access::cancel_because`](crate::Access::cancel_because).
    ///
    /// # Errors
    /// As there.
    pub fn cancel_because(&self, reason: CancelReason) -> Result<Cancelled, CancelError> {
        self.cancel_with(Some(reason))
    }

    fn cancel_with(&self, reason: Option<CancelReason>) -> Result<Cancelled, CancelError> {
        let Some(shared) = &self.shared else { return Err(CancelError::NotFound) };
        shared.cancel(self.task, reason, |_, _| ()).0
    }

    /// A handle in its place that cancels the task when it is dropped.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// let handle = processor.submit(1)?.cancel_on_drop();
    /// drop(handle); // the client is gone
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.totals().settled.cancelled, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn cancel_on_drop(self) -> CancelOnDrop<W> {
        CancelOnDrop(self)
    }

    /// Gives the result up and lets the task go on.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// processor.submit(21)?.detach(); // as dropping it does, in a word
    /// futures::executor::block_on(processor.idle());
    /// assert_eq!(processor.totals().settled.completed, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn detach(self) {}

    /// Waits for the result, on a thread that runs no executor. On one that does, others would wait with it; and on the
    /// one that runs the processor it would wait for ever.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// assert_eq!(processor.submit(21)?.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`TaskError`], as awaiting it has.
    pub fn wait(mut self) -> TaskResult<W> {
        park::block_on(&mut self)
    }

    /// As [`wait`](Self::wait), for so long at most, on the clock of the operating system. The task goes on in any case.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u8| std::future::pending::<()>()))?;
    /// let Err(handle) = processor.submit(1)?.wait_timeout(Duration::from_millis(5)) else { return Err("it never ends".into()) };
    /// handle.cancel()?; // or wait again
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The handle, when the time is over.
    pub fn wait_timeout(mut self, limit: Duration) -> Result<TaskResult<W>, Self> {
        park::block_on_for(&mut self, limit).ok_or(self)
    }

    /// As polling it, with all that leaves with the task; `None` where that ends with [`TaskError::Ended`].
    pub(crate) fn poll_settlement(&mut self, cx: &mut Context<'_>) -> Poll<Option<crate::Settlement<W>>> {
        let Some(shared) = &self.shared else { return Poll::Ready(None) };
        let task = self.task;
        // Cloned and dropped without the lock, for a waker is foreign code.
        let waker = cx.waker().clone();
        let (answer, unused) = match shared.act(|machine| machine.claim(machine.now(), task, waker)) {
            Claim::Ready(settlement, waker) => {
                (Poll::Ready(Some(shared.settlement_of(settlement))), Some(waker))
            }
            Claim::Pending(replaced) => (Poll::Pending, replaced),
            Claim::Gone(waker) => (Poll::Ready(None), Some(waker)),
        };
        shared.discard(unused);
        if answer.is_ready() {
            self.shared = None;
        }
        answer
    }

    /// Leaves a waker where the outcome will be, if it is not there yet.
    #[cold]
    fn claim(&mut self, waker: &Waker) -> Poll<TaskResult<W>> {
        let Some(shared) = &self.shared else { return Poll::Ready(Err(TaskError::Ended)) };
        let task = self.task;
        // A waker's clone and drop are foreign code, so they happen before and after the lock is held.
        let waker = waker.clone();
        // Taking an outcome depends on no deadline: the time that the machine was told last will do.
        match shared.act(|machine| machine.claim(machine.now(), task, waker)) {
            Claim::Ready(Settlement { outcome, job, .. }, waker) => {
                shared.discard(waker);
                shared.discard_carried(job);
                self.shared = None;
                Poll::Ready(result_of(outcome))
            }
            Claim::Pending(replaced) => {
                shared.discard(replaced);
                Poll::Pending
            }
            _ => {
                self.shared = None;
                Poll::Ready(Err(TaskError::Ended))
            }
        }
    }
}

/// Nobody wants the outcome any more, nor, if `cancel`, the task.
#[cold]
fn give_up<W: AnyWork>(shared: &Shared<W>, task: TaskId, cancel: bool) {
    let released = if cancel {
        // In one hold, so that nobody is woken for an outcome that is not wanted. Where it is settled already there is nothing to
        // cancel.
        shared.cancel(task, None, |machine, now| machine.release(now, task)).1
    } else {
        let now = shared.now();
        shared.act(|machine| machine.release(now, task))
    };
    shared.discard(released.waiter);
    if let Some(settlement) = released.settlement {
        shared.discard_settlement(shared.settlement_of(settlement));
    }
}

impl<W: AnyWork> CancelOnDrop<W> {
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

    /// As [`cancel`](Self::cancel), for a reason: see [`Access::cancel_because`](crate::Access::cancel_because).
    ///
    /// # Errors
    /// As there.
    pub fn cancel_because(&self, reason: CancelReason) -> Result<Cancelled, CancelError> {
        self.0.cancel_because(reason)
    }

    /// Gives the result up and lets the task go on after all.
    pub fn detach(mut self) {
        let Handle { shared, task } = &mut self.0;
        drop(Handle { shared: shared.take(), task: *task });
    }
}

impl<W: AnyWork> fmt::Debug for Handle<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("task", &self.task).finish_non_exhaustive()
    }
}

impl<W: AnyWork> fmt::Debug for CancelOnDrop<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelOnDrop").field(&self.0).finish()
    }
}

impl<W: AnyWork> Future for Handle<W> {
    type Output = TaskResult<W>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task;
        let Some(shared) = &self.shared else { return Poll::Ready(Err(TaskError::Ended)) };
        let claimed = shared.take(|machine| match machine.try_claim(task) {
            // Taken apart at once: the whole is large, and most of it is not needed.
            Some(Settlement { outcome, job, .. }) => Ok((result_of(outcome), job)),
            None => Err(machine.waiter(task).is_some_and(|left| left.will_wake(cx.waker()))),
        });
        match claimed {
            Ok((result, job)) => {
                shared.discard_carried(job);
                self.shared = None;
                Poll::Ready(result)
            }
            // A handle that is polled again with the same waker returns here, after one short hold of the lock.
            Err(true) => Poll::Pending,
            Err(false) => self.claim(cx.waker()),
        }
    }
}

impl<W: AnyWork> Future for CancelOnDrop<W> {
    type Output = TaskResult<W>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<W: AnyWork> Drop for Handle<W> {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            give_up(&shared, self.task, false);
        }
    }
}

impl<W: AnyWork> Drop for CancelOnDrop<W> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.shared.take() {
            give_up(&shared, self.0.task, true);
        }
    }
}
