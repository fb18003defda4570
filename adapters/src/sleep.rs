//! Sleeping in a handler, on the processor's own timers.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use plimsoll_core::{AttemptId, SleepId, SleepRefusal, SleepStatus};

use crate::Instant;
use crate::shared::Shared;
use crate::signal::{PlaceSignal, Waiter};

/// A processor as its sleepers see it. They do not keep it alive.
pub(crate) trait Timekeeper: Send + Sync {
    /// The time on its clock.
    fn now(&self) -> Instant;
    fn sleep(&self, attempt: AttemptId, until: Instant, waiter: Waiter) -> Result<SleepId, SleepRefusal>;
    /// `None` as long as it goes on; then the waiter was left there.
    fn resleep(&self, id: SleepId, waiter: Waiter) -> Option<Result<(), SleepRefusal>>;
    fn end_sleep(&self, id: SleepId);
}

impl<J, O, E, M> Timekeeper for Shared<J, O, E, M>
where
    J: Send,
    O: Send,
    E: Send,
    M: Copy + Send,
{
    fn now(&self) -> Instant {
        Self::now(self)
    }

    fn sleep(&self, attempt: AttemptId, until: Instant, waiter: Waiter) -> Result<SleepId, SleepRefusal> {
        let begun = self.act(|machine| machine.sleep(machine.now(), attempt, until, waiter));
        begun.map_err(|refused| refused.reason)
    }

    fn resleep(&self, id: SleepId, waiter: Waiter) -> Option<Result<(), SleepRefusal>> {
        match self.act(|machine| machine.resleep(machine.now(), id, waiter)) {
            SleepStatus::Sleeping(old) => {
                self.discard(old);
                None
            }
            SleepStatus::Over(new, old) => {
                // One by one, for two panics at a time would abort the process.
                self.discard(new);
                self.discard(old);
                Some(Ok(()))
            }
            SleepStatus::Gone(new) => {
                self.discard(new);
                Some(Err(SleepRefusal::Over))
            }
        }
    }

    fn end_sleep(&self, id: SleepId) {
        let waiter = self.act(|machine| machine.end_sleep(id));
        self.discard(waiter);
    }
}

/// A wait of one attempt. See [`Context::sleep`](crate::Context::sleep).
///
/// Dropping it gives its place back at once. After it was ready it must not be polled again.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Sleep {
    signal: PlaceSignal,
    attempt: AttemptId,
    until: Instant,
    id: Option<SleepId>,
}

impl Sleep {
    pub(crate) const fn new(signal: PlaceSignal, attempt: AttemptId, until: Instant) -> Self {
        Self { signal, attempt, until, id: None }
    }

    /// When it is over, on the clock of the runtime.
    #[must_use]
    pub const fn until(&self) -> Instant {
        self.until
    }
}

impl Future for Sleep {
    type Output = Result<(), SleepRefusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let waiter = this.signal.waiter(cx.waker());
        let Some(id) = this.id else {
            let begun =
                this.signal.with_timekeeper(|timekeeper| timekeeper.sleep(this.attempt, this.until, waiter));
            return match begun.unwrap_or(Err(SleepRefusal::Over)) {
                Ok(id) => {
                    this.id = Some(id);
                    Poll::Pending
                }
                Err(refusal) => Poll::Ready(Err(refusal)),
            };
        };
        let ended = this.signal.with_timekeeper(|timekeeper| timekeeper.resleep(id, waiter));
        match ended.unwrap_or(Some(Err(SleepRefusal::Over))) {
            None => Poll::Pending,
            Some(result) => {
                this.id = None;
                Poll::Ready(result)
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.signal.with_timekeeper(|timekeeper| timekeeper.end_sleep(id));
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("until", &self.until)
            .field("began", &self.id.is_some())
            .finish_non_exhaustive()
    }
}
