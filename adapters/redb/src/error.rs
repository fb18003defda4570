//! What can go wrong.

use std::error::Error;
use std::fmt;

/// A queue could not be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the file, or this one has opened it already: share the [`Queue`](crate::Queue).
    InUse,
    /// The file is no queue, or it is damaged: give another path, or restore it.
    Damaged(String),
    /// The queue was made by another version of this crate: use that one to empty it.
    Version {
        /// The version of the file's contents.
        found: u64,
        /// The version that this crate reads and writes.
        expected: u64,
    },
    /// The file can't be read or written: see what the operating system says.
    Io(std::io::Error),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("the queue is open already, in another process or in this one"),
            Self::Damaged(what) => write!(f, "the file is no queue, or is damaged: {what}"),
            Self::Version { found, expected } => {
                write!(f, "the queue has the version {found}, and this is for version {expected}")
            }
            Self::Io(error) => write!(f, "the file can't be used: {error}"),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<redb::DatabaseError> for OpenError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => {
                Self::InUse
            }
            redb::DatabaseError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<redb::StorageError> for OpenError {
    fn from(error: redb::StorageError) -> Self {
        match error {
            // A file without redb's first bytes.
            redb::StorageError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::Damaged(error.to_string())
            }
            redb::StorageError::Io(error) => Self::Io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// A call of a queue failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueError {
    /// The commit failed, for this reason: a full disk, for instance. Call again when that is mended. The call has taken no effect,
    /// unless the very last step failed, of which the operating system does not say what it has done: a job with an
    /// [identity](crate::Job::id) is put in once all the same.
    Storage(String),
    /// A job is larger than [`Options::payload`](crate::Options::payload) allows.
    TooLarge {
        /// The job's bytes.
        bytes: usize,
        /// The most that are allowed.
        most: usize,
    },
    /// The queue was closed.
    Closed,
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(what) => write!(f, "the queue can't be written: {what}"),
            Self::TooLarge { bytes, most } => {
                write!(f, "a job of {bytes} bytes is larger than the {most} that are allowed")
            }
            Self::Closed => f.write_str("the queue was closed"),
        }
    }
}

impl Error for QueueError {}

impl From<redb::Error> for QueueError {
    fn from(error: redb::Error) -> Self {
        Self::Storage(error.to_string())
    }
}
