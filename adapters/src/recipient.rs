//! Who gets the result of a task from a worker.

use std::sync::Arc;

use plimsoll_core::Route;

use crate::engine::completions::Completions;
use crate::settlement::Settlement;
use crate::work::Work;

/// What is called with a task that was settled. See
/// [`TaskBuilder::call`](crate::TaskBuilder::call).
pub type Callback<W> = Box<dyn FnOnce(Settlement<W>) + Send>;

/// Who is handed the settlement of a task by a worker.
pub(crate) enum Recipient<W: Work> {
    Callback(Callback<W>),
    Completions(Arc<Completions<W>>),
}

/// A job and where its result was to go.
pub(crate) type Routed<W> = (<W as Work>::Job, Route<Recipient<W>>);
