//! The queue, as its users have it.

use std::fmt;
use std::slice;
use std::sync::Arc;

use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, NoTls, TlsConnect};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, Error, GenericClient, Socket};

use crate::error::{OpenError, QueueError};
use crate::job::{DeadJob, Enqueued, Job, Stats};
use crate::link::{Link, Prepared, Session, Setup};
use crate::options::Options;
use crate::source::QueueSource;
use crate::{schema, sql, wire};

/// How many dead letters are removed in one transaction.
const PURGED: i64 = 1_000;

/// A durable queue in tables of a PostgreSQL database. Clones are the same queue, and share its connection. Each
/// [source](Self::source) has one of its own.
///
/// All its futures have to be polled on a tokio runtime with timers and I/O. A call that is dropped before it is ready may have
/// taken effect all the same.
#[derive(Clone)]
pub struct Queue {
    link: Arc<Link>,
}

impl Queue {
    /// Opens a queue, without encryption: for a server on this machine, or in a network that is trusted. `config` is a connection
    /// string of [`tokio_postgres::Config`], such as `host=localhost user=app dbname=app` or `postgresql://app@localhost/app`.
    ///
    /// ```no_run
    /// use plimsoll_postgres::{Job, Options, Queue};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let queue = Queue::connect("host=localhost user=app dbname=app", Options::new().queue("letters")).await?;
    /// queue.enqueue(&Job::new("a letter")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`OpenError`]: no server answers, it does not accept the role, there are no tables, or they are of another version.
    pub async fn connect(config: &str, options: Options) -> Result<Self, OpenError> {
        let config = config.parse().map_err(|error: Error| OpenError::Config(cause(&error)))?;
        Self::connect_tls(config, NoTls, options).await
    }

