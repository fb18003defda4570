//! What is called with each job.

use std::future::Future;

use crate::context::Context;

/// A closure that makes the future of an attempt: of the job, or of the job and the attempt's [`Context`].
///
/// The parameter `A` tells the two kinds apart, so that either can be given where a handler is asked for; it is never
/// written out. A handler of the job alone does not pay for a context.
///
/// ```
/// use plimsoll::{Context, Processor, Thread};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let thread = Thread::start()?;
/// let doubles = Processor::builder().spawn_on(thread.clone(), |n: u64| async move { Ok::<_, ()>(n * 2) })?;
/// let tries = Processor::builder()
///     .spawn_on(thread, |n: u64, context: Context| async move { Ok::<_, ()>((n, context.attempt())) })?;
/// # drop((doubles, tries));
/// # Ok(())
/// # }
/// ```
pub trait Handler<J, M, A> {
    /// The future of an attempt.
    type Future: Future;

    /// Makes the future of an attempt. `context` makes its context, and is not called where that is not asked for.
    fn call(&self, job: J, context: impl FnOnce() -> Context<M>) -> Self::Future;
}

impl<H, J, M, F> Handler<J, M, (J,)> for H
where
    H: Fn(J) -> F,
    F: Future,
{
    type Future = F;

    #[inline]
    fn call(&self, job: J, _: impl FnOnce() -> Context<M>) -> F {
        self(job)
    }
}

impl<H, J, M, F> Handler<J, M, (J, Context<M>)> for H
where
    H: Fn(J, Context<M>) -> F,
    F: Future,
{
    type Future = F;

    #[inline]
    fn call(&self, job: J, context: impl FnOnce() -> Context<M>) -> F {
        self(job, context())
    }
}
