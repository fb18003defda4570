//! What a task processor must show so that it has none of the nine leaks: nine requirements, written once over
//! [`Subject`], which the leaky processor ([`before`](crate::before)) and plimsoll both implement.
//!
//! A requirement says what it saw instead of panicking, so that one run can give the whole matrix. Each builds
//! only the parts of the processor that its leak is about: a leak then fails its own requirement and no other.

mod before;
mod nine;
mod plimsoll;
mod watched;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

pub use self::before::{Before, BeforeWorld};
pub use self::nine::{NAMES, all};
pub use self::plimsoll::{Ends, Executor, OnSmol, OnThread, OnTokio, Plimsoll, PlimsollWorld};
pub use self::watched::Watched;

/// A task processor under observation.
///
/// It stays observable after its end, as an object does that somebody still refers to.
pub trait Subject: Sized {
    /// Where it lives: an event loop or a runtime.
    type World;
    /// An event emitter that others listen to as well.
    type Emitter: Emitter;
    /// Names an added task.
    type Task;
    /// A subscriber, for [`unsubscribe`](Self::unsubscribe).
    type Subscription;

    /// Whether single tasks can be cancelled, and expire when they wait for too long. The original can't.
    const CANCELS: bool;

    /// Lets time pass.
    fn let_pass(world: &Self::World, time: Duration);
    /// How many timers the world has armed or keeps for a processor.
    fn world_timers(world: &Self::World) -> usize;
    /// An emitter with one listener each for tasks, batches and errors that belong to a stranger.
    fn emitter(world: &Self::World) -> Self::Emitter;

    /// A processor.
    fn create(world: &Self::World, setup: Setup) -> Self;
    /// Adds a task; `None` when it was refused.
    fn add(&self, task: Task) -> Option<Self::Task>;
    /// Cancels a task, for subjects that can.
    fn cancel(&self, task: &Self::Task);
    /// Takes tasks, batches and errors from an emitter.
    fn attach(&mut self, emitter: &Self::Emitter);
    /// Detaches what was attached last.
    fn detach(&mut self);
    /// Caches a value.
    fn cache_set(&self, key: u64, value: Token);
    /// Whether a value is cached.
    fn cache_get(&self, key: u64) -> bool;
    /// Subscribes with a context, which the subscriber captures.
    fn subscribe(&self, context: Token) -> Self::Subscription;
    /// Ends a subscription.
    fn unsubscribe(&self, subscription: Self::Subscription);
    /// Counts health events in `seen` from now on.
    fn watch_health(&self, seen: Arc<AtomicUsize>);
    /// How many bytes the last error takes by itself, if there is one.
    fn last_error_bytes(&self) -> Option<usize>;
    /// What it holds now.
    fn held(&self) -> Held;
    /// Ends the processor.
    fn end(&mut self);
}

/// An emitter with a stranger's listeners.
pub trait Emitter {
    /// How many listeners there are for tasks, batches and errors.
    fn listeners(&self) -> [usize; 3];
    /// Emits an error, then a task and a batch, with tokens of `payload` in their jobs.
    fn emit(&self, payload: &Tally);
    /// How many events the stranger has heard.
    fn heard(&self) -> usize;
}

/// What a processor is built with.
#[derive(Debug, Default)]
pub struct Setup {
    /// Tasks that run at a time; 0 for the subject's default.
    pub concurrency: u32,
    /// Entries of the cache.
    pub cache: u32,
    /// The interval of health events.
    pub health_every: Option<Duration>,
    /// The interval of the cleanup.
    pub cleanup_every: Option<Duration>,
    /// Captured by the processor: lives as long as the instance.
    pub context: Option<Token>,
}

/// A task to be added.
#[derive(Default)]
pub struct Task {
    /// What it does.
    pub work: Work,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// How long it may wait, for subjects that can.
    pub expiry: Option<Duration>,
    /// Belongs to the job.
    pub payload: Option<Token>,
    /// Is told of the outcome.
    pub callback: Option<Box<dyn Fn(Ending) + Send>>,
}

/// What a task does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Work {
    /// Completes at once.
    #[default]
    Complete,
    /// Fails at once.
    Fail,
    /// Panics at once.
    Panic,
    /// Never ends by itself.
    Hang,
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an output.
    Completed,
    /// With an error.
    Failed,
    /// With a panic, or an exception thrown.
    Panicked,
    /// It ran for too long.
    TimedOut,
    /// It was cancelled, or the processor ended.
    Cancelled,
    /// It waited for too long.
    Expired,
}

/// What a processor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Timers armed, intervals included.
    pub timers: usize,
    /// Of these, intervals.
    pub intervals: usize,
    /// Callbacks.
    pub callbacks: usize,
    /// Cached values.
    pub cached: usize,
    /// Subscribers.
    pub subscribers: usize,
}

/// Counts the tokens that are live. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<AtomicUsize>);

/// Something that can be seen to be dropped.
#[derive(Debug)]
pub struct Token(Arc<AtomicUsize>);

impl Tally {
    /// One more.
    #[must_use]
    pub fn token(&self) -> Token {
        self.0.fetch_add(1, SeqCst);
        Token(self.0.clone())
    }

    /// How many there are.
    #[must_use]
    pub fn live(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Where a requirement is tested.
#[derive(Debug)]
pub struct Stage<'a, S: Subject> {
    /// The subject's world, which nobody else uses.
    pub world: &'a S::World,
    /// Bytes that the whole process has allocated and not freed.
    pub live_bytes: fn() -> usize,
}

impl<S: Subject> Stage<'_, S> {
    /// No test depends on it: a condition that holds is seen at once, one that will never hold is given up.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Lets time pass until `holds`, or says what there was instead.
    fn wait_for<D: Display>(&self, mut holds: impl FnMut() -> bool, otherwise: impl FnOnce() -> D) -> Seen {
        let mut waited = Duration::ZERO;
        let mut step = Duration::from_micros(100);
        while !holds() {
            if waited >= Self::PATIENCE {
                return Err(otherwise().to_string());
            }
            S::let_pass(self.world, step);
            waited += step;
            step = (step * 2).min(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// What a requirement has seen: what it asks for, or something else.
pub type Seen = Result<(), String>;

/// One of the nine.
pub type Requirement<S> = fn(&Stage<'_, S>) -> Seen;

/// `Err` with this text unless it holds.
fn expect<D: Display>(holds: bool, otherwise: impl FnOnce() -> D) -> Seen {
    if holds { Ok(()) } else { Err(otherwise().to_string()) }
}
