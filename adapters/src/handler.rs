//! What is called with each job.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use pin_project_lite::pin_project;

use crate::context::Context;
use crate::sharing::{AnyThread, Sharing};
use crate::work::Work;

/// What makes the future of each attempt. A closure of the job, or of the job and the attempt's [`Context`]; one that
/// never fails, by [`infallible`]; one for work that is a type of yours, by [`typed`]; a value of such a type, by
/// [`running`]; one that takes several jobs in a call, by [`batched`](crate::batched).
///
/// The parameter `A` tells the kinds apart, so that any can be given where a handler is asked for; it is never written
/// out. A closure of the job alone does not pay for a context.
///
/// ```
/// use plimsoll::{Context, Processor, SleepRefusal, Thread};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let thread = Thread::start()?;
/// let parses = Processor::builder().spawn_on(thread.clone(), |text: String| async move { text.parse::<u32>() })?;
/// let naps = Processor::builder().spawn_on(thread, |millis: u64, context: Context| async move {
///     context.sleep(Duration::from_millis(millis)).await?;
///     Ok::<_, SleepRefusal>(context.attempt())
/// })?;
/// # drop((parses, naps));
/// # Ok(())
/// # }
/// ```
///
/// A closure that uses what is shared clones it for each attempt, before the future; or it is a field of a type that implements
/// [`Run`]:
///
/// ```
/// # use plimsoll::{Processor, Thread};
/// # use std::{collections::BTreeSet, io, sync::{Arc, Mutex}};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let seen = Arc::new(Mutex::new(BTreeSet::new()));
/// let processor = Processor::builder().spawn_on(Thread::start()?, move |name: String| {
///     let seen = seen.clone();
///     async move { Ok::<_, io::Error>(seen.lock().is_ok_and(|mut seen| seen.insert(name))) }
/// })?;
/// assert!(processor.submit("a".into())?.wait()?);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    note = "a handler is a closure of the job, or of the job and a `Context`, whose future gives a `Result`",
    note = "wrap one whose future gives the output itself in `plimsoll::infallible`",
    note = "the metadata of a `Context` has to be `Copy`, and all values `Send` and `'static`"
)]
pub trait Handler<W: Work, A, S: Sharing = AnyThread> {
    /// The future of an attempt.
    type Future: Future<Output = Result<W::Output, W::Error>>;

    /// Makes the future of an attempt. `context` makes its context, and is not called where that is not asked for.
    fn call(&self, job: W::Job, context: impl FnOnce() -> Context<W::Meta, S>) -> Self::Future;
}

impl<H, J, O, E, F, S: Sharing> Handler<fn(J) -> Result<O, E>, (J,), S> for H
where
    H: Fn(J) -> F,
    F: Future<Output = Result<O, E>>,
{
    type Future = F;

    #[inline]
    fn call(&self, job: J, _: impl FnOnce() -> Context<(), S>) -> F {
        self(job)
    }
}

impl<H, J, O, E, M, F, S: Sharing> Handler<fn(J, Context<M>) -> Result<O, E>, (J, Context<M>), S> for H
where
    H: Fn(J, Context<M, S>) -> F,
    F: Future<Output = Result<O, E>>,
    M: Copy,
{
    type Future = F;

    #[inline]
    fn call(&self, job: J, context: impl FnOnce() -> Context<M, S>) -> F {
        self(job, context())
    }
}

/// A handler that never fails, from a closure whose future gives the output itself. The processor's work is
/// `fn(Job) -> Result<Output, Infallible>`.
///
/// ```
/// use plimsoll::{Processor, Thread, infallible};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let doubles = Processor::builder().spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
/// assert_eq!(doubles.submit(21)?.wait()?, 42);
/// # Ok(())
/// # }
/// ```
pub const fn infallible<C>(closure: C) -> InfallibleHandler<C> {
    InfallibleHandler(closure)
}

/// Made by [`infallible`].
#[derive(Clone, Copy, Debug)]
pub struct InfallibleHandler<C>(C);

impl<C, J, O, F, S: Sharing> Handler<fn(J) -> Result<O, Infallible>, (J,), S> for InfallibleHandler<C>
where
    C: Fn(J) -> F,
    F: Future<Output = O>,
{
    type Future = NeverFails<F>;

    #[inline]
    fn call(&self, job: J, _: impl FnOnce() -> Context<(), S>) -> Self::Future {
        NeverFails { future: (self.0)(job) }
    }
}

