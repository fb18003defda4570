//! What goes into a queue, and what is seen of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use async_nats::Subject;
use bytes::Bytes;

/// A job to be put into a queue.
///
/// ```
/// use plimsoll_nats::Job;
///
/// let job = Job::new("send the invoice").id("invoice 7").key(42);
/// # let _ = job;
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Job {
    pub(crate) payload: Vec<u8>,
    pub(crate) id: Option<String>,
    pub(crate) key: Option<u64>,
}

impl Job {
    /// How many bytes an identity may have. It travels in a header, so it may have no line break either, is not empty, and neither
    /// begins nor ends with white space.
    pub const LONGEST_ID: usize = crate::wire::LONGEST_ID;

    /// A job with this payload, which its handler gets as it is.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into(), id: None, key: None }
    }

    /// Sets its identity (the `Nats-Msg-Id`): another job with it is not put in within the stream's duplicate window. Default:
    /// none.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Sets its key: jobs with the same one are done one after the other, by one processor with
    /// [lanes](plimsoll::Builder::lanes). It is kept by the engine: never a [`lane_key`](plimsoll::lane_key), which is another
    /// one in the next process; take a number of your own, such as the tenant's in your database. Default: none.
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
            .field("has_key", &self.key.is_some())
            .finish()
    }
}

/// What became of a job that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Enqueued {
    /// It is in the stream, with this number.
    New(u64),
    /// One with its identity was put in lately.
    Known,
}

/// A job that is kept aside.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadJob {
    /// Its number in the stream of dead letters.
    pub number: u64,
    /// What was to be done.
    pub payload: Vec<u8>,
    /// Why it is dead, in words.
    pub why: String,
    /// The text of the last error.
    pub message: String,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Its key.
    pub key: Option<u64>,
    /// How many bytes the payload had, if only its beginning is kept: others may publish jobs that leave no room for the reason
    /// within the server's `max_payload`.
    pub cut: Option<usize>,
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
            .finish_non_exhaustive()
    }
}

/// How many jobs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Jobs that are neither done nor dead. A server that was killed may count some that were acknowledged shortly before, too.
    pub jobs: u64,
    /// Deliveries that are out, or wait to be delivered again.
    pub out: u64,
    /// Dead letters.
    pub dead: u64,
    /// Messages in the stream of jobs. A server that was killed may keep some that were acknowledged shortly before, and delivers
    /// them no more: purge them when there are no [`jobs`](Self::jobs).
    pub stored: u64,
}

/// Names one delivery of a job.
#[derive(Clone)]
pub struct Receipt {
    pub(crate) reply: Subject,
    pub(crate) payload: Bytes,
    pub(crate) number: u64,
    pub(crate) deliveries: u32,
    pub(crate) key: Option<u64>,
    /// Until when it is leased, in milliseconds since the source was made.
    pub(crate) leased_until: Arc<AtomicU64>,
}

impl fmt::Debug for Receipt {
    /// Shows numbers, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("number", &self.number)
            .field("deliveries", &self.deliveries)
            .finish_non_exhaustive()
    }
}
