//! What can go wrong.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::time::Duration;

use tokio_postgres::error::SqlState;

/// A queue could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// A name can't be used as that of a schema or of a queue. See [`Options::schema`](crate::Options::schema) and
    /// [`Options::queue`](crate::Options::queue).
    Name(String),
    /// The connection string can't be read, or the configuration is incomplete.
    Config(String),
    /// No server answers there, within [`Options::time_out`](crate::Options::time_out).
    Unreachable(String),
    /// The server does not accept the role or its password.
    Credentials(String),
    /// The role may not use the tables, or not make them.
    Permission(String),
    /// The server has no such database.
    NoDatabase(String),
    /// The database has no queue in this schema: call [`migrate`](crate::migrate) once, or set
    /// [`Options::migrate`](crate::Options::migrate).
    NoSchema(String),
    /// The tables are of another version: an older one has to be [migrated](crate::migrate), a newer one needs a newer version of
    /// this crate.
    Version {
        /// The version of the tables.
        found: u32,
        /// The version that this crate reads and writes.
        expected: u32,
    },
    /// The database does not store text as UTF-8, but in this encoding.
    Encoding(String),
    /// The server has refused something else, for this reason.
    Server(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(what) => write!(f, "a name can't be used: {what}"),
            Self::Config(what) => write!(f, "the configuration can't be used: {what}"),
            Self::Unreachable(what) => write!(f, "no server answers: {what}"),
            Self::Credentials(what) => write!(f, "the server does not accept the credentials: {what}"),
            Self::Permission(what) => write!(f, "the role lacks a permission: {what}"),
            Self::NoDatabase(what) => write!(f, "there is no such database: {what}"),
            Self::NoSchema(schema) => write!(f, "there is no queue in the schema {schema}: migrate it first"),
            Self::Version { found, expected } => {
                write!(f, "the tables have the version {found}, and this is for version {expected}")
            }
            Self::Encoding(encoding) => {
                write!(f, "the database has the encoding {encoding}, and it has to be UTF8")
            }
            Self::Server(what) => write!(f, "the server has refused: {what}"),
        }
    }
}

impl Error for OpenError {}

impl From<tokio_postgres::Error> for OpenError {
    fn from(error: tokio_postgres::Error) -> Self {
        let what = text(&error);
        let Some(code) = error.code() else {
            let starts = |prefix| error.to_string().starts_with(prefix);
            // Without a password in the configuration, the error is one of that.
            return if starts("authentication error") || what.ends_with("password missing") {
                Self::Credentials(what)
            } else if starts("invalid con") {
                Self::Config(what)
            } else {
                Self::Unreachable(what)
            };
        };
        match code {
            code if code.code().starts_with("28") => Self::Credentials(what),
            code if *code == SqlState::INSUFFICIENT_PRIVILEGE => Self::Permission(what),
            code if *code == SqlState::INVALID_CATALOG_NAME => Self::NoDatabase(what),
            code if is_gone(code) => Self::Unreachable(what),
            _ => Self::Server(what),
        }
    }
}

/// A call of a queue failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// The server has refused the call, for this reason: a full disk, for instance. Nothing of it has taken effect.
    Server(String),
    /// There is no connection, or it was lost during the call. In that case nobody knows whether the call has taken effect. The
    /// next one connects again.
    Lost(String),
    /// The server has not answered within [`Options::time_out`](crate::Options::time_out). The connection is closed, and nobody
    /// knows whether the call has taken effect. The next one connects again.
    TimedOut(Duration),
    /// A job is larger than [`Options::payload`](crate::Options::payload) allows.
    TooLarge {
        /// The job's bytes.
        bytes: usize,
        /// The most that are allowed.
        most: usize,
    },
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(what) => write!(f, "the server has refused: {what}"),
            Self::Lost(what) => write!(f, "there is no connection: {what}"),
            Self::TimedOut(time) => write!(f, "the server has not answered within {time:?}"),
            Self::TooLarge { bytes, most } => {
                write!(f, "a job of {bytes} bytes is larger than the {most} that are allowed")
            }
        }
    }
}

impl Error for QueueError {}

impl From<OpenError> for QueueError {
    fn from(error: OpenError) -> Self {
        Self::Lost(error.to_string())
    }
}

impl From<tokio_postgres::Error> for QueueError {
    fn from(error: tokio_postgres::Error) -> Self {
        let what = text(&error);
        if error.code().is_some_and(|code| !is_gone(code)) { Self::Server(what) } else { Self::Lost(what) }
    }
}

/// Whether a code says that the server ends the connection, or does not accept any: operator intervention, too many connections,
/// a broken connection.
fn is_gone(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("57P") || code.starts_with("08") || code == "53300"
}

/// An error with its causes, in one line.
fn text(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
