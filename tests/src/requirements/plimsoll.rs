//! plimsoll as a subject, on any runtime.

use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

use futures::StreamExt;
use futures::executor::block_on;
use futures::future::{AbortHandle, abortable};
use plimsoll::{
    Cache, CacheLimits, Context, Drain, Emitter as _, EmitterHandle, Events, FeedRefusal, LastError, Limits,
    Notice, Processor, Refused, Registration, Runtime, Smol, Submitter, TaskError, TaskId, TaskResult,
    Thread, Timeouts, Tokio,
};

use super::{Emitter, Ending, Held, Setup, Subject, Tally, Task, Token, Watched, Work};

/// What runs the futures of a processor under observation.
pub trait Executor {
    /// Its side towards plimsoll.
    type Runtime: Runtime;

    /// Starts one, or refers to the global one.
    fn start() -> Self;
    /// Its side towards plimsoll.
    fn runtime(&self) -> Self::Runtime;
}

/// smol's global executor.
#[derive(Debug)]
pub struct OnSmol;

impl Executor for OnSmol {
    type Runtime = Smol;

    fn start() -> Self {
        Self
    }

    fn runtime(&self) -> Smol {
        Smol::global()
    }
}

/// A tokio runtime with two threads.
#[derive(Debug)]
pub struct OnTokio(tokio::runtime::Runtime);

impl Executor for OnTokio {
    type Runtime = Tokio;

    fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self(builder.worker_threads(2).enable_time().build().expect("a tokio runtime starts"))
    }

    fn runtime(&self) -> Tokio {
        Tokio::on(self.0.handle().clone())
    }
}

/// One plain thread.
#[derive(Debug)]
pub struct OnThread;

impl Executor for OnThread {
    type Runtime = Thread;

    fn start() -> Self {
        Self
    }

    fn runtime(&self) -> Thread {
        Thread::start().expect("a thread starts")
    }
}

/// How a processor is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Its owner is dropped.
    Dropped,
    /// Its owner is shut down, gracefully for a moment.
    ShutDown,
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dropped => "dropped",
            Self::ShutDown => "shut down",
        })
    }
}

/// A runtime, and how processors on it are ended.
#[derive(Debug)]
pub struct PlimsollWorld<X: Executor> {
    // Before the executor, so that what it keeps goes first.
    runtime: Watched<X::Runtime>,
    _executor: X,
    ends: Ends,
}

impl<X: Executor> PlimsollWorld<X> {
    /// A runtime for processors that end in this way.
    #[must_use]
    pub fn new(ends: Ends) -> Self {
        let executor = X::start();
        Self { runtime: Watched::new(executor.runtime()), _executor: executor, ends }
    }
}

/// A processor, of which everything but the owner is still there after its end.
pub struct Plimsoll<X: Executor> {
    owner: Option<Processor<Service>>,
    submitter: Submitter<Service>,
    cache: Cache<u64, Token>,
    emitter: Option<EmitterHandle<Service>>,
    runtime: Watched<X::Runtime>,
    ends: Ends,
}

/// What the processor does.
type Service = fn(Job, Context) -> Result<u64, &'static str>;

/// What the handler is given.
struct Job {
    work: Work,
    _payload: Option<Token>,
}

impl<X: Executor> Subject for Plimsoll<X> {
    type World = PlimsollWorld<X>;
    type Emitter = SharedEvents;
    type Task = TaskId;
    type Subscription = AbortHandle;

    const CANCELS: bool = true;

    fn let_pass(_: &PlimsollWorld<X>, time: Duration) {
        sleep(time);
    }

    fn world_timers(world: &PlimsollWorld<X>) -> usize {
        world.runtime.timers()
    }

    fn emitter(_: &PlimsollWorld<X>) -> SharedEvents {
        SharedEvents::new()
    }

    fn create(world: &PlimsollWorld<X>, setup: Setup) -> Self {
        let Setup { concurrency, cache, health_every, cleanup_every, context } = setup;
        let mut limits = Limits::default();
        limits.concurrency = if concurrency == 0 { limits.concurrency } else { concurrency };
        limits.health_every = health_every;
        limits.sweep_every = cleanup_every;
        let handler = move |job: Job, _: Context| {
            let _captured = &context;
            run(job)
        };
        let cache = CacheLimits { entries: cache, ..CacheLimits::default() };
        let cache = Cache::new(cache).expect("the limits are legal");
        let owner = Processor::builder()
            .limits(limits)
            .cache(&cache)
            .spawn_on(world.runtime.clone(), handler)
            .expect("the limits are legal");
        Self {
            submitter: owner.submitter(),
            cache,
            owner: Some(owner),
            emitter: None,
            runtime: world.runtime.clone(),
            ends: world.ends,
        }
    }

    fn add(&self, task: Task) -> Option<TaskId> {
        let Task { work, timeout, expiry, payload, callback } = task;
        let timeouts = Timeouts { schedule_to_start: expiry, start_to_close: timeout, ..Timeouts::NONE };
        let job = Job { work, _payload: payload };
        let added = self.submitter.task(job).timeouts(timeouts).call(move |settled| {
            callback.iter().for_each(|callback| callback(ending(&settled.result)));
        });
        added.ok()
    }

