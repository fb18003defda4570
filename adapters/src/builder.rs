//! Building a processor.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use plimsoll_core::{BuildError, InvalidLimits, Limits, Priority, ResultLimits, Retry, Timeouts};

use crate::cache::{Cache, CachePart, NoCache};
use crate::engine::base::{MOST_IN_HAND, Manner, Shape};
use crate::engine::build::{self, BoxFuture, Built, LocalBoxFuture};
use crate::engine::machine::{BoxTimer, MOST_WORKERS, Parts};
use crate::footprint::Footprint;
use crate::handler::Handler;
use crate::options::Defaults;
use crate::processor::Processor;
use crate::runtime::{Clock, LocalRuntime, Runtime, Threads};
use crate::sharing::Local;
use crate::work::{AnyWork, LocalWork, SendWork, Work};

/// Jobs run once and are never cloned: how every builder begins.
#[derive(Debug)]
pub struct Once(());

/// Jobs may be tried again, and are cloned for that: what [`Builder::retry`] leads to.
#[derive(Debug)]
pub struct Cloning(());

/// Whether jobs are cloned: [`Once`] or [`Cloning`].
pub trait Mode<J>: sealed::Sealed {
    #[doc(hidden)]
    const CLONE: Option<fn(&J) -> J>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Once {}
    impl Sealed for super::Cloning {}
}

impl<J> Mode<J> for Once {
    const CLONE: Option<fn(&J) -> J> = None;
}

impl<J: Clone> Mode<J> for Cloning {
    const CLONE: Option<fn(&J) -> J> = Some(J::clone);
}

/// Builds a [`Processor`]. Every limit has a default: see [`Limits`].
///
/// ```
/// use plimsoll::{Context, Processor, Retry, Thread};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = Processor::builder()
///     .queue(1_000)
///     .concurrency(32)
///     .timeout(Duration::from_secs(30))
///     .retry(Retry::times(2))
///     .spawn_on(Thread::start()?, |job: String, cx: Context<u32>| async move {
///         if cx.attempt() < 2 { Err("not yet") } else { Ok(job) }
///     })?;
/// # drop(processor);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `spawn_on`"]
pub struct Builder<R = Once> {
    limits: Limits,
    cache: Arc<dyn CachePart>,
    defaults: Defaults,
    cancel_grace: Duration,
    prefetch: Option<u32>,
    mode: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for Builder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("cache", &self.cache.limits())
            .field("defaults", &self.defaults)
            .field("cancel_grace", &self.cancel_grace)
            .field("prefetch", &self.prefetch)
            .finish()
    }
}

impl Processor<fn(()) -> Result<(), ()>> {
    /// Begins to build a processor. The types of job, output and error are those of the handler.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        Self {
            limits: Limits::default(),
            cache: Arc::new(NoCache),
            defaults: Defaults::default(),
            cancel_grace: Duration::ZERO,
            prefetch: None,
            mode: PhantomData,
        }
    }
}

macro_rules! limit {
    ($($name:ident: $type:ty)*) => {$(
        #[doc = concat!("Sets [`Limits::", stringify!($name), "`].")]
        pub fn $name(mut self, $name: $type) -> Self {
            self.limits.$name = $name;
            self
        }
    )*};
}

impl<R> Builder<R> {
    limit! {
        queue: u32
        concurrency: u32
        delayed: u32
        orphans: u32
        waiters: u32
        sleeps: u32
        sources: u32
        subscribers: u32
        events: u32
        attempts: u32
        seed: u64
    }

    /// Sets [`Limits::unclaimed`], which otherwise follows from the others.
    pub fn unclaimed(mut self, unclaimed: u32) -> Self {
        self.limits.unclaimed = Some(unclaimed);
        self
    }

    /// Sets all limits at once, but not those of a [cache](Self::cache).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many results are retained, each for how long. See [`TaskBuilder::retain`](crate::TaskBuilder::retain).
    pub fn results(mut self, entries: u32, ttl: Option<Duration>) -> Self {
        self.limits.results = ResultLimits::new(entries, ttl);
        self
    }

    /// Sets how often the health event is published.
    pub fn health_every(mut self, every: Duration) -> Self {
        self.limits.health_every = Some(every);
        self
    }

    /// Sets how often expired results and cache entries are dropped.
    pub fn sweep_every(mut self, every: Duration) -> Self {
        self.limits.sweep_every = Some(every);
        self
    }

