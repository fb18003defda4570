//! Who gets the result of a task from a worker.

use plimsoll_core::Route;

use crate::engine::completions::QueueKey;
use crate::settlement::Settlement;
use crate::sharing::Kinds;
use crate::work::AnyWork;

/// What is called with a task that was settled. See
/// [`TaskBuilder::call`](crate::TaskBuilder::call).
pub type Callback<W> = Box<CallbackOf<W>>;

/// Its type, which is not known.
pub(crate) type CallbackOf<W> = <<W as AnyWork>::Sharing as Kinds>::Callback<Settlement<W>>;

/// Who is handed the settlement of a task by a worker.
pub(crate) enum Recipient<W: AnyWork> {
    Callback(Callback<W>),
    Queue(QueueKey),
}

/// A job and where its result was to go.
pub(crate) type Routed<W> = (<W as AnyWork>::Job, Route<Recipient<W>>);
