//! Futures and closures as jobs.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use crate::access::Access;
use crate::context::Context;
use crate::handler::Handler;
use crate::sharing::{AnyThread, Kinds, Local, Sharing};
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
///
/// On one thread, with [`Local`] in its place as the last parameter, neither need be `Send`:
///
/// ```
/// # #[cfg(feature = "smol")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use plimsoll::{Local, Processor, SmolLocal, Spawned};
/// use std::{io, rc::Rc};
///
/// let executor = Rc::new(smol::LocalExecutor::new());
/// let processor = Processor::builder()
///     .spawn_local_on(SmolLocal::on(executor.clone()), Spawned::<usize, io::Error, (), Local>::new())?;
/// let text = Rc::new(String::from("shared"));
/// let handle = processor.spawn({ let text = text.clone(); async move { Ok(text.len()) } }).submit()?;
/// assert_eq!(smol::block_on(executor.run(handle))?, text.len());
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "smol"))]
/// # fn main() {}
/// ```
pub struct Spawned<O, E, M = (), S = AnyThread>(PhantomData<Types<O, E, M, S>>);

/// Has no value of them.
type Types<O, E, M, S> = fn() -> (O, E, M, S);

/// A future in a box, as a job is made of one.
type BoxFuture<O, E, S> = Pin<Box<<S as Kinds>::Future<Result<O, E>>>>;

/// A closure in a box that makes one.
type BoxMaker<O, E, M, S> = Box<<S as Kinds>::Maker<Context<M, S>, BoxFuture<O, E, S>>>;

/// A job of [`Spawned`].
pub struct SpawnedJob<O, E, M = (), S: Sharing = AnyThread>(Inner<O, E, M, S>);

enum Inner<O, E, M, S: Sharing> {
    Future(BoxFuture<O, E, S>),
    Closure(BoxMaker<O, E, M, S>),
}

impl<O, E, M, S> Spawned<O, E, M, S> {
    /// The handler: it does what each job says.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<O, E, M, S> Default for Spawned<O, E, M, S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<O, E, M: Copy, S: Sharing> Work for Spawned<O, E, M, S> {
    type Job = SpawnedJob<O, E, M, S>;
    type Output = O;
    type Error = E;
    type Meta = M;
}

impl<O, E, M: Copy, S: Sharing> Handler<Self, Self, S> for Spawned<O, E, M, S> {
    type Future = BoxFuture<O, E, S>;

    fn call(&self, job: SpawnedJob<O, E, M, S>, context: impl FnOnce() -> Context<M, S>) -> Self::Future {
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
        let future: BoxFuture<O, E, AnyThread> = Box::pin(future);
        self.task(SpawnedJob(Inner::Future(future)))
    }

    /// As [`spawn`](Self::spawn), with the [`Context`] of its attempt. Allocates two boxes.
    pub fn spawn_with<F>(
        &self,
        closure: impl FnOnce(Context<M>) -> F + Send + 'static,
    ) -> TaskBuilder<'_, Spawned<O, E, M>>
    where
        F: Future<Output = Result<O, E>> + Send + 'static,
    {
        let maker: BoxMaker<O, E, M, AnyThread> = Box::new(|context| Box::pin(closure(context)));
        self.task(SpawnedJob(Inner::Closure(maker)))
    }
}

impl<O, E, M: Copy + Default> Access<Local<Spawned<O, E, M, Local>>> {
    /// A task that is this future, which stays on this thread: see [`Spawned`]. Allocates a box for it.
    pub fn spawn(
        &self,
        future: impl Future<Output = Result<O, E>> + 'static,
    ) -> TaskBuilder<'_, Local<Spawned<O, E, M, Local>>> {
        let future: BoxFuture<O, E, Local> = Box::pin(future);
        self.task(SpawnedJob(Inner::Future(future)))
    }

    /// As [`spawn`](Self::spawn), with the [`Context`] of its attempt. Allocates two boxes.
    pub fn spawn_with<F>(
        &self,
        closure: impl FnOnce(Context<M, Local>) -> F + 'static,
    ) -> TaskBuilder<'_, Local<Spawned<O, E, M, Local>>>
    where
        F: Future<Output = Result<O, E>> + 'static,
    {
        let maker: BoxMaker<O, E, M, Local> = Box::new(|context| Box::pin(closure(context)));
        self.task(SpawnedJob(Inner::Closure(maker)))
    }
}

impl<O, E, M, S> fmt::Debug for Spawned<O, E, M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawned")
    }
}

impl<O, E, M, S: Sharing> fmt::Debug for SpawnedJob<O, E, M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Inner::Future(_) => "SpawnedJob::Future",
            Inner::Closure(_) => "SpawnedJob::Closure",
        })
    }
}
