//! Who gets the result of a task from a worker.

use crate::engine::completions::QueueKey;
use crate::engine::schedules::ScheduleKey;
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
    Inside(Inside),
}

/// A part of the engine that is handed settlements. Of a size that finds room beside a callback, for there is one for each
/// task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inside {
    Queue(QueueKey),
    Schedule(ScheduleKey),
}

const _: () = assert!(size_of::<Option<Inside>>() <= size_of::<u64>());
