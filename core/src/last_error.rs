//! The last error, in a fixed number of bytes.

use crate::{EmitterId, Instant, Message, SourceId, TaskId};

/// The last error, from [`Processor::last_error`](crate::Processor::last_error): ids, kinds, counts and a text of
/// bounded length. It holds no job and no list, so its size is constant.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LastError<M> {
    /// What kind of thing went wrong.
    pub kind: ErrorKind,
    /// Which task, if it was one.
    pub task: Option<TaskId>,
    /// Which emitter, if it was one.
    pub emitter: Option<EmitterId>,
    /// Which source, if it was one.
    pub source: Option<SourceId>,
    /// How many attempts at the task had been started, without the snoozed ones.
    pub attempt: u32,
    /// The task's metadata.
    pub meta: Option<M>,
    /// What the host said about it, cut to [`Message::BYTES`].
    pub message: Message,
    /// How many tasks were delayed, queued or backing off just after it.
    pub pending: u32,
    /// How many attempts were running for unsettled tasks just after it.
    pub running: u32,
    /// When it happened.
    pub at: Instant,
    /// How many errors there were since the last completed task, this one included.
    pub streak: u32,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ErrorKind {
    /// An attempt failed, whether or not it was tried again.
    Failed,
    /// An attempt panicked, whether or not it was tried again.
    Panicked,
    /// An attempt timed out, whether or not it is tried again, or a task did.
    TimedOut,
    /// A task expired in the queue.
    Expired,
    /// An emitter reported an error.
    Emitter,
    /// The engine of a source failed.
    Source,
}

/// Whose error it was.
pub(crate) enum Whose<M> {
    Task { task: TaskId, attempt: u32, meta: M },
    Emitter(EmitterId),
    Source(SourceId),
}
