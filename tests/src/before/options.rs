//! What is given to the processor and what it tells.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::{Done, Leaks};

/// The function of a task. It answers through the [`Done`] it is given, at once or later. A task keeps its
/// function, with all that it captured, for as long as the task itself is kept.
pub type Work = Rc<dyn Fn(Done)>;

/// Is told how a task ended.
pub type Callback = Rc<dyn Fn(&Settled)>;

/// Is told what happens.
pub type Subscriber = Rc<dyn Fn(&Notice)>;

/// What is told to subscribers and to the listeners of `health`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `settled` or `health`.
    pub event: &'static str,
    /// Tasks that wait.
    pub pending: usize,
    /// Tasks that run.
    pub processing: usize,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It resolved with this value.
    Completed(u64),
    /// It rejected with this message.
    Failed(String),
    /// Its function threw.
    Thrown,
    /// Its time-out passed.
    TimedOut,
    /// The processor was destroyed first.
    Cancelled,
}

/// The options of the constructor.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Tasks that run at a time.
    pub max_concurrency: usize,
    /// Entries of the cache.
    pub cache_size: usize,
    /// Results that are kept.
    pub max_results: usize,
    /// For how long a result is kept.
    pub result_ttl: Duration,
    /// The interval of health events, if there are to be any.
    pub health_every: Option<Duration>,
    /// The interval of the cleanup of results, if there is to be one.
    pub cleanup_every: Option<Duration>,
    /// Which omissions it has.
    pub leaks: Leaks,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_concurrency: 10,
            cache_size: 100,
            max_results: 1_000,
            result_ttl: Duration::from_secs(300),
            health_every: Some(Duration::from_secs(30)),
            cleanup_every: Some(Duration::from_secs(60)),
            leaks: Leaks::NONE,
        }
    }
}

/// The options of [`TaskProcessor::add_task`](super::TaskProcessor::add_task).
#[derive(Clone, Default)]
pub struct AddOptions {
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Anything.
    pub metadata: String,
    /// Called once, with its outcome.
    pub callback: Option<Callback>,
}

/// Without its callback, which need not be printable.
impl fmt::Debug for AddOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddOptions").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
