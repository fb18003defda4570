//! What goes into a queue, and what is seen of it.

use std::fmt;
use std::time::{Duration, SystemTime};

use plimsoll::source::Death;

/// A job to be put into a queue.
///
/// ```
/// use plimsoll_postgres::Job;
/// use std::time::Duration;
///
/// let job = Job::new("send the invoice").id("invoice 7").priority(1).delay(Duration::from_secs(60)).key(42);
/// # let _ = job;
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Job {
    pub(crate) payload: Vec<u8>,
    pub(crate) id: Option<String>,
    pub(crate) priority: i16,
    pub(crate) delay: Duration,
    pub(crate) key: Option<u64>,
}

impl Job {
    /// A job with this payload, which its handler gets as it is.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), id: None, priority: 0, delay: Duration::ZERO, key: None }
    }

    /// Sets its identity: while a job with it is in the queue, another one is not put in. One that is done or dead is not in the
    /// queue any more. PostgreSQL refuses a text with a zero character. Default: none.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Sets its priority: jobs with a higher one are delivered first. Default 0.
    pub fn priority(self, priority: i16) -> Self {
        Self { priority, ..self }
    }

    /// Sets how long it is kept back from the time on at which it is put in, to a microsecond, by the server's clock. At most 100
    /// years. Default: not at all.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Sets its key: jobs with the same one are done one after the other, by a processor with
    /// [lanes](plimsoll::Builder::lanes). Processors do not know of each other's. It is kept by the engine: never a
    /// [`lane_key`](plimsoll::lane_key), which is another one in the next process; take a number of your own, such as the tenant's
    /// in your database. Default: none.
    pub fn key(self, key: u64) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl fmt::Debug for Job {
    /// Shows sizes, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("bytes", &self.payload.len())
            .field("has_id", &self.id.is_some())
            .field("priority", &self.priority)
            .field("delay", &self.delay)
            .field("has_key", &self.key.is_some())
            .finish()
    }
}

/// What became of a job that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Enqueued {
    /// It is in the queue, with this number.
    New(u64),
    /// One with its [identity](Job::id) is in the queue already, and this one was not put in.
    Known,
}

/// A job that is kept aside.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadJob {
    /// Its number.
    pub number: u64,
    /// What was to be done.
    pub payload: Vec<u8>,
    /// Why it is dead. `None` if a later version of this crate knows.
    pub why: Option<Death>,
    /// The text of the last error.
    pub message: String,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Since when it is dead, by the server's clock.
    pub since: SystemTime,
}

impl fmt::Debug for DeadJob {
    /// Shows all but the payload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadJob")
            .field("number", &self.number)
            .field("bytes", &self.payload.len())
            .field("why", &self.why)
            .field("message", &self.message)
            .field("deliveries", &self.deliveries)
            .field("since", &self.since)
            .finish()
    }
}

/// How many jobs there are in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Jobs that can be pulled. A delivery whose lease has run out is one of them.
    pub ready: u64,
    /// Jobs that are kept back.
    pub delayed: u64,
    /// Deliveries that are out.
    pub out: u64,
    /// Dead letters.
    pub dead: u64,
}

impl Stats {
    /// Jobs that are neither done nor dead.
    #[must_use]
    pub const fn jobs(&self) -> u64 {
        self.ready + self.delayed + self.out
    }
}

/// Names one delivery of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    pub(crate) number: i64,
    pub(crate) token: i64,
}
