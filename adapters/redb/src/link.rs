//! The open file behind queues and sources.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle, ThreadId};

use async_channel::Sender;
use futures_channel::oneshot;

use crate::error::{OpenError, QueueError};
use crate::mailbox::{CALLS, Call, Reply};
use crate::options::Options;
use crate::store::{Outlook, Store, VERSION};
use crate::writer::Writer;

/// An open file: the way to the thread that writes it, which ends with this.
pub(crate) struct Link {
    calls: Sender<Call>,
    options: Options,
    /// A number of the file's own, so that a job has another identity than one with its number in another file.
    pub(crate) born: u64,
    next_source: AtomicU64,
    writer: Option<JoinHandle<()>>,
    thread: ThreadId,
}

impl Link {
    /// Opens the file, or makes a new one, and starts its thread.
    pub(crate) fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let database = options.builder().create(path)?;
        let (outlook, born) = prepare(&database)?;
        let (calls, mailbox) = async_channel::bounded(CALLS);
        let writer = Writer::new(path.to_owned(), options, database, mailbox, outlook);
        let thread = thread::Builder::new().name("plimsoll-redb".to_owned());
        let writer = thread.spawn(|| writer.run()).map_err(OpenError::Io)?;
        let (thread, next_source) = (writer.thread().id(), AtomicU64::new(0));
        Ok(Self { calls, options, born, next_source, writer: Some(writer), thread })
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    /// A number that no other source of this file has had since it was opened.
    pub(crate) fn next_source(&self) -> u64 {
        self.next_source.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a call, and waits for the answer.
    pub(crate) async fn call<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, QueueError> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(call(reply)).await.map_err(|_| QueueError::Closed)?;
        answer.await.map_err(|_| QueueError::Closed)?
    }

    /// Whether this is the writer's thread, which drops answers without a receiver.
    fn is_on_writer(&self) -> bool {
        thread::current().id() == self.thread
    }

    /// Gives the deliveries of a source back. May block for as long as the writer is busy.
    pub(crate) fn release(&self, source: u64) {
        let call = Call::Release { source };
        // Once it is closed there is nothing to give back to.
        drop(if self.is_on_writer() {
            self.calls.force_send(call).map(drop)
        } else {
            self.calls.send_blocking(call)
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // The writer ends when it has answered all calls.
        self.calls.close();
        if let Some(writer) = self.writer.take().filter(|_| !self.is_on_writer()) {
            drop(writer.join());
        }
    }
}

/// Makes the tables, or checks their version.
fn prepare(database: &redb::Database) -> Result<(Outlook, u64), OpenError> {
    let damaged = |error: redb::Error| match error {
        redb::Error::Io(error) => OpenError::Io(error),
        other => OpenError::Damaged(other.to_string()),
    };
    let transaction = database.begin_write().map_err(|error| damaged(error.into()))?;
    let outlook = {
        let mut store = Store::open(&transaction).map_err(damaged)?;
        let found = store.version().map_err(damaged)?;
        if found != VERSION {
            return Err(OpenError::Version { found, expected: VERSION });
        }
        (store.outlook().map_err(damaged)?, store.born().map_err(damaged)?)
    };
    transaction.commit().map_err(|error| damaged(error.into()))?;
    Ok(outlook)
}
