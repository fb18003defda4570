//! Building a processor.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_core::{CacheLimits, InvalidLimits, Limits, Priority, ResultLimits, Retry, Timeouts};

use crate::cache::Cache;
use crate::context::Context;
use crate::driver::Driver;
use crate::engine::Engine;
use crate::footprint::Footprint;
use crate::processor::Processor;
use crate::runtime::Runtime;
use crate::shared::{Clock, Defaults, Layout, Shared};
use crate::submitter::Submitter;
use crate::worker::Worker;

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
/// use plimsoll::{CacheLimits, Context, Processor, Retry, Timeouts, thread::Thread};
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
    places_per_worker: Option<u32>,
    types: PhantomData<fn() -> (M, R)>,
}

impl<M, K, V, R> fmt::Debug for Builder<M, K, V, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limits", &self.limits)
            .field("cache", &self.cache)
            .field("defaults", &self.defaults)
            .field("cancel_grace", &self.cancel_grace)
            .field("places_per_worker", &self.places_per_worker)
            .finish()
    }
}

/// The most places that a worker has unless it is told: all that it can have. A yielding task costs half as much with 32
/// as with one; among 10,000 attempts that time out, each costs a fifth less with 64 than with 32. How long a mix of such
/// tasks with ones that compute for 5 ms takes does not depend on it, see `tests/BENCHMARKS.md`.
const PLACES_PER_WORKER: u32 = 64;

/// How many workers there are for each processor of the machine, if there are places enough.
const WORKERS_PER_CORE: usize = 4;

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            limits: Limits::default(),
            cache: Cache::new(CacheLimits::default()),
            defaults: Defaults::default(),
            cancel_grace: Duration::ZERO,
            places_per_worker: None,
            types: PhantomData,
        }
    }
}

/// Few enough that handlers which compute can run on all processors at the same time.
fn default_places_per_worker(places: u32) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = u32::try_from(cores.saturating_mul(WORKERS_PER_CORE)).unwrap_or(u32::MAX);
    places.div_ceil(workers).clamp(1, PLACES_PER_WORKER)
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
        orphans: u32
        unclaimed: u32
        waiters: u32
        sleeps: u32
        sources: u32
        subscribers: u32
        events: u32
        attempts: u32
        seed: u64
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

    /// Sets the class of the queue for tasks whose [`Options`](crate::Options) name none.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.defaults.priority = priority;
        self
    }

    /// Sets how long an attempt that was asked to stop may go on before its future is dropped, counted from the first
    /// poll after. It gives its place back when it is over. Default: zero, its future is dropped without a further
    /// poll.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// Sets how many attempts share one worker, 1 to 64. By default so many that there are four workers
    /// for each processor of the machine.
    ///
    /// A worker is one task of the runtime. With more places to a worker, waking one of its futures is cheaper, and it
    /// takes and reports several attempts at a time, which is what makes short ones cheap. But a handler that computes
    /// for long without awaiting delays its neighbours, whose time-outs go on meanwhile, and attempts of one worker
    /// never run at the same time. A worker whose handlers compute takes one attempt at a time; with 1 place, each runs
    /// as if it had been spawned on its own.
    pub fn places_per_worker(mut self, places: u32) -> Self {
        self.places_per_worker = Some(places);
        self
    }

    /// Sets the type of the metadata.
    pub fn meta<N: Copy>(self) -> Builder<N, K, V, R> {
        self.convert()
    }

    /// Sets how tasks are tried again whose [`Options`](crate::Options) do not say so. From now on the job has to be
    /// `Clone`: a worker clones it, without a lock, before an attempt after which a further one would be allowed.
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
        let Self { limits: all, defaults, cancel_grace, places_per_worker, .. } = self;
        let (cache, types) = (Cache::new(limits), PhantomData);
        Builder { limits: all, cache, defaults, cancel_grace, places_per_worker, types }
    }

    /// The cache that the processor will have, for a handler that uses it.
    #[must_use]
    pub fn cache_handle(&self) -> Cache<K, V> {
        self.cache.clone()
    }

    fn convert<N, S>(self) -> Builder<N, K, V, S> {
        let Self { limits, cache, defaults, cancel_grace, places_per_worker, .. } = self;
        Builder { limits, cache, defaults, cancel_grace, places_per_worker, types: PhantomData }
    }

    fn layout(&self) -> Layout {
        let places = self.limits.concurrency;
        Layout::new(places, self.places_per_worker.unwrap_or_else(|| default_places_per_worker(places)))
    }

    /// The limits of the machine, without the cache that has a lock of its own.
    fn machine_limits(&self) -> Limits {
        let mut limits = self.limits;
        limits.cache = CacheLimits::default();
        limits
    }

    /// How many bytes a processor with this handler will ask of the allocator. See [`Footprint`].
    #[must_use]
    pub fn footprint<J, O, E, F, H, U>(&self, runtime: &U, handler: &H) -> Footprint
    where
        U: Runtime,
        M: Copy,
        H: Fn(J, Context<M>) -> F,
        F: Future<Output = Result<O, E>>,
    {
        let _ = handler;
        let limits = self.machine_limits();
        let grace = !self.cancel_grace.is_zero();
        let cache = Cache::<K, V>::bytes(&self.cache.limits());
        Footprint::of::<J, O, E, M, H, F, U::Timer>(
            &limits,
            self.layout(),
            grace,
            cache,
            size_of_val(&runtime.clock()),
        )
    }

    /// Builds the processor and spawns its workers and its driver. Everything that it will ever hold is allocated
    /// here. `handler` is called with each job and makes the future of an attempt.
    ///
    /// # Errors
    /// A limit that is out of its bounds; then nothing was spawned.
    pub fn spawn_on<J, O, E, F, U, H>(
        self,
        runtime: U,
        handler: H,
    ) -> Result<Processor<J, O, E, M, K, V>, InvalidLimits>
    where
        J: Send + 'static,
        O: Send + 'static,
        E: fmt::Debug + Send + 'static,
        M: Copy + Send + 'static,
        K: Send + 'static,
        V: Send + Sync + 'static,
        F: Future<Output = Result<O, E>> + Send + 'static,
        U: Runtime,
        H: Fn(J, Context<M>) -> F + Send + Sync + 'static,
        R: Mode<J>,
    {
        let (limits, layout) = (self.machine_limits(), self.layout());
        let mut checked = limits;
        checked.cache = self.cache.limits();
        checked.check()?;
        let clock: Clock = Arc::new(runtime.clock());
        self.cache.set_clock(clock.clone());
        let graces = !self.cancel_grace.is_zero();
        let shared = Shared::new(limits, clock, self.defaults, self.cache.part(), layout, graces)?;
        let engine =
            Engine::new(shared.clone(), layout, handler, runtime.timer(), self.cancel_grace, R::CLONE);
        let engine = Arc::new(engine);
        // Made before anything is spawned: a runtime that panics here leaves an owner that is dropped.
        let processor = Processor::new(Submitter { shared }, engine.clone(), self.cache);
        for index in 0..layout.workers() {
            if let Some(worker) = Worker::new(engine.clone(), layout, index) {
                runtime.spawn(worker);
            }
        }
        runtime.spawn(Driver::new(engine));
        Ok(processor)
    }
}
