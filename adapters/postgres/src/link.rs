//! A connection to the server that is made again when it was lost.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, OnceCell};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Row, Socket, Statement};

use crate::error::{OpenError, QueueError};
use crate::options::Options;
use crate::schema;
use crate::sql::Sql;

/// What all connections of a queue have in common.
pub(crate) struct Setup {
    pub(crate) options: Options,
    pub(crate) sql: Sql,
    connect: Connect,
}

type Connect = Box<
    dyn Fn(Arc<Notify>) -> BoxFuture<'static, Result<(Client, BoxFuture<'static, ()>), Error>> + Send + Sync,
>;

impl Setup {
    pub(crate) fn new<T>(config: Config, tls: T, options: Options) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let queue: Arc<str> = options.queue.as_str().into();
        let connect = move |wake| {
            let (config, tls, queue) = (config.clone(), tls.clone(), queue.clone());
            let connected = async move {
                let (client, connection) = config.connect(tls).await?;
                let driver: BoxFuture<'static, ()> = Box::pin(drive(connection, wake, queue));
                Ok((client, driver))
            };
            Box::pin(connected) as BoxFuture<'static, _>
        };
        Self { sql: Sql::new(&options.schema), options, connect: Box::new(connect) }
    }
}

/// Carries out what the client asks for, until it is dropped or the connection is lost. Wakes the pull that waits when the queue
/// is notified, and at the end.
async fn drive<T>(mut connection: Connection<Socket, T>, wake: Arc<Notify>, queue: Arc<str>)
where
    Connection<Socket, T>: Unpin,
    T: tokio_postgres::tls::TlsStream + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
        if matches!(&message, AsyncMessage::Notification(notification) if notification.payload() == &*queue) {
            wake.notify_one();
        }
    }
    // Closed first, so that the pull finds that out.
    drop(connection);
    wake.notify_one();
}

/// A connection that works, as far as is known.
pub(crate) struct Session {
    client: Client,
    driver: Option<AbortHandle>,
    /// Whether a call on it has failed. Then it is not used again.
    has_failed: AtomicBool,
    prepared: [OnceCell<Statement>; 5],
}

/// The statements that are prepared when they are first needed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prepared {
    Pull,
    Next,
    Settle,
    Extend,
    Enqueue,
}

impl Session {
    fn is_usable(&self) -> bool {
        !self.has_failed.load(Ordering::Relaxed) && !self.client.is_closed()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Carries out a prepared statement.
    pub(crate) async fn query(
        &self,
        setup: &Setup,
        which: Prepared,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let sql = match which {
            Prepared::Pull => &setup.sql.pull,
            Prepared::Next => &setup.sql.next,
            Prepared::Settle => &setup.sql.settle,
            Prepared::Extend => &setup.sql.extend,
            Prepared::Enqueue => &setup.sql.enqueue,
        };
        let Some(cell) = self.prepared.get(which as usize) else {
            return self.client.query(sql, parameters).await;
        };
        let statement = cell.get_or_try_init(|| self.client.prepare(sql)).await?;
        self.client.query(statement, parameters).await
    }
}

/// A connection, which is made when it is needed, and again after it was lost.
pub(crate) struct Link {
    pub(crate) setup: Arc<Setup>,
    /// Notified when there may be something to pull. It keeps one notification for a pull that does not wait yet.
    pub(crate) wake: Arc<Notify>,
    listens: bool,
    session: Mutex<Option<Arc<Session>>>,
}

enum Failure {
    Open(OpenError),
    Call(Error),
}

impl Link {
    /// `listens` says whether it is to hear of jobs that are put in.
    pub(crate) fn new(setup: Arc<Setup>, listens: bool) -> Self {
        Self { setup, wake: Arc::default(), listens, session: Mutex::default() }
    }

    /// Connects, and checks what is there. Makes the tables first if the options say so.
    pub(crate) async fn open(&self) -> Result<(), OpenError> {
        let limit = self.setup.options.time_out;
        let opened = timeout(limit, async {
            *self.session.lock().await = Some(Arc::new(self.connect(self.setup.options.migrates).await?));
            Ok(())
        });
        opened.await.unwrap_or_else(|_| Err(OpenError::Unreachable(format!("no answer within {limit:?}"))))
    }

    /// Makes a call, within the time that one may take. After an error the next one has a new connection.
    pub(crate) async fn call<T, W, F>(&self, work: W) -> Result<T, QueueError>
    where
        W: FnOnce(Arc<Session>) -> F,
        F: Future<Output = Result<T, Error>>,
    {
        let limit = self.setup.options.time_out;
        let mut used = None;
        let result = timeout(limit, async {
            let session = self.session().await.map_err(Failure::Open)?;
            used = Some(session.clone());
            work(session).await.map_err(Failure::Call)
        });
        let (error, is_stuck) = match result.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(Failure::Open(error))) => (error.into(), false),
            Ok(Err(Failure::Call(error))) => (error.into(), false),
            Err(_) => (QueueError::TimedOut(limit), true),
        };
        if let Some(used) = used {
            used.has_failed.store(true, Ordering::Relaxed);
            if is_stuck {
                // Other calls on it would wait in vain, too.
                used.driver.iter().for_each(AbortHandle::abort);
            }
        }
        Err(error)
    }

    /// Closes the connection, if there is one.
    pub(crate) async fn close(&self) {
        *self.session.lock().await = None;
    }

    async fn session(&self) -> Result<Arc<Session>, OpenError> {
        let mut session = self.session.lock().await;
        if let Some(session) = session.as_ref().filter(|session| session.is_usable()) {
            return Ok(session.clone());
        }
        *session = None;
        let new = Arc::new(self.connect(false).await?);
        *session = Some(new.clone());
        Ok(new)
    }

    async fn connect(&self, migrates: bool) -> Result<Session, OpenError> {
        let Options { schema, time_out, .. } = &self.setup.options;
        let (mut client, driver) = (self.setup.connect)(self.wake.clone()).await?;
        let driver = AbortOnDrop(Some(tokio::spawn(driver).abort_handle()));
        // Plans are not to depend on statistics, which lag behind a queue: with these settings there is one way for each statement,
        // along the indexes. A step that is turned off and needed all the same looks so expensive that the statement would be
        // compiled, which costs more than it does.
        let mut settings = format!(
            "SET statement_timeout = {}; SET jit = off; SET enable_seqscan = off; SET enable_sort = off; \
             SET enable_hashjoin = off; SET enable_mergejoin = off;",
            time_out.as_millis().min(i32::MAX as u128)
        );
        if self.listens {
            settings.push_str(&format!("LISTEN \"{schema}\";"));
        }
        client.batch_execute(&settings).await?;
        if migrates {
            schema::migrate(&mut client, schema).await?;
        }
        schema::check(&client, schema).await?;
        Ok(Session {
            client,
            driver: driver.disarm(),
            has_failed: AtomicBool::new(false),
            prepared: Default::default(),
        })
    }
}

/// Ends the driver of a connection that does not come about.
struct AbortOnDrop(Option<AbortHandle>);

impl AbortOnDrop {
    fn disarm(mut self) -> Option<AbortHandle> {
        self.0.take()
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(driver) = self.0.take() {
            driver.abort();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("options", &self.setup.options).finish_non_exhaustive()
    }
}