    fn cancel(&self, task: &TaskId) {
        // One that has just settled by itself is noticed by its ending.
        let _ = self.submitter.cancel(*task);
    }

    fn attach(&mut self, emitter: &SharedEvents) {
        self.emitter = self.submitter.attach(&emitter.events).ok();
    }

    fn detach(&mut self) {
        self.emitter.take().map(EmitterHandle::detach);
    }

    fn cache_set(&self, key: u64, value: Token) {
        self.cache.insert(key, value);
    }

    fn cache_get(&self, key: u64) -> bool {
        self.cache.get(&key).is_some()
    }

    fn subscribe(&self, context: Token) -> AbortHandle {
        let mut subscription = self.submitter.subscribe().expect("a subscriber more is allowed");
        let (watch, handle) = abortable(async move {
            let _captured = context;
            while subscription.next().await.is_some() {}
        });
        self.runtime.spawn(async move { _ = watch.await });
        handle
    }

    fn unsubscribe(&self, subscription: AbortHandle) {
        subscription.abort();
    }

    fn watch_health(&self, seen: Arc<AtomicUsize>) {
        let mut subscription = self.submitter.subscribe().expect("a subscriber more is allowed");
        self.runtime.spawn(async move {
            while let Some(notice) = subscription.next().await {
                if matches!(notice, Notice::Health(_)) {
                    seen.fetch_add(1, SeqCst);
                }
            }
        });
    }

    fn last_error_bytes(&self) -> Option<usize> {
        /// Nothing that owns memory can be `Copy`, so the value's own bytes are all there is.
        fn bytes<T: Copy + 'static>(value: &T) -> usize {
            size_of_val(value)
        }
        self.submitter.last_error().map(|error: LastError<()>| bytes(&error))
    }

    fn held(&self) -> Held {
        let census = self.submitter.census();
        Held {
            timers: census.timers as usize,
            intervals: census.intervals as usize,
            callbacks: census.callbacks as usize,
            cached: self.cache.len(),
            subscribers: census.subscribers as usize,
        }
    }

    fn end(&mut self) {
        let Some(owner) = self.owner.take() else { return };
        match self.ends {
            Ends::Dropped => drop(owner),
            Ends::ShutDown => drop(block_on(owner.shutdown(Drain::graceful(Duration::from_millis(50))))),
        }
    }
}

impl<X: Executor> fmt::Debug for Plimsoll<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plimsoll").field("ended", &self.owner.is_none()).finish_non_exhaustive()
    }
}

/// The handler.
async fn run(job: Job) -> Result<u64, &'static str> {
    match job.work {
        Work::Complete => Ok(1),
        Work::Fail => Err("failed"),
        // Without the panic hook's message, which would fill the output.
        Work::Panic => resume_unwind(Box::new("thrown")),
        Work::Hang => pending().await,
    }
}

fn ending(result: &TaskResult<Service>) -> Ending {
    match result {
        Ok(_) => Ending::Completed,
        Err(TaskError::Failed(_)) => Ending::Failed,
        Err(TaskError::Panicked(_)) => Ending::Panicked,
        Err(TaskError::TimedOut) => Ending::TimedOut,
        Err(TaskError::Cancelled(_)) => Ending::Cancelled,
        Err(TaskError::Expired) => Ending::Expired,
        Err(error) => panic!("no callback is told of this: {error}"),
    }
}

/// plimsoll's emitter, with a stranger's listeners: they hear everything and take nothing.
#[derive(Debug)]
pub struct SharedEvents {
    events: Events<Job>,
    heard: Arc<AtomicUsize>,
    _strangers: [Registration; 3],
}

impl SharedEvents {
    fn new() -> Self {
        let (events, heard) = (Events::default(), Arc::new(AtomicUsize::new(0)));
        let hear = || {
            let heard = heard.clone();
            move || _ = heard.fetch_add(1, SeqCst)
        };
        let (task, batch, error) = (hear(), hear(), hear());
        let strangers = [
            events.on_task(Box::new(move |job| {
                task();
                Err(Refused::new(FeedRefusal::Detached, job))
            })),
            events.on_batch(Box::new(move |jobs| {
                batch();
                Err(Refused::new(FeedRefusal::Detached, jobs))
            })),
            events.on_error(Box::new(move |_| error())),
        ];
        Self { events, heard, _strangers: strangers }
    }
}

impl Emitter for SharedEvents {
    fn listeners(&self) -> [usize; 3] {
        self.events.listener_counts()
    }

    fn emit(&self, payload: &Tally) {
        let job = || Job { work: Work::Complete, _payload: Some(payload.token()) };
        self.events.emit_error("failed");
        // What nobody takes comes back, and is dropped here.
        drop(self.events.emit_task(job()));
        drop(self.events.emit_batch(vec![job(), job()]));
    }

    fn heard(&self) -> usize {
        self.heard.load(SeqCst)
    }
}
