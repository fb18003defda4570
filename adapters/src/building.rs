//! Building a processor, and spawning it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use plimsoll_core::BuildError;

use crate::builder::{Builder, Mode};
#[cfg(feature = "tower")]
use crate::cache::NoCache;
use crate::engine::base::{Manner, Shape};
use crate::engine::build::{self, BoxFuture, Built, LocalBoxFuture};
use crate::engine::machine::{BoxTimer, Parts};
use crate::footprint::Footprint;
use crate::handler::Handler;
use crate::processor::Processor;
use crate::runtime::{Clock, LocalRuntime, Runtime, Threads};
use crate::sharing::Local;
use crate::work::{AnyWork, LocalWork, SendWork, Work};

impl<R> Builder<R> {
    /// How many bytes a processor with this handler will ask of the allocator. See [`Footprint`].
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let thread = Thread::start()?;
    /// let handler = infallible(|n: u64| async move { n * 2 });
    /// let builder = Processor::builder().queue(1_000).concurrency(10);
    /// let bytes = builder.footprint(&thread, &handler).total();
    /// assert!(bytes < 1 << 20, "{bytes}"); // less than a megabyte, whatever comes
    /// let processor = builder.spawn_on(thread, handler)?;
    /// # drop(processor);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn footprint<W, U, H, A>(&self, runtime: &U, handler: &H) -> Footprint
    where
        W: Work,
        U: Runtime,
        H: Handler<W, A>,
    {
        let _ = handler;
        let (shape, clock) = (self.shape(runtime.threads()), size_of_val(&runtime.clock()));
        Footprint::of::<W, H, H::Future, A, U::Timer>(
            &self.limits_with_monitor(),
            shape,
            self.cache.bytes(),
            clock,
        )
    }

    /// As [`footprint`](Self::footprint), of a processor that stays on one thread.
    #[must_use]
    pub fn local_footprint<W, U, H, A>(&self, runtime: &U, handler: &H) -> Footprint
    where
        W: Work,
        U: LocalRuntime,
        H: Handler<W, A, Local>,
    {
        let _ = handler;
        let (shape, clock) = (self.shape(Threads::One), size_of_val(&runtime.clock()));
        Footprint::of::<Local<W>, H, H::Future, A, U::Timer>(
            &self.limits_with_monitor(),
            shape,
            self.cache.bytes(),
            clock,
        )
    }

    /// Builds the processor, and the futures that have to be polled so that it runs: one for each worker, and one for the
    /// timekeeper. Everything that it will ever hold is allocated here, and nothing is spawned: spawn them where you like,
    /// or poll them by hand in a test. Dropping one of them before the end cancels what is not settled, as a runtime does
    /// that ends.
    ///
    /// Of the `runtime` the clock, the timer, the seed and the number of threads are used. The [`Handler`] is called with each
    /// job, and makes the future of each attempt.
    ///
    /// ```
    /// # use plimsoll::{Processor, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // By hand: spawn the futures where you like, or poll them yourself.
    /// let thread = Thread::start()?;
    /// let builder = Processor::builder().concurrency(4);
    /// let (processor, futures) = builder.build(&thread, infallible(|n: u64| async move { n * 2 }))?;
    /// for future in futures {
    ///     plimsoll::Runtime::spawn(&thread, future);
    /// }
    /// assert_eq!(processor.submit(21)?.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A limit that is out of its bounds or does not go together with the default terms, memory that cannot be had, a cache
    /// that is another processor's, or a runtime that cannot run it.
    pub fn build<W, U, H, A>(
        self,
        runtime: &U,
        handler: H,
    ) -> Result<(Processor<W>, Vec<EngineFuture>), BuildError>
    where
        W: SendWork,
        U: Runtime,
        H: Handler<W, A, Future: Send + 'static> + Send + Sync + 'static,
        A: 'static,
        R: Mode<W::Job>,
    {
        runtime.check().map_err(BuildError::Runtime)?;
        let shape = self.shape(runtime.threads());
        let manner = Manner { clone: R::CLONE, shape, may_go_on: U::may_go_on };
        let bytes = self.footprint::<W, U, H, A>(runtime, &handler).total();
        let (clock, timer) = (Arc::new(runtime.clock()), Box::pin(runtime.timer()));
        let parts = self.parts::<W>(shape, bytes, clock, timer, || runtime.seed())?;
        let Built { shared, engine, futures } = build::build(parts, manner, handler)?;
        Ok((Processor::new(shared, engine), futures.into_iter().map(EngineFuture).collect()))
    }