    /// Opens a queue with a connector for TLS, as those of `tokio-postgres-rustls` and `postgres-native-tls`. With
    /// [`NoTls`], for a configuration that is made by hand. The connector makes all further connections, too.
    ///
    /// ```no_run
    /// use plimsoll_postgres::{Options, Queue};
    /// use tokio_postgres::{Config, NoTls};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = Config::new();
    /// config.host("localhost").user("app").dbname("app").application_name("letters");
    /// let queue = Queue::connect_tls(config, NoTls, Options::new()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_tls<T>(config: Config, tls: T, options: Options) -> Result<Self, OpenError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        schema::check_schema_name(&options.schema)?;
        schema::check_queue_name(&options.queue)?;
        let link = Link::new(Arc::new(Setup::new(config, tls, options)), false);
        link.open().await?;
        Ok(Self { link: Arc::new(link) })
    }

    fn options(&self) -> &Options {
        &self.link.setup.options
    }

    /// Puts a job in. It is committed when this returns, as safely as the server's `synchronous_commit` says. It costs one round
    /// trip and one commit: many jobs are cheaper [together](Self::enqueue_many).
    ///
    /// # Errors
    /// [`QueueError`]. The job is not in the queue, or nobody knows: put in again with an [identity](Job::id), it is there once.
    pub async fn enqueue(&self, job: &Job) -> Result<Enqueued, QueueError> {
        let enqueued = self.enqueue_many(slice::from_ref(job)).await?;
        enqueued.first().copied().ok_or_else(|| QueueError::Server("no row for a job".to_owned()))
    }

    /// Puts jobs in, all or none, in one statement. They are committed when this returns, with an answer for each. Memory for a
    /// copy of all payloads.
    ///
    /// # Errors
    /// As [`enqueue`](Self::enqueue), for all of them.
    pub async fn enqueue_many(&self, jobs: &[Job]) -> Result<Vec<Enqueued>, QueueError> {
        self.check_sizes(jobs)?;
        let Options { queue, schema, notifies, .. } = self.options();
        let (jobs, setup) = (sql::Jobs::of(jobs), &*self.link.setup);
        let parameters = &jobs.parameters(queue, schema, notifies).map(|(parameter, _)| parameter);
        let added = |session: Arc<Session>| async move {
            let rows = session.query(setup, Prepared::Enqueue, parameters).await?;
            rows.iter().map(sql::enqueued).collect()
        };
        self.link.call(added).await
    }

    /// Puts jobs in within a transaction of the caller's, on the caller's own connection to the same database. They are in the queue
    /// when that is committed, together with whatever else it does, and not at all if it is rolled back.
    ///
    /// ```no_run
    /// use plimsoll_postgres::{Job, Queue};
    ///
    /// # async fn example(queue: &Queue, client: &mut tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let transaction = client.transaction().await?;
    /// transaction.execute("INSERT INTO orders (number) VALUES ($1)", &[&7_i64]).await?;
    /// queue.enqueue_in(&transaction, &[Job::new("order 7")]).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A delay begins now, and not with the commit. If another transaction that is not over has put in a job with the same
    /// [identity](Job::id), this waits for its end.
    ///
    /// # Errors
    /// [`QueueError`]. PostgreSQL has aborted the transaction then, except for [`QueueError::TooLarge`].
    pub async fn enqueue_in<C>(&self, client: &C, jobs: &[Job]) -> Result<Vec<Enqueued>, QueueError>
    where
        C: GenericClient + Sync,
    {
        self.check_sizes(jobs)?;
        let Options { queue, schema, notifies, .. } = self.options();
        let jobs = sql::Jobs::of(jobs);
        let parameters = jobs.parameters(queue, schema, notifies);
        let rows = client.query_typed(&self.link.setup.sql.enqueue, &parameters).await?;
        Ok(rows.iter().map(sql::enqueued).collect::<Result<_, _>>()?)
    }

    fn check_sizes(&self, jobs: &[Job]) -> Result<(), QueueError> {
        let most = self.options().payload;
        let too_large = jobs.iter().map(|job| job.payload.len()).find(|bytes| *bytes > most);
        too_large.map_or(Ok(()), |bytes| Err(QueueError::TooLarge { bytes, most }))
    }

    /// What a processor pulls from: see [`Access::source`](plimsoll::Access::source). Jobs are their payloads. It connects with the
    /// first pull.
    pub fn source(&self) -> QueueSource<Vec<u8>> {
        self.source_with(Ok::<_, QueueError>)
    }

    /// As [`source`](Self::source), with jobs that `decode` makes of the payloads. What it can't decode is a dead letter, with the
    /// text of its error. A panic in it is such an error.
    ///
    /// ```
    /// # use plimsoll_postgres::Queue;
    /// fn numbers(queue: &Queue) -> plimsoll_postgres::QueueSource<u64> {
    ///     queue.source_with(|payload| <[u8; 8]>::try_from(payload).map(u64::from_le_bytes).map_err(|_| "not 8 bytes"))
    /// }
    /// ```
    pub fn source_with<J, E, D>(&self, decode: D) -> QueueSource<J>
    where
        E: fmt::Display,
        D: Fn(Vec<u8>) -> Result<J, E> + Send + Sync + 'static,
    {
        QueueSource::new(Link::new(self.link.setup.clone(), true), decode)
    }

    /// Dead letters, by number, from this one on and at most so many.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn dead(&self, from: u64, most: usize) -> Result<Vec<DeadJob>, QueueError> {
        // There are no numbers beyond those of the type that stores them.
        let Ok(from) = i64::try_from(from) else { return Ok(Vec::new()) };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (queue, sql) = (&self.options().queue, &self.link.setup.sql);
        let dead = |session: Arc<Session>| async move {
            let parameters: [(&(dyn ToSql + Sync), _); 3] =
                [(queue, Type::TEXT), (&from, Type::INT8), (&most, Type::INT8)];
            let rows = session.client().query_typed(&sql.dead, &parameters).await?;
            rows.iter().map(sql::dead_job).collect()
        };
        self.link.call(dead).await
    }

    /// Puts a dead letter back into the queue, as if it had never been delivered. Returns whether it has: not if there is none, or if
    /// a job with its [identity](Job::id) is in the queue.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn requeue(&self, number: u64) -> Result<bool, QueueError> {
        let number = wire::signed(number);
        let (Options { queue, schema, notifies, .. }, sql) = (self.options(), &self.link.setup.sql);
        let requeued = |session: Arc<Session>| async move {
            let parameters: [(&(dyn ToSql + Sync), _); 4] =
                [(queue, Type::TEXT), (&number, Type::INT8), (schema, Type::TEXT), (notifies, Type::BOOL)];
            match session.client().query_typed_one(&sql.requeue, &parameters).await {
                Ok(row) => row.try_get::<_, i64>(0),
                // A job with its identity has come in between.
                Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(0),
                Err(error) => Err(error),
            }
        };
        self.link.call(requeued).await.map(|requeued| requeued > 0)
    }

    /// Removes a dead letter for good. Returns whether there was one.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn purge(&self, number: u64) -> Result<bool, QueueError> {
        let sql = &self.link.setup.sql.purge;
        self.remove(sql, wire::signed(number)).await.map(|purged| purged > 0)
    }

    /// Removes all dead letters for good, 1,000 in one transaction, and returns how many those were.
    ///
    /// # Errors
    /// [`QueueError`]. Some may be gone.
    pub async fn purge_all(&self) -> Result<u64, QueueError> {
        let mut purged = 0;
        loop {
            match self.remove(&self.link.setup.sql.purge_some, PURGED).await? {
                0 => return Ok(purged),
                some => purged += some,
            }
        }
    }

    async fn remove(&self, sql: &str, number: i64) -> Result<u64, QueueError> {
        let queue = &self.options().queue;
        let removed = |session: Arc<Session>| async move {
            session.client().execute_typed(sql, &[(queue, Type::TEXT), (&number, Type::INT8)]).await
        };
        self.link.call(removed).await
    }

    /// How many jobs there are. Counts all of the queue's rows.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn stats(&self) -> Result<Stats, QueueError> {
        let (queue, sql) = (&self.options().queue, &self.link.setup.sql.stats);
        let stats = |session: Arc<Session>| async move {
            sql::stats(&session.client().query_typed_one(sql, &[(queue, Type::TEXT)]).await?)
        };
        self.link.call(stats).await
    }
}

/// What a connection string lacks.
fn cause(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Debug for Queue {
    /// Shows the options, and nothing of the connection's configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("options", self.options()).finish_non_exhaustive()
    }
}
