//! Futures and closures as jobs.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::access::Access;
use crate::context::Context;
use crate::handler::Handler;
use crate::task_builder::TaskBuilder;
use crate::work::Work;

/// Work whose jobs say themselves what is to be done: futures, and closures that make one. As a value it is its own handler.
///
/// ```
/// use plimsoll::{Processor, Spawned, Thread};
/// use std::{io, time::Duration};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = Processor::builder().spawn_on(Thread::start()?, Spawned::<usize, io::Error, u32>::new())?;
/// let text = String::from("captured");
/// let handle = processor.spawn(async move { Ok(text.len()) }).timeout(Duration::from_secs(5)).meta(7).submit()?;
/// assert_eq!(handle.wait()?, 8);
/// let handle = processor.spawn_with(|context| async move { Ok(context.meta() as usize) }).meta(7).submit()?;
/// assert_eq!(handle.wait()?, 7);
/// # Ok(())
/// # }
/// ```
pub struct Spawned<O, E, M = ()>(PhantomData<fn(M) -> Result<O, E>>);

/// A future in a box, as a job is made of one.
type BoxFuture<O, E> = Pin<Box<dyn Future<Output = Result<O, E>> + Send>>;

/// A job of [`Spawned`].
pub struct SpawnedJob<O, E, M = ()>(Inner<O, E, M>);

enum Inner<O, E, M> {
    Future(BoxFuture<O, E>),
    Closure(Box<dyn FnOnce(Context<M>) -> BoxFuture<O, E> + Send>),
}

impl<O, E, M> Spawned<O, E, M> {
    /// The handler: it does what each job says.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<O, E, M> Default for Spawned<O, E, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O, E, M: Copy> Work for Spawned<O, E, M> {
    type Job = SpawnedJob<O, E, M>;
    type Output = O;
    type Error = E;
    type Meta = M;
}

impl<O, E, M: Copy> Handler<Self, Self> for Spawned<O, E, M> {
    type Future = BoxFuture<O, E>;

    fn call(&self, job: SpawnedJob<O, E, M>, context: impl FnOnce() -> Context<M>) -> BoxFuture<O, E> {
        match job.0 {
            Inner::Future(future) => future,
            Inner::Closure(closure) => closure(context()),
        }
    }
}

impl<O, E, M: Copy + Default> Access<Spawned<O, E, M>> {
    /// A task that is this future, to be [submitted](TaskBuilder::submit). It is run once: what is to be tried again is a job of
    /// a handler. Allocates a box for it.
    pub fn spawn(
        &self,
        future: impl Future<Output = Result<O, E>> + Send + 'static,
    ) -> TaskBuilder<'_, Spawned<O, E, M>> {
        self.task(SpawnedJob(Inner::Future(Box::pin(future))))
    }

    /// As [`spawn`](Self::spawn), with the [`Context`] of its attempt. Allocates two boxes.
    pub fn spawn_with<F>(
        &self,
        closure: impl FnOnce(Context<M>) -> F + Send + 'static,
    ) -> TaskBuilder<'_, Spawned<O, E, M>>
    where
        F: Future<Output = Result<O, E>> + Send + 'static,
    {
        self.task(SpawnedJob(Inner::Closure(Box::new(|context| Box::pin(closure(context))))))
    }
}

impl<O, E, M> fmt::Debug for Spawned<O, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawned")
    }
}

impl<O, E, M> fmt::Debug for SpawnedJob<O, E, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inner::Future(_) => "SpawnedJob::Future",
            Inner::Closure(_) => "SpawnedJob::Closure",
        })
    }
}
