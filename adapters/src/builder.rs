//! Building a processor.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use plimsoll_core::{
    BuildError, CacheLimits, InvalidLimits, Limits, Priority, ResultLimits, Retry, Timeouts,
};

use crate::cache::Cache;
use crate::engine::base::{MOST_IN_HAND, Manner, Shape};
use crate::engine::build::{self, BoxFuture};
use crate::engine::machine::{MOST_WORKERS, Parts};
use crate::footprint::Footprint;
use crate::handler::Handler;
use crate::options::Defaults;
use crate::processor::Processor;
use crate::runtime::{Clock, Runtime, Threads};
use crate::submitter::Submitter;

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
/// use plimsoll::{CacheLimits, Context, Processor, Retry, Thread, Timeouts};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut cache = CacheLimits::default();
/// cache.entries = 100;
/// let processor = Processor::builder()
///     .queue(1_000)
///     .concurrency(32)
///     .timeouts(Timeouts { start_to_close: Some(Duration::from_secs(30)), ..Timeouts::NONE })
///     .retry(Retry::NONE.attempts(3))
///     .meta::<u32>()
///     .cache::<String, String>(cache)
///     .spawn_on(Thread::start()?, |job: String, cx: Context<u32>| async move {
///         if cx.attempt() < 2 { Err("not yet") } else { Ok(job) }
///     })?;
/// # drop(processor);
/// # Ok(())
/// # }
/// ```
#[must_use = "a builder does nothing until `spawn_on`"]
pub struct Builder<M = (), K = (), V = (), R = Once> {
    limits: Limits,
    cache: Cache<K, V>,
    defaults: Defaults,
    cancel_grace: Duration,
    prefetch: Option<u32>,
    types: PhantomData<fn() -> (M, R)>,
}

impl<M, K, V, R> fmt::Debug for Builder<M, K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("cache", &self.cache)
            .field("defaults", &self.defaults)
            .field("cancel_grace", &self.cancel_grace)
            .field("prefetch", &self.prefetch)
            .finish()
    }
}