    /// Sets the time-outs of tasks whose [`Options`](crate::Options) name none. Default: none.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.defaults.timeouts = timeouts;
        self
    }

    /// Sets how long each attempt may run: [`Timeouts::start_to_close`] alone. Default: for ever. Zero is refused when
    /// building.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.defaults.timeouts.start_to_close = Some(limit);
        self
    }

    /// Sets the class of the queue for tasks whose [`Options`](crate::Options) name none.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.defaults.priority = priority;
        self
    }

    /// Sets how long an attempt that was asked to stop may go on before its future is dropped, counted from the request.
    /// It gives its place back when it is over. Default: zero, its future is dropped without a further poll. The end of the
    /// processor does not wait for it.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// Sets how many attempts a worker takes at a time, 1 to 64. Default: 1 on a runtime with several threads, and 64 on
    /// one thread.
    ///
    /// With several threads each handler then runs as if it had been spawned on its own: one that blocks its thread delays
    /// no other. If your handlers never do, taking some three at a time is cheaper. On one thread a handler that computes
    /// for long delays all others in any case; a worker that notices that takes one attempt at a time by itself.
    pub fn prefetch(mut self, attempts: u32) -> Self {
        self.prefetch = Some(attempts);
        self
    }

    /// Sets how tasks are tried again whose [`Options`](crate::Options) do not say so. From now on the job has to be
    /// `Clone`: a worker clones it, without a lock, before each attempt, the last one too, for any may be
    /// [snoozed](crate::Context::snooze). Behind an `Arc` that costs little. Without this a processor allows one attempt at
    /// each task, and refuses tasks that ask for more.
    pub fn retry(mut self, retry: Retry) -> Builder<Cloning> {
        self.defaults.retry = retry;
        let Self { limits, cache, defaults, cancel_grace, prefetch, .. } = self;
        Builder { limits, cache, defaults, cancel_grace, prefetch, mode: PhantomData }
    }

    /// Makes a cache a part of the processor: it is swept with the results, counted in census and ledger, and emptied for good
    /// at the end. A cache belongs to one processor; one that is another's already is refused when building. Default: none.
    pub fn cache<K, V>(mut self, cache: &Cache<K, V>) -> Self
    where
        K: Send + 'static,
        V: Send + Sync + 'static,
    {
        self.cache = cache.part();
        self
    }

    fn shape(&self, threads: Threads) -> Shape {
        let (workers, in_hand) = match threads {
            Threads::One => (1, MOST_IN_HAND),
            // One more than there are attempts, so that effects are performed although all of those block.
            Threads::Several => (self.limits.concurrency.min(MOST_WORKERS).saturating_add(1), 1),
        };
        let in_hand = self.prefetch.unwrap_or(in_hand).clamp(1, MOST_IN_HAND);
        Shape {
            workers,
            in_hand,
            has_several_threads: threads != Threads::One,
            has_grace: !self.cancel_grace.is_zero(),
        }
    }

    /// Whether the limits are those of a machine without a cache, and a task on the default terms could be taken in at all.
    fn check_defaults(&self) -> Result<(), InvalidLimits> {
        let entries = self.limits.cache.entries;
        if entries > 0 {
            let bound = "zero: a cache is made by `Cache::new`, and handed over by `Builder::cache`";
            return Err(InvalidLimits::new("cache.entries", bound, entries.into()));
        }
        let attempts = self.limits.attempts;
        if self.defaults.retry.total() > attempts {
            let bound = "at least as many as `retry` asks for";
            return Err(InvalidLimits::new("attempts", bound, attempts.into()));
        }
        if self.defaults.timeouts.have_zero() {
            return Err(InvalidLimits::new("timeouts", "longer than zero, each of them", 0));
        }
        Ok(())
    }

    /// How many bytes a processor with this handler will ask of the allocator. See [`Footprint`].
    #[must_use]
    pub fn footprint<W, U, H, A>(&self, runtime: &U, handler: &H) -> Footprint
    where
        W: Work,
        U: Runtime,
        H: Handler<W, A>,
    {
        let _ = handler;
        let (shape, clock) = (self.shape(runtime.threads()), size_of_val(&runtime.clock()));
        Footprint::of::<W, H, H::Future, A, U::Timer>(&self.limits, shape, self.cache.bytes(), clock)
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
        Footprint::of::<Local<W>, H, H::Future, A, U::Timer>(&self.limits, shape, self.cache.bytes(), clock)
    }

    /// Builds the processor, and the futures that have to be polled so that it runs: one for each worker, and one for the
    /// timekeeper. Everything that it will ever hold is allocated here, and nothing is spawned: spawn them where you like,
    /// or poll them by hand in a test. Dropping one of them before the end cancels what is not settled, as a runtime does
    /// that ends.
    ///
    /// Of the `runtime` the clock, the timer, the seed and the number of threads are used. The [`Handler`] is called with each
    /// job, and makes the future of each attempt.
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

    /// [Builds](Self::build_local) a processor that stays on this thread, and spawns its futures on a runtime of this thread.
    /// Jobs, outputs, errors, the handler and its futures need not be `Send`. All else is as with
    /// [`spawn_on`](Self::spawn_on), but that no [emitter](crate::Access::attach) can be attached, for it may be on another thread.
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
        let mut limits = self.limits;
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
        let Self { defaults, cache, cancel_grace: grace, .. } = self;
        let has_copies = R::CLONE.is_some();
        Ok(Parts { limits, clock, defaults, cache, timer, workers: shape.workers, grace, has_copies })
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
