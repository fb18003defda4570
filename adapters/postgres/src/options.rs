//! How a queue is opened.

use std::time::Duration;

/// How a queue is opened.
///
/// ```
/// use plimsoll_postgres::Options;
/// use std::time::Duration;
///
/// let options = Options::new().queue("invoices").lease(Duration::from_secs(60));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Options {
    pub(crate) schema: String,
    pub(crate) queue: String,
    pub(crate) lease: Duration,
    pub(crate) poll: Duration,
    pub(crate) time_out: Duration,
    pub(crate) payload: usize,
    pub(crate) notifies: bool,
    pub(crate) migrates: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The shortest lease.
    const SHORTEST: Duration = Duration::from_millis(10);

    /// The defaults.
    pub fn new() -> Self {
        Self {
            schema: "plimsoll".to_owned(),
            queue: "default".to_owned(),
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            time_out: Duration::from_secs(5),
            payload: 1 << 20,
            notifies: true,
            migrates: false,
        }
    }

    /// Sets the schema with the tables: lower-case ASCII letters, digits and underscores, at most 63, and no digit in front. It is
    /// the channel of `LISTEN` and `NOTIFY`, too. Default: `plimsoll`.
    pub fn schema(self, schema: impl Into<String>) -> Self {
        Self { schema: schema.into(), ..self }
    }

    /// Sets the queue's name, of 1 to 255 bytes and without a zero character. The queues of a schema share its tables, and nothing
    /// else. Default: `default`.
    pub fn queue(self, queue: impl Into<String>) -> Self {
        Self { queue: queue.into(), ..self }
    }

    /// Sets for how long a delivery belongs to its puller, which renews the lease each third of it. The jobs of a process that has
    /// died are delivered again after that time. At least 10 ms. Default: 30 s.
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease: lease.max(Self::SHORTEST), ..self }
    }

    /// Sets after how long at most a pull that waits looks again, without having heard anything: a notification can be lost with
    /// a connection, or be turned off. At least 1 ms. Default: a second.
    pub fn poll(self, interval: Duration) -> Self {
        Self { poll: interval.max(Duration::from_millis(1)), ..self }
    }

    /// Sets after how long a call that the server has not answered is an error, connecting included. The server cancels a
    /// statement after that time, too. The calls of one [`Queue`](crate::Queue) follow each other on one connection, so each waits
    /// for those before it. At least 10 ms. Default: 5 s.
    pub fn time_out(self, time: Duration) -> Self {
        Self { time_out: time.max(Self::SHORTEST), ..self }
    }

    /// Sets how large the payload of a job may be, in bytes. Default: 1 MiB.
    pub fn payload(self, most: usize) -> Self {
        Self { payload: most, ..self }
    }

    /// Sets whether a transaction that puts jobs in notifies the pullers that wait. PostgreSQL commits transactions with a
    /// notification one after the other, in all of its databases. Where that is the bottleneck, say no, and pullers find jobs after
    /// [`poll`](Self::poll). Default: yes.
    pub fn notify(self, notify: bool) -> Self {
        Self { notifies: notify, ..self }
    }

    /// Sets whether the queue is [migrated](crate::migrate) when it is opened, within [`time_out`](Self::time_out). The role needs the permission to make tables then,
    /// and the schema if there is none. Default: no.
    pub fn migrate(self, migrate: bool) -> Self {
        Self { migrates: migrate, ..self }
    }
}
