//! The answers of the machine as plain data.

use alloc::vec::Vec;
use core::time::Duration;

use crate::{
    AttachRefusal, AttemptId, CancelError, CancelReason, Cancelled, Fed, FeedRefusal, Instant, OutcomeKind,
    PermitId, PermitRefusal, Refusal, ReserveRefusal, SleepId, SleepRefusal, SourceId, SubscribeRefusal,
    SubscriberId, TaskId, WaitRefusal,
};

/// The answer to a call.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Nothing,
    Task(Result<TaskId, (Why, Returned)>),
    Permit(Result<PermitId, ReserveRefusal>),
    Waiter(Result<PermitId, (WaitRefusal, u32)>),
    GivenBack(u32),
    Room(Room),
    Left(Option<Option<u32>>),
    Cancelled(Result<Cancelled, CancelError>),
    Claimed(Claimed),
    Released { waiter: Option<u32>, settlement: Option<Settled> },
    Result(Option<Settled>),
    Sleep(Result<SleepId, (SleepRefusal, u32)>),
    Slept(Slept),
    Source(Result<SourceId, (AttachRefusal, [u32; 3])>),
    Detached(Option<Detached>),
    Batch { admitted: u32, refused: Option<FeedRefusal>, left: Vec<Option<Returned>> },
    Taken(bool),
    Subscriber(Result<SubscriberId, SubscribeRefusal>),
    Event(Option<crate::Next<crate::Event<u32>>>),
    Waits(Result<Option<u32>, u32>),
    Observed(Result<(), Unwanted>),
    Concurrency(u32),
    Runs(bool),
    Completed(Result<(), (Option<OutcomeKind>, u32)>),
    Failed(Result<Failure, (Option<OutcomeKind>, u32, Option<u32>)>),
    Panicked(Result<Failure, (Option<OutcomeKind>, u32, Option<u32>)>),
    Stopped(Result<Stopped, (Option<OutcomeKind>, Option<u32>)>),
    Snoozed(Result<Stopped, (Option<OutcomeKind>, u32)>),
    Progress { used: u32, more: bool },
    Swept { items: Vec<Swept>, due: bool },
    Effect(Option<Done>),
    Started(Option<Started>),
    Inserted(&'static str, Option<(u8, u32, u32)>),
    Value(Option<u32>),
    Removed(Option<(u8, u32, u32)>),
}

/// Why a task was refused, by the way it was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each way")]
pub enum Why {
    Submit(Refusal),
    Permit(PermitRefusal),
    Feed(FeedRefusal),
}

/// The job and the callback of a refused task.
pub type Returned = (u32, Option<u32>);

/// An outcome that is handed back by `observed`: its kind, its value, and the job.
pub type Unwanted = (OutcomeKind, Option<u32>, Option<u32>);

/// See [`RoomStatus`](crate::RoomStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Room {
    Granted(u32),
    Waiting(Option<u32>),
    Unclaimed(u32),
    Gone(u32),
}

/// See [`Claim`](crate::Claim).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Claimed {
    Ready(Settled, u32),
    Pending(Option<u32>),
    Gone(u32),
}

/// See [`SleepStatus`](crate::SleepStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Slept {
    Over(u32, Option<u32>),
    Sleeping(Option<u32>),
    Gone(u32),
}

/// See [`Failure`](crate::Failure).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Failure {
    Retrying { value: u32, delay: Duration },
    Settled { job: Option<u32> },
}

/// See [`Failure`](crate::Failure), of an attempt that has stopped or was snoozed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Stopped {
    Retrying { delay: Duration },
    Settled { job: Option<u32> },
}

/// See [`Settlement`](crate::Settlement).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub struct Settled {
    pub task: TaskId,
    pub meta: u32,
    pub attempts: u32,
    pub waited: Duration,
    pub ran: Duration,
    pub kind: OutcomeKind,
    pub reason: Option<CancelReason>,
    pub value: Option<u32>,
    pub job: Option<u32>,
    pub callback: Option<u32>,
    pub waiter: Option<u32>,
}

/// See [`Detached`](crate::Detached).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub struct Detached {
    pub source: SourceId,
    pub guard: [u32; 3],
    pub fed: Fed,
}

/// See [`Swept`](crate::Swept).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Swept {
    Result(Settled),
    Cached(u8, u32, u32),
}

/// See [`Effect`](crate::Effect).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Done {
    Stop(crate::Stop),
    Observe(Settled),
    Settle(Settled),
    Wake(u32),
    Discard(Settled),
    Detach(Detached),
    Uncache(u8, u32, u32),
    Sweep,
    Drained,
}

/// See [`Start`](crate::Start).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub struct Started {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub number: u32,
    pub job: u32,
    pub meta: u32,
    pub deadline: Option<Instant>,
    pub further: u32,
}