impl<C, J, O, M, F, S: Sharing> Handler<fn(J, Context<M>) -> Result<O, Infallible>, (J, Context<M>), S>
    for InfallibleHandler<C>
where
    C: Fn(J, Context<M, S>) -> F,
    F: Future<Output = O>,
    M: Copy,
{
    type Future = NeverFails<F>;

    #[inline]
    fn call(&self, job: J, context: impl FnOnce() -> Context<M, S>) -> Self::Future {
        NeverFails { future: (self.0)(job, context()) }
    }
}

pin_project! {
    /// The future of an attempt of an [`InfallibleHandler`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct NeverFails<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for NeverFails<F> {
    type Output = Result<F::Output, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map(Ok)
    }
}

/// A handler from a closure, for [`Work`] that is a type of yours: the closure takes its job, or its job and the
/// [`Context`].
///
/// ```
/// use plimsoll::{Processor, Thread, Work, typed};
///
/// struct Squares;
///
/// impl Work for Squares {
///     type Job = u32;
///     type Output = u32;
///     type Error = std::io::Error;
///     /// Of whom.
///     type Meta = u64;
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor: Processor<Squares> =
///     Processor::builder().spawn_on(Thread::start()?, typed(|n: u32| async move { Ok(n * n) }))?;
/// assert_eq!(processor.task(3).meta(77).submit()?.wait()?, 9);
/// # Ok(())
/// # }
/// ```
pub const fn typed<C>(closure: C) -> TypedHandler<C> {
    TypedHandler(closure)
}

/// Made by [`typed`].
#[derive(Clone, Copy, Debug)]
pub struct TypedHandler<C>(C);

impl<C, W, F, S: Sharing> Handler<W, (W::Job,), S> for TypedHandler<C>
where
    C: Fn(W::Job) -> F,
    W: Work,
    F: Future<Output = Result<W::Output, W::Error>>,
{
    type Future = F;

    #[inline]
    fn call(&self, job: W::Job, _: impl FnOnce() -> Context<W::Meta, S>) -> F {
        (self.0)(job)
    }
}

impl<C, W, F, S: Sharing> Handler<W, (W::Job, Context<W::Meta>), S> for TypedHandler<C>
where
    C: Fn(W::Job, Context<W::Meta, S>) -> F,
    W: Work,
    F: Future<Output = Result<W::Output, W::Error>>,
{
    type Future = F;

    #[inline]
    fn call(&self, job: W::Job, context: impl FnOnce() -> Context<W::Meta, S>) -> F {
        (self.0)(job, context())
    }
}

/// A handler that is a value of a type of yours, with what it needs in its fields: see [`running`].
pub trait Run: Work {
    /// Makes one attempt at a job.
    fn run(
        &self,
        job: Self::Job,
        context: Context<Self::Meta>,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// A handler from a value whose type says what the work is and how it is done. Attempts share the value.
///
/// ```
/// use plimsoll::{Context, Processor, Run, Thread, Work, running};
/// use std::io;
///
/// struct Mailer {
///     from: String,
/// }
///
/// impl Work for Mailer {
///     type Job = String;
///     type Output = usize;
///     type Error = io::Error;
///     type Meta = ();
/// }
///
/// impl Run for Mailer {
///     async fn run(&self, text: String, _: Context) -> io::Result<usize> {
///         Ok(self.from.len() + text.len())
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mailer = Mailer { from: "me".into() };
/// let processor: Processor<Mailer> = Processor::builder().spawn_on(Thread::start()?, running(mailer))?;
/// assert_eq!(processor.submit("hello".into())?.wait()?, 7);
/// # Ok(())
/// # }
/// ```
pub fn running<R>(handler: R) -> impl Handler<R, (R::Job, Context<R::Meta>), Future: Send> + Send + Sync
where
    R: Run + Send + Sync + 'static,
    R::Job: Send,
    R::Meta: Send,
{
    let handler = Arc::new(handler);
    typed(move |job: R::Job, context: Context<R::Meta>| {
        let handler = handler.clone();
        async move { handler.run(job, context).await }
    })
}
