//! On what terms one task is submitted.

use std::time::Duration;

use crate::{Priority, Retry, Timeouts};

/// The terms of one task. What is `None` is as the [`Builder`](crate::Builder) was told.
///
/// ```
/// use plimsoll::{Options, Priority};
/// use std::time::Duration;
///
/// let options = Options::new("meta").priority(Priority::HIGHEST).delay(Duration::from_millis(5));
/// assert_eq!(options.meta, "meta");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Options<M = ()> {
    /// Small data about the task, copied into events and the last error, and given to the handler.
    pub meta: M,
    /// In which class of the queue it waits.
    pub priority: Option<Priority>,
    /// How long it is kept back before it is queued.
    pub delay: Duration,
    /// Its time-outs.
    pub timeouts: Option<Timeouts>,
    /// How often it is tried. More than one try needs a builder that was given
    /// [`retry`](crate::Builder::retry), because only then is the job cloned.
    pub retry: Option<Retry>,
}

impl<M> Options<M> {
    /// These metadata, and the builder's defaults for everything else.
    pub const fn new(meta: M) -> Self {
        Self { meta, priority: None, delay: Duration::ZERO, timeouts: None, retry: None }
    }

    /// Sets the class of the queue.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets how long it is kept back before it is queued.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets the time-outs, all three of them.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = Some(timeouts);
        self
    }

    /// Sets how often it is tried.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }
}