    /// As [`build`](Self::build), of a processor that stays on this thread: nothing of it need be `Send`.
    ///
    /// # Errors
    /// As [`build`](Self::build) has.
    pub fn build_local<W, U, H, A>(
        self,
        runtime: &U,
        handler: H,
    ) -> Result<(Processor<Local<W>>, Vec<LocalEngineFuture>), BuildError>
    where
        W: LocalWork,
        U: LocalRuntime,
        H: Handler<W, A, Local, Future: 'static> + 'static,
        A: 'static,
        R: Mode<W::Job>,
    {
        runtime.check().map_err(BuildError::Runtime)?;
        let shape = self.shape(Threads::One);
        let manner = Manner { clone: R::CLONE, shape, may_go_on: U::may_go_on };
        let bytes = self.local_footprint::<W, U, H, A>(runtime, &handler).total();
        let (clock, timer) = (Arc::new(runtime.clock()), Box::pin(runtime.timer()));
        let parts = self.parts::<Local<W>>(shape, bytes, clock, timer, || runtime.seed())?;
        let Built { shared, engine, futures } = build::build_local(parts, manner, handler)?;
        Ok((Processor::new(shared, engine), futures.into_iter().map(LocalEngineFuture).collect()))
    }

    /// [Builds](Self::build) the processor and spawns its futures on a runtime.
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
    /// As [`build`](Self::build) has; then nothing was spawned.
    pub fn spawn_on<W, U, H, A>(self, runtime: U, handler: H) -> Result<Processor<W>, BuildError>
    where
        W: SendWork,
        U: Runtime,
        H: Handler<W, A, Future: Send + 'static> + Send + Sync + 'static,
        A: 'static,
        R: Mode<W::Job>,
    {
        let (processor, futures) = self.build(&runtime, handler)?;
        futures.into_iter().for_each(|future| runtime.spawn(future));
        Ok(processor)
    }

    /// [Builds](Self::build_local) a processor that stays on this thread, and spawns its futures on a runtime of this
    /// thread. Jobs, outputs, errors, the handler and its futures need not be `Send`. All else is as with
    /// [`spawn_on`](Self::spawn_on), but that no [emitter](crate::Access::attach) can be attached, for it may be on
    /// another thread.
    ///
    /// ```
    /// # #[cfg(feature = "smol")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use plimsoll::{Local, Processor, SmolLocal};
    /// use std::{convert::Infallible, rc::Rc};
    ///
    /// let executor = Rc::new(smol::LocalExecutor::new());
    /// let processor: Processor<Local<fn(Rc<str>) -> Result<usize, Infallible>>> = Processor::builder()
    ///     .spawn_local_on(SmolLocal::on(executor.clone()), |text: Rc<str>| async move { Ok(text.len()) })?;
    /// let handle = processor.submit("Plimsoll".into())?;
    /// assert_eq!(smol::block_on(executor.run(handle))?, 8);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "smol"))]
    /// # fn main() {}
    /// ```
    ///
    /// # Errors
    /// As [`build`](Self::build) has; then nothing was spawned.
    pub fn spawn_local_on<W, U, H, A>(self, runtime: U, handler: H) -> Result<Processor<Local<W>>, BuildError>
    where
        W: LocalWork,
        U: LocalRuntime,
        H: Handler<W, A, Local, Future: 'static> + 'static,
        A: 'static,
        R: Mode<W::Job>,
    {
        let (processor, futures) = self.build_local(&runtime, handler)?;
        futures.into_iter().for_each(|future| runtime.spawn(future));
        Ok(processor)
    }

    /// What an engine of this shape is made of, if so many bytes can be had and all is as it has to be.
    fn parts<W: AnyWork>(
        self,
        shape: Shape,
        bytes: usize,
        clock: Clock,
        timer: BoxTimer<W>,
        seed: impl Fn() -> u64,
    ) -> Result<Parts<W>, BuildError>
    where
        R: Mode<W::Job>,
    {
        let mut limits = self.limits_with_monitor();
        limits.check()?;
        self.check_defaults()?;
        if R::CLONE.is_none() {
            // There is no job for a second one.
            limits.attempts = 1;
        }
        if !can_be_allocated(bytes) {
            return Err(BuildError::Memory { bytes });
        }
        limits.seed = if limits.seed == 0 { seed() } else { limits.seed };
        limits.origin = if limits.origin == 0 { seed() } else { limits.origin };
        if !self.cache.begin(clock.clone(), seed()) {
            return Err(BuildError::Cache);
        }
        let Self { defaults, cache, cancel_grace: grace, name, metering, .. } = self;
        Ok(Parts { limits, clock, defaults, cache, timer, workers: shape.workers, grace, name, metering })
    }
}

#[cfg(feature = "tower")]
impl<R> Builder<R> {
    /// Without the cache if that is a processor's already.
    pub(crate) fn without_taken_cache(mut self) -> Self {
        if self.cache.is_taken() {
            self.cache = Arc::new(NoCache);
        }
        self
    }
}

/// Tries whether so many bytes can be had: a limit that is too large is an error then, and not the end of the process.
fn can_be_allocated(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// A future that has to be polled so that a processor runs. Made by [`Builder::build`].
#[must_use = "dropping it ends the processor"]
pub struct EngineFuture(BoxFuture);

/// A future that has to be polled so that a processor runs that stays on one thread. Made by [`Builder::build_local`].
#[must_use = "dropping it ends the processor"]
pub struct LocalEngineFuture(LocalBoxFuture);

macro_rules! engine_future {
    ($name:ident) => {
        impl Future for $name {
            type Output = ();

            fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
                self.0.as_mut().poll(cx)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}

engine_future!(EngineFuture);
engine_future!(LocalEngineFuture);
