//! Which tasks there are, page by page.

use plimsoll_core::{TaskId, TaskView};

use crate::access::Access;
use crate::work::AnyWork;

/// Some of the tasks that a processor has, as they stood when they were looked at. See [`Access::inspect`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Inspection<M = ()> {
    /// The tasks.
    pub tasks: Vec<TaskView<M>>,
    /// Where to go on; `None` when this was the last page.
    pub next: Option<u32>,
}

/// How many slots are looked at in one hold of the lock.
const SLOTS_A_HOLD: u32 = 64;

impl<W: AnyWork> Access<W> {
    /// Looks at one task; `None` when it is gone. A result that is retained is not taken by this: its
    /// [`Stage`](crate::Stage) says how the task ended, and [`result`](Self::result) has the value. (That can be taken, but not
    /// looked at: to lend or to clone it would run code of yours under the lock.) One that is too old to be taken is seen until
    /// it is swept. O(1).
    ///
    /// ```
    /// # use plimsoll::{OutcomeKind, Processor, Stage, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().results(10, None).spawn_on(Thread::start()?, infallible(|n: u64| async move { n * 2 }))?;
    /// let task = processor.task(21).retain()?;
    /// futures::executor::block_on(processor.idle());
    /// let stage = processor.view(task).ok_or("it is retained")?.stage;
    /// assert!(matches!(stage, Stage::Settled { outcome: OutcomeKind::Completed, .. }));
    /// assert_eq!(processor.result(task), Some(Ok(42)));
    /// assert!(processor.view(task).is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn view(&self, task: TaskId) -> Option<TaskView<W::Meta>> {
        self.shared.read(|machine| machine.view(task))
    }

    /// Looks at up to `most` tasks, at least one: which they are, with their metadata, and since when they are queued, running, delayed,
    /// backing off, orphaned or settled. Begin with 0, and go on with [`next`](Inspection::next). In one such walk a task that
    /// is there all the time is seen exactly once; tasks that come and go meanwhile may be seen or not.
    ///
    /// O(slots looked at), of which there are [`Limits::task_slots`](crate::Limits::task_slots), 64 in one hold of the lock.
    /// Allocates the list.
    ///
    /// ```
    /// # use plimsoll::{Processor, Stage, Thread, infallible};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let processor = Processor::builder().spawn_on(Thread::start()?, infallible(|_: u64| async {}))?;
    /// processor.pause();
    /// let task = processor.task(7).post()?;
    /// let (mut page, mut queued) = (Some(0), Vec::new());
    /// while let Some(from) = page {
    ///     let seen = processor.inspect(from, 100);
    ///     queued.extend(seen.tasks.iter().filter(|view| matches!(view.stage, Stage::Queued { .. })).map(|view| view.task));
    ///     page = seen.next;
    /// }
    /// assert_eq!(queued, [task]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn inspect(&self, from: u32, most: u32) -> Inspection<W::Meta> {
        // With none a walk would get no further.
        let most = most.max(1);
        let (mut tasks, mut slot, slots) = (Vec::new(), from, self.limits().task_slots());
        loop {
            let room = most.saturating_sub(u32::try_from(tasks.len()).unwrap_or(u32::MAX));
            let end = slot.saturating_add(room.min(SLOTS_A_HOLD)).min(slots);
            if slot >= end {
                return Inspection { tasks, next: Some(slot).filter(|slot| *slot < slots) };
            }
            // Not under the lock.
            tasks.reserve(SLOTS_A_HOLD as usize);
            self.shared.read(|machine| tasks.extend(machine.inspect(slot..end)));
            slot = end;
        }
    }
}
