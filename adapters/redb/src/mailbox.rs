//! What is asked of the writer.

use std::time::Instant;

use futures_channel::oneshot;
use plimsoll::source::Verdict;

use crate::error::QueueError;
use crate::job::{DeadJob, Enqueued, Job, Receipt, Stats};
use crate::store::Pulled;

/// Gets the answer when it is on disk.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, QueueError>>;

/// How many calls wait for the writer at most; further ones wait for those.
pub(crate) const CALLS: usize = 1_024;

pub(crate) enum Call {
    Enqueue {
        jobs: Vec<Job>,
        reply: Reply<Vec<Enqueued>>,
    },
    Pull(Pull),
    Settle {
        source: u64,
        verdicts: Vec<(Receipt, Verdict)>,
        reply: Reply<u32>,
    },
    /// Nobody has the deliveries of this source any more.
    Release {
        source: u64,
    },
    Dead {
        from: u64,
        most: usize,
        reply: Reply<Vec<DeadJob>>,
    },
    Requeue {
        number: u64,
        reply: Reply<bool>,
    },
    Purge {
        number: u64,
        reply: Reply<bool>,
    },
    /// Removes some of the dead letters, and says how many.
    PurgeSome {
        reply: Reply<u64>,
    },
    Stats {
        reply: Reply<Stats>,
    },
    Compact {
        reply: Reply<bool>,
    },
}

/// A pull, which waits for the first job.
pub(crate) struct Pull {
    pub(crate) source: u64,
    pub(crate) room: u32,
    pub(crate) until: Instant,
    pub(crate) reply: Reply<Vec<Pulled>>,
}
