//! What an event emitter has to offer to feed tasks to a processor.

use plimsoll_core::{FeedRefusal, Refused};

/// What an emitter registers for single tasks. A job that is refused comes back, for the caller of `emit`.
pub type TaskListener<J> = Box<dyn Fn(J) -> Result<(), Refused<J, FeedRefusal>> + Send + Sync>;
/// What an emitter registers for batches. The jobs that do not fit come back, in order.
pub type BatchListener<J> = Box<dyn Fn(Vec<J>) -> Result<(), Refused<Vec<J>, FeedRefusal>> + Send + Sync>;
/// What an emitter registers for errors.
pub type ErrorListener = Box<dyn Fn(&str) + Send + Sync>;

/// Adapts an event emitter to [`Access::attach`](crate::Access::attach). [`Events`](crate::Events) is one.
///
/// Each method registers a listener and returns the registration, **whose drop removes that listener and no other**.
/// The processor keeps the three registrations of an emitter, and drops them when it is detached or ends, without any
/// lock of its own. An emitter should call its listeners without a lock, because they may run other listeners' code.
pub trait Emitter<J> {
    /// A registration.
    type Listener: Send + 'static;

    /// Registers a listener for single tasks.
    fn on_task(&self, listener: TaskListener<J>) -> Self::Listener;

    /// Registers a listener for batches.
    fn on_batch(&self, listener: BatchListener<J>) -> Self::Listener;

    /// Registers a listener for errors.
    fn on_error(&self, listener: ErrorListener) -> Self::Listener;
}
