//! Why a service has no response.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use crate::{Refusal, TaskError};

/// An error of any type, as [tower](https://docs.rs/tower) passes them on.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why a service has no response to a request.
///
/// The error of a [`JobService`](super::JobService). A [`ProcessorService`](super::ProcessorService) passes the errors
/// of the inner service on as they are; any other end is a `ServiceError` without one, in the box:
///
/// ```
/// use plimsoll::TaskError;
/// use plimsoll::service::{BoxError, ServiceError};
///
/// fn status(error: &BoxError) -> u16 {
///     match error.downcast_ref::<ServiceError>() {
///         Some(ServiceError::Task(TaskError::TimedOut)) => 504,
///         Some(ServiceError::Task(TaskError::Panicked(_))) | None => 500,
///         // Refused, expired, shed or cancelled: the load or the end, and a client may try again.
///         Some(_) => 503,
///     }
/// }
///
/// let late: ServiceError = ServiceError::Task(TaskError::TimedOut);
/// assert_eq!(status(&late.into()), 504);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceError<E = Infallible> {
    /// `call` without a `poll_ready` that was ready before it. The request is dropped.
    NotReady,
    /// The processor took no job. [`Closed`](Refusal::Closed): it is draining or has ended, and no retry of the same
    /// service will help. Anything else is of this moment, or of the request's own terms. The request is dropped.
    Refused(Refusal),
    /// The task of the request has ended without an output.
    Task(TaskError<E>),
}

impl<E> ServiceError<E> {
    /// The handler's own error as it is, and everything else as a [`ServiceError`] without one.
    pub fn into_box_error(self) -> BoxError
    where
        E: Into<BoxError>,
    {
        let other: ServiceError = match self {
            Self::Task(TaskError::Failed(error)) => return error.into(),
            Self::Task(TaskError::TimedOut) => ServiceError::Task(TaskError::TimedOut),
            Self::Task(TaskError::Cancelled(reason)) => ServiceError::Task(TaskError::Cancelled(reason)),
            Self::Task(TaskError::Expired) => ServiceError::Task(TaskError::Expired),
            Self::Task(TaskError::Shed) => ServiceError::Task(TaskError::Shed),
            Self::Task(TaskError::Panicked(message)) => ServiceError::Task(TaskError::Panicked(message)),
            Self::Task(TaskError::Ended) => ServiceError::Task(TaskError::Ended),
            Self::NotReady => ServiceError::NotReady,
            Self::Refused(reason) => ServiceError::Refused(reason),
        };
        other.into()
    }
}

impl<E> fmt::Display for ServiceError<E> {
    /// The error of a handler is not shown: it is the [source](Error::source).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReady => f.write_str("the service was called before it was ready"),
            Self::Refused(reason) => reason.fmt(f),
            Self::Task(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for ServiceError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Task(error) => error.source(),
            Self::NotReady | Self::Refused(_) => None,
        }
    }
}
