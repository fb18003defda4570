//! What a host says of a queue that is full, and of parts of it.

use crate::Priority;

/// Which task gives way when a task without a delay is submitted and the queue, or the task's lane, is full. The task that
/// gives way settles as [`Outcome::Shed`](crate::Outcome::Shed), and its job comes out with the settlement. Room that permits
/// hold is not given away, nor does a task give way while others wait for room.
///
/// In a full lane one of its own tasks gives way, in a full queue any task. A task that runs, is delayed or backs off never
/// does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Overflow {
    /// None: the new task is refused.
    #[default]
    Refuse,
    /// The task that has waited longest: for work that loses its worth with time.
    DropOldest,
    /// The task that came last of the lowest priority, if that is lower than the priority of the new task. Otherwise the
    /// new task is refused.
    DropLowest,
}

/// A part of the queue. See [`clear`](crate::Processor::clear).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Scope {
    /// All of it.
    All,
    /// The tasks of the lane with this key.
    Lane(u64),
    /// The tasks of this priority.
    Class(Priority),
}
