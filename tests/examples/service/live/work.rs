//! The handler: what the service does with a job.

use std::future::{pending, poll_fn};
use std::panic::panic_any;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::future::{Either, select};
use plimsoll::{Cache, Context, Instant, Runtime, Submitter, Timer};
use plimsoll_tests::waits::Waits;

use crate::arrivals::{Fate, Work};

/// A job on its way through the processor. Its times are real ones.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub work: Work,
    /// When it was sent.
    pub sent: Instant,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug)]
pub enum Unlucky {
    /// As it was to.
    Failed,
    /// It has taken longer than its own limit.
    OverLimit,
}

/// What the processor does.
pub type Service = fn(Job, Context) -> Result<u64, Unlucky>;

/// Who sees to it that a job keeps its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKeeper {
    /// The processor, which was told the limit with the job.
    Processor,
    /// The handler: all jobs of a queue come on the same terms.
    Handler,
}

/// What a panic of the scenario carries: the panic hook says nothing about it.
struct Planned;

/// What the handler works with. It is shared by all attempts.
pub struct World<R> {
    pub runtime: R,
    pub clock: Box<dyn Fn() -> Instant + Send + Sync>,
    pub cache: Cache<u64, u64>,
    /// The handler's own processor, once that is built. It does not keep it alive.
    pub submitter: OnceLock<Submitter<Service>>,
    pub waits: Waits,
    /// Callbacks that were called.
    pub called: AtomicU64,
}

impl<R: Runtime + Send + Sync + 'static> World<R> {
    pub fn new(runtime: R, cache: Cache<u64, u64>) -> Self {
        let clock = Box::new(runtime.clock());
        let (waits, called) = (Waits::new(), AtomicU64::new(0));
        Self { runtime, clock, cache, submitter: OnceLock::new(), waits, called }
    }

    /// Does one job.
    pub async fn handle(&self, job: Job, context: Context, keeper: LimitKeeper) -> Result<u64, Unlucky> {
        let Some(limit) = job.work.limit.filter(|_| keeper == LimitKeeper::Handler) else {
            return self.work(job, &context).await;
        };
        match select(pin!(self.work(job, &context)), pin!(self.sleep(limit))).await {
            Either::Left((worked, _)) => worked,
            Either::Right(_) => {
                // It would take as long the next time.
                context.no_retry();
                Err(Unlucky::OverLimit)
            }
        }
    }

    async fn work(&self, job: Job, context: &Context) -> Result<u64, Unlucky> {
        if context.attempt() == 1 {
            self.waits.record((self.clock)().saturating_since(job.sent));
        }
        let Work { duration, fate, key, .. } = job.work;
        let cached = self.cache.get(&key);
        self.sleep(duration).await;
        match fate {
            Fate::Completed => {}
            Fate::Fails(attempts) if context.attempt() > attempts => {}
            Fate::Fails(_) => return Err(Unlucky::Failed),
            Fate::Panics => panic_any(Planned),
            Fate::Hangs => pending().await,
            Fate::Cancelled => {
                // Settles the task as cancelled; then this future is dropped where it waits.
                let cancelled = self.submitter.get().map(|submitter| submitter.cancel(context.task()));
                if cancelled.is_some_and(|cancelled| cancelled.is_ok()) {
                    pending().await
                }
            }
        }
        Ok(cached.map_or_else(
            || {
                self.cache.insert(key, key);
                key
            },
            |value| *value,
        ))
    }

    async fn sleep(&self, duration: Duration) {
        let end = (self.clock)().saturating_add(duration);
        let mut timer = pin!(self.runtime.timer());
        // A timer may fire early.
        while (self.clock)() < end {
            timer.as_mut().reset(end);
            poll_fn(|context| timer.as_mut().poll(context)).await;
        }
    }
}

/// Keeps the panics that belong to the scenario off the terminal; all others are reported as before.
pub fn quiet_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().is::<Planned>() {
            usual(panic);
        }
    }));
}
