//! How a task ended, as a result.

use std::error::Error;
use std::fmt;

use plimsoll_core::{CancelReason, Outcome, OutcomeKind};

use crate::panics::PanicMessage;
use crate::work::AnyWork;

/// The result of a task.
pub type TaskResult<W> = Result<<W as AnyWork>::Output, TaskError<<W as AnyWork>::Error>>;

/// Why a task has no output: every way in which one can end, but for completing.
///
/// It is an [`Error`] where the handler's is one, so that `?` takes it. Where that is text, [`map`](Self::map) it or match.
///
/// ```
/// use plimsoll::{Processor, TaskError, Thread};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let processor = Processor::builder().spawn_on(Thread::start()?, |text: String| async move { text.parse::<u32>() })?;
/// assert_eq!(processor.submit("42".into())?.wait()?, 42);
/// match processor.submit("many".into())?.wait() {
///     Err(TaskError::Failed(error)) => assert_eq!(error.to_string(), "invalid digit found in string"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskError<E> {
    /// The handler's error, and no further attempt was left or allowed.
    Failed(E),
    /// It took longer than one of its time-outs, [`start_to_close`](crate::Timeouts::start_to_close) or
    /// [`schedule_to_close`](crate::Timeouts::schedule_to_close).
    TimedOut,
    /// It was cancelled, for this reason if one was given ([`Access::cancel_because`](crate::Access::cancel_because)); or the
    /// processor was ended before it was settled ([`CancelReason::ENDED`]).
    Cancelled(Option<CancelReason>),
    /// It waited in the queue for longer than [`schedule_to_start`](crate::Timeouts::schedule_to_start). No handler was called
    /// since then.
    Expired,
    /// It waited in the queue and had to make room for another task, as the [`Overflow`](crate::Overflow) of the processor
    /// says. No handler was called since then.
    Shed,
    /// The handler panicked, and no further attempt was left or allowed.
    Panicked(PanicMessage),
    /// The processor was aborted before this result was taken, or it was taken before. Callbacks never get this.
    Ended,
}

impl<E> TaskError<E> {
    /// Whether submitting the same job again may well help: after a time-out, or when it waited too long or was shed.
    /// Not after it was cancelled, has panicked, or the processor has ended; and what the handler's own errors mean,
    /// only they can tell: those count as worth it, all of them. That the handler has said
    /// [`no_retry`](crate::Context::no_retry) is not known here: an error that stays has to say so itself.
    #[must_use]
    pub const fn is_worth_retrying(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::TimedOut | Self::Expired | Self::Shed)
    }

    /// As what the task counts, in [`Totals`](crate::Totals) and events; `None` for [`Ended`](Self::Ended), which tells nothing
    /// of the task.
    #[must_use]
    pub const fn kind(&self) -> Option<OutcomeKind> {
        match self {
            Self::Failed(_) => Some(OutcomeKind::Failed),
            Self::TimedOut => Some(OutcomeKind::TimedOut),
            Self::Cancelled(_) => Some(OutcomeKind::Cancelled),
            Self::Expired => Some(OutcomeKind::Expired),
            Self::Shed => Some(OutcomeKind::Shed),
            Self::Panicked(_) => Some(OutcomeKind::Panicked),
            Self::Ended => None,
        }
    }

    /// The handler's error, if that is why.
    #[must_use]
    pub fn into_failed(self) -> Option<E> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// With another error of the handler.
    pub fn map<F>(self, map: impl FnOnce(E) -> F) -> TaskError<F> {
        match self {
            Self::Failed(error) => TaskError::Failed(map(error)),
            Self::TimedOut => TaskError::TimedOut,
            Self::Cancelled(reason) => TaskError::Cancelled(reason),
            Self::Expired => TaskError::Expired,
            Self::Shed => TaskError::Shed,
            Self::Panicked(message) => TaskError::Panicked(message),
            Self::Ended => TaskError::Ended,
        }
    }
}

impl<E> fmt::Display for TaskError<E> {
    /// The error of a handler is not shown: it is the [source](Error::source).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(_) => f.write_str("the task failed"),
            Self::TimedOut => f.write_str("the task timed out"),
            Self::Cancelled(None) => f.write_str("the task was cancelled"),
            Self::Cancelled(Some(reason)) => write!(f, "the task was cancelled: {reason}"),
            Self::Expired => f.write_str("the task waited in the queue for too long"),
            Self::Shed => f.write_str("the task had to make room for another one"),
            Self::Panicked(message) => write!(f, "the task panicked: {message}"),
            Self::Ended => f.write_str("the processor ended before the result of the task was taken"),
        }
    }
}

impl<E: Error + 'static> Error for TaskError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// An outcome of the machine as a result.
#[inline]
pub(crate) fn result_of<O, E>(outcome: Outcome<O, E, PanicMessage>) -> Result<O, TaskError<E>> {
    Err(match outcome {
        Outcome::Completed(output) => return Ok(output),
        Outcome::Failed(error) => TaskError::Failed(error),
        Outcome::TimedOut => TaskError::TimedOut,
        Outcome::Cancelled(reason) => TaskError::Cancelled(reason),
        Outcome::Expired => TaskError::Expired,
        Outcome::Shed => TaskError::Shed,
        Outcome::Panicked(message) => TaskError::Panicked(message),
        // One that a later core has added: it ended without a result.
        _ => TaskError::Cancelled(None),
    })
}