impl Processor<(), (), ()> {
    /// Begins to build a processor. The types of job, output and error are those of the handler.
    pub fn builder() -> Builder<(), (), (), Once> {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        Self {
            limits: Limits::default(),
            cache: Cache::new(CacheLimits::default()),
            defaults: Defaults::default(),
            cancel_grace: Duration::ZERO,
            prefetch: None,
            types: PhantomData,
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

impl<M, K, V, R> Builder<M, K, V, R> {
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

    /// Sets all limits at once, but not those of the cache: see [`cache`](Self::cache).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how many results are retained, each for how long. See [`Submitter::retain`].
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

    /// Sets the type of the metadata.
    pub fn meta<N: Copy>(self) -> Builder<N, K, V, R> {
        self.convert()
    }

    /// Sets how tasks are tried again whose [`Options`](crate::Options) do not say so. From now on the job has to be
    /// `Clone`: a worker clones it, without a lock, before an attempt after which a further one would be allowed. Without
    /// this a processor allows one attempt at each task, and refuses tasks that ask for more.
    pub fn retry(mut self, retry: Retry) -> Builder<M, K, V, Cloning> {
        self.defaults.retry = retry;
        self.convert()
    }

    /// Sets the types and the limits of the cache. Default: none.
    pub fn cache<L, W>(self, limits: CacheLimits) -> Builder<M, L, W, R>
    where
        L: Hash + Eq + Send + 'static,
        W: Send + Sync + 'static,
    {
        let Self { limits: all, defaults, cancel_grace, prefetch, .. } = self;
        let (cache, types) = (Cache::new(limits), PhantomData);
        Builder { limits: all, cache, defaults, cancel_grace, prefetch, types }
    }

    /// The cache that the processor will have, for a handler that uses it.
    #[must_use]
    pub fn cache_handle(&self) -> Cache<K, V> {
        self.cache.clone()
    }

    fn convert<N, S>(self) -> Builder<N, K, V, S> {
        let Self { limits, cache, defaults, cancel_grace, prefetch, .. } = self;
        Builder { limits, cache, defaults, cancel_grace, prefetch, types: PhantomData }
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

    /// Whether a task on the default terms could be taken in at all.
    fn check_defaults(&self) -> Result<(), InvalidLimits> {
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

    /// The limits of the machine, without the cache that has a lock of its own.
    fn machine_limits(&self) -> Limits {
        let mut limits = self.limits;
        limits.cache = CacheLimits::default();
        limits
    }

    /// How many bytes a processor with this handler will ask of the allocator. See [`Footprint`].
    #[must_use]
    pub fn footprint<J, O, E, F, H, U, A>(&self, runtime: &U, handler: &H) -> Footprint
    where
        U: Runtime,
        M: Copy,
        H: Handler<J, M, A, Future = F>,
        F: Future<Output = Result<O, E>>,
    {
        let _ = handler;
        let (shape, cache) = (self.shape(runtime.threads()), Cache::<K, V>::bytes(&self.cache.limits()));
        let clock = size_of_val(&runtime.clock());
        Footprint::of::<J, O, E, M, H, F, A, U::Timer>(&self.machine_limits(), shape, cache, clock)
    }

    /// Builds the processor, and the futures that have to be polled so that it runs: one for each worker, and one for the
    /// timekeeper. Everything that it will ever hold is allocated here, and nothing is spawned: spawn them where you like,
    /// or poll them by hand in a test. Dropping one of them before the end cancels what is not settled, as a runtime does
    /// that ends.
    ///
    /// Of the `runtime` the clock, the timer, the seed and the number of threads are used. `handler` is called with each
    /// job, or with each job and the [`Context`](crate::Context) of its attempt, and makes the future of the attempt.
    ///
    /// # Errors
    /// A limit that is out of its bounds or does not go together with the default terms, memory that cannot be had, or
    /// a runtime that cannot run it.
    pub fn build<J, O, E, F, U, H, A>(
        self,
        runtime: &U,
        handler: H,
    ) -> Result<(Processor<J, O, E, M, K, V>, Vec<EngineFuture>), BuildError>
    where
        J: Send + 'static,
        O: Send + 'static,
        E: fmt::Debug + Send + 'static,
        M: Copy + Send + 'static,
        K: Send + 'static,
        V: Send + Sync + 'static,
        F: Future<Output = Result<O, E>> + Send + 'static,
        U: Runtime,
        H: Handler<J, M, A, Future = F> + Send + Sync + 'static,
        A: 'static,
        R: Mode<J>,
    {
        runtime.check().map_err(BuildError::Runtime)?;
        let shape = self.shape(runtime.threads());
        let mut limits = self.machine_limits();
        let mut checked = limits;
        checked.cache = self.cache.limits();
        checked.check()?;
        self.check_defaults()?;
        if R::CLONE.is_none() {
            // There is no job for a second one.
            limits.attempts = 1;
        }
        let footprint = self.footprint::<J, O, E, F, H, U, A>(runtime, &handler);
        if !(self.cache.is_allocated() && can_be_allocated(footprint.total())) {
            return Err(BuildError::Memory { bytes: footprint.total() });
        }
        limits.seed = if limits.seed == 0 { runtime.seed() } else { limits.seed };
        limits.origin = if limits.origin == 0 { runtime.seed() } else { limits.origin };
        let clock: Clock = Arc::new(runtime.clock());
        self.cache.begin(clock.clone(), runtime.seed());
        let parts = Parts {
            limits,
            clock,
            defaults: self.defaults,
            cache: self.cache.part(),
            timer: Box::pin(runtime.timer()),
            workers: shape.workers,
            grace: self.cancel_grace,
        };
        let manner = Manner { clone: R::CLONE, shape, may_go_on: U::may_go_on };
        let built = build::build(parts, manner, handler)?;
        let processor = Processor::new(Submitter { shared: built.shared }, built.engine, self.cache);
        Ok((processor, built.futures.into_iter().map(EngineFuture).collect()))
    }

    /// [Builds](Self::build) the processor and spawns its futures on a runtime.
    ///
    /// # Errors
    /// As [`build`](Self::build) has; then nothing was spawned.
    pub fn spawn_on<J, O, E, F, U, H, A>(
        self,
        runtime: U,
        handler: H,
    ) -> Result<Processor<J, O, E, M, K, V>, BuildError>
    where
        J: Send + 'static,
        O: Send + 'static,
        E: fmt::Debug + Send + 'static,
        M: Copy + Send + 'static,
        K: Send + 'static,
        V: Send + Sync + 'static,
        F: Future<Output = Result<O, E>> + Send + 'static,
        U: Runtime,
        H: Handler<J, M, A, Future = F> + Send + Sync + 'static,
        A: 'static,
        R: Mode<J>,
    {
        let (processor, futures) = self.build(&runtime, handler)?;
        futures.into_iter().for_each(|future| runtime.spawn(future));
        Ok(processor)
    }
}

/// Tries whether so many bytes can be had: a limit that is too large is an error then, and not the end of the process.
fn can_be_allocated(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

/// A future that has to be polled so that a processor runs. Made by [`Builder::build`].
#[must_use = "dropping it ends the processor"]
pub struct EngineFuture(BoxFuture);

impl Future for EngineFuture {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for EngineFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineFuture").finish_non_exhaustive()
    }
}
