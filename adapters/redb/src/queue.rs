//! The queue, as its users have it.

use std::fmt;
use std::path::Path;
use std::slice;
use std::sync::Arc;

use crate::error::{OpenError, QueueError};
use crate::job::{DeadJob, Enqueued, Job, Stats};
use crate::link::Link;
use crate::mailbox::Call;
use crate::options::Options;
use crate::source::QueueSource;

/// A durable queue in one file. Clones are the same queue; the file is closed with the last of them and of its sources, when all
/// calls are answered.
#[derive(Clone)]
pub struct Queue {
    link: Arc<Link>,
}

impl Options {
    /// Opens a queue with these options. See [`Queue::open`].
    ///
    /// # Errors
    /// As there.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Queue, OpenError> {
        Link::open(path.as_ref(), self).map(|link| Queue { link: Arc::new(link) })
    }
}

impl Queue {
    /// Opens the queue in this file, or makes a new one. Deliveries that were out when it was last closed can be pulled again.
    /// Blocks: reads the file to check it, unless [`Options::check`] says no.
    ///
    /// # Errors
    /// [`OpenError`]: another process has it, it is no queue or a damaged one, or it can't be read or written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Options::new().open(path)
    }

    /// Puts a job in, a copy of it. It is on disk when this returns.
    ///
    /// # Errors
    /// [`QueueError`]. The job is not in the queue then.
    pub async fn enqueue(&self, job: &Job) -> Result<Enqueued, QueueError> {
        let enqueued = self.enqueue_many(slice::from_ref(job)).await?;
        enqueued.first().copied().ok_or(QueueError::Closed)
    }

    /// Puts jobs in, all or none, in one commit. They are on disk when this returns, with an answer for each.
    ///
    /// # Errors
    /// [`QueueError`]. None of them is in the queue then.
    pub async fn enqueue_many(&self, jobs: &[Job]) -> Result<Vec<Enqueued>, QueueError> {
        let most = self.link.options().payload;
        if let Some(bytes) = jobs.iter().map(|job| job.payload.len()).find(|bytes| *bytes > most) {
            return Err(QueueError::TooLarge { bytes, most });
        }
        let jobs = jobs.to_vec();
        self.link.call(|reply| Call::Enqueue { jobs, reply }).await
    }

    /// What a processor pulls from: see [`Access::source`](plimsoll::Access::source). Jobs are their payloads.
    pub fn source(&self) -> QueueSource<Vec<u8>> {
        self.source_with(Ok::<_, QueueError>)
    }

    /// As [`source`](Self::source), with jobs that `decode` makes of the payloads. What it can't decode is a dead letter, with the
    /// text of its error.
    ///
    /// ```
    /// # use plimsoll_redb::Queue;
    /// fn numbers(queue: &Queue) -> plimsoll_redb::QueueSource<u64> {
    ///     queue.source_with(|payload| <[u8; 8]>::try_from(payload).map(u64::from_le_bytes).map_err(|_| "not 8 bytes"))
    /// }
    /// ```
    pub fn source_with<J, E, D>(&self, decode: D) -> QueueSource<J>
    where
        E: fmt::Display,
        D: Fn(Vec<u8>) -> Result<J, E> + Send + Sync + 'static,
    {
        QueueSource::new(self.link.clone(), decode)
    }

    /// Dead letters, by number, from this one on and at most so many.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn dead(&self, from: u64, most: usize) -> Result<Vec<DeadJob>, QueueError> {
        self.link.call(|reply| Call::Dead { from, most, reply }).await
    }

    /// Puts a dead letter back into the queue, as if it had never been delivered. Returns whether there was one.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn requeue(&self, number: u64) -> Result<bool, QueueError> {
        self.link.call(|reply| Call::Requeue { number, reply }).await
    }

    /// Removes a dead letter for good. Returns whether there was one.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn purge(&self, number: u64) -> Result<bool, QueueError> {
        self.link.call(|reply| Call::Purge { number, reply }).await
    }

    /// Removes all dead letters for good, 256 in one commit, and returns how many those were.
    ///
    /// # Errors
    /// [`QueueError`]. Some may be gone.
    pub async fn purge_all(&self) -> Result<u64, QueueError> {
        let mut purged = 0;
        loop {
            match self.link.call(|reply| Call::PurgeSome { reply }).await? {
                0 => return Ok(purged),
                some => purged += some,
            }
        }
    }

    /// How many jobs there are.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        self.link.call(|reply| Call::Stats { reply }).await
    }

    /// Makes the file as small as its contents. Everybody waits for it, for about as long as it takes to copy those. A file of
    /// over 4 MiB with less than a quarter of that in it, and no more than 16 MiB, is compacted by itself when the queue is empty.
    /// Returns whether it has become smaller.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn compact(&self) -> Result<bool, QueueError> {
        self.link.call(|reply| Call::Compact { reply }).await
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("options", self.link.options()).finish_non_exhaustive()
    }
}
