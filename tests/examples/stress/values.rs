//! The values that a processor is given: each is counted, and some panic where user code may.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use plimsoll::Context;

use crate::names::Action;
use crate::record::{Record, flag};
use crate::script::Script;
use crate::tokens::Token;

/// What every planned panic carries, so that the others are recognised. Dropping it may panic again.
pub struct Planned(#[expect(dead_code, reason = "dropped")] Fuse);

/// Panics without a message.
pub fn planned_panic(payload_panics: bool) -> ! {
    resume_unwind(Box::new(Planned(Fuse(payload_panics))))
}

/// Runs what may panic as planned; any other panic goes on.
pub fn quietly<R>(run: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => Some(result),
        Err(panic) => {
            swallow(panic);
            None
        }
    }
}

fn swallow(panic: Box<dyn Any + Send>) {
    if !panic.is::<Planned>() {
        resume_unwind(panic);
    }
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
}

/// Panics when it is dropped, if it is armed and its thread is not panicking already.
pub struct Fuse(pub bool);

impl Drop for Fuse {
    fn drop(&mut self) {
        if self.0 && !std::thread::panicking() {
            Action::PanicInDrop.count();
            planned_panic(false);
        }
    }
}

/// A job: what its handler is to do.
pub struct Job {
    pub record: Arc<Record>,
    pub script: Arc<Script>,
    pub token: Token,
    pub fuse: Fuse,
}

impl Clone for Job {
    fn clone(&self) -> Self {
        if self.script.clone_panics {
            self.record.set(flag::PANICKED);
            Action::PanicInClone.count();
            planned_panic(false);
        }
        let (record, script) = (self.record.clone(), self.script.clone());
        Self { record, script, token: self.token.clone(), fuse: Fuse(self.fuse.0) }
    }
}

/// What a handler returns.
pub struct Output {
    pub number: u64,
    #[expect(dead_code, reason = "counted")]
    pub token: Token,
    #[expect(dead_code, reason = "dropped")]
    pub fuse: Fuse,
}

/// How a handler fails.
pub struct Failure {
    pub number: u64,
    #[expect(dead_code, reason = "counted")]
    pub token: Token,
    #[expect(dead_code, reason = "dropped")]
    pub fuse: Fuse,
    pub debug_panics: bool,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.debug_panics {
            Action::PanicInDebug.count();
            planned_panic(false);
        }
        write!(f, "the failure of job {}", self.number)
    }
}

/// What the processors do. The metadata of a task is the number of its job.
pub type Service = fn(Job, Context<u64>) -> Result<Output, Failure>;

/// A value of the cache.
pub struct CacheValue(#[expect(dead_code, reason = "counted")] pub Token);

/// A future that is dropped as soon as it is done or has panicked as planned, and whose drop lets no planned panic out.
pub struct Quiet<F>(Option<Pin<Box<F>>>);

impl<F> Quiet<F> {
    pub fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future<Output = ()>> Future for Quiet<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.0 else { return Poll::Ready(()) };
        if let Some(Poll::Pending) = quietly(|| future.as_mut().poll(cx)) {
            return Poll::Pending;
        }
        quietly(|| drop(self.0.take()));
        Poll::Ready(())
    }
}

impl<F> Drop for Quiet<F> {
    fn drop(&mut self) {
        quietly(|| drop(self.0.take()));
    }
}
