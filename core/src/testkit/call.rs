//! The calls of the machine and its answers as plain data: every payload is its token's number. The host makes
//! calls and writes down the answers; the model says what the answers must be.

use alloc::vec::Vec;
use core::time::Duration;

use super::script::Order;
use crate::{
    AttachRefusal, AttemptId, CancelError, Cancelled, Drain, Fed, FeedRefusal, Instant, OutcomeKind, Refusal,
    Remains, ReservedRefusal, SleepId, SleepRefusal, SourceId, SubscribeRefusal, SubscriberId, TaskId,
    WaitRefusal, WaiterId,
};

/// A task offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its job.
    pub job: u32,
    /// Its metadata: a number that no other task has.
    pub meta: u32,
    /// Its callback, if its order says so.
    pub callback: Option<u32>,
    /// Its terms.
    pub order: Order,
}

/// One call of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "named as the methods; `moves`: the machine said that a move in its wheel is next"
)]
pub enum Call {
    Submit {
        now: Instant,
        offer: Offer,
    },
    TrySubmit {
        now: Instant,
        offer: Offer,
    },
    SubmitReserved {
        now: Instant,
        waiter: WaiterId,
        offer: Offer,
    },
    WaitForRoom {
        now: Instant,
        waiter: u32,
    },
    Rewait {
        id: WaiterId,
        waiter: u32,
    },
    Leave {
        now: Instant,
        id: WaiterId,
    },
    Cancel {
        now: Instant,
        task: TaskId,
    },
    Claim {
        now: Instant,
        task: TaskId,
        waiter: u32,
    },
    TryClaim {
        task: TaskId,
    },
    Release {
        now: Instant,
        task: TaskId,
    },
    TakeResult {
        now: Instant,
        task: TaskId,
    },
    Sleep {
        now: Instant,
        attempt: AttemptId,
        until: Instant,
        waiter: u32,
    },
    Resleep {
        now: Instant,
        id: SleepId,
        waiter: u32,
    },
    EndSleep {
        id: SleepId,
    },
    Attach {
        now: Instant,
        guard: [u32; 3],
    },
    Detach {
        now: Instant,
        source: SourceId,
    },
    Feed {
        now: Instant,
        source: SourceId,
        offer: Offer,
    },
    FeedBatch {
        now: Instant,
        source: SourceId,
        offers: Vec<Option<Offer>>,
    },
    FeedError {
        now: Instant,
        source: SourceId,
        text: u32,
    },
    Subscribe,
    Unsubscribe {
        id: SubscriberId,
    },
    NextEvent {
        id: SubscriberId,
    },
    WaitEvent {
        id: SubscriberId,
        waiter: u32,
    },
    Pause {
        now: Instant,
    },
    Resume {
        now: Instant,
    },
    SetConcurrency {
        now: Instant,
        to: u32,
    },
    Drain {
        now: Instant,
        mode: Drain,
    },
    Began {
        now: Instant,
        attempt: AttemptId,
        at: Instant,
    },
    Completed {
        now: Instant,
        attempt: AttemptId,
        output: u32,
    },
    Failed {
        now: Instant,
        attempt: AttemptId,
        error: u32,
        job: Option<u32>,
        delay: Option<Duration>,
        text: u32,
    },
    Panicked {
        now: Instant,
        attempt: AttemptId,
        panic: u32,
        job: Option<u32>,
        text: u32,
    },
    Stopped {
        now: Instant,
        attempt: AttemptId,
    },
    LatePanic,
    Advance {
        now: Instant,
        budget: u32,
        moves: bool,
    },
    Sweep {
        now: Instant,
        budget: u32,
    },
    Poll,
    StartNext {
        now: Instant,
    },
    CacheInsert {
        now: Instant,
        key: u8,
        token: u32,
        value: u32,
    },
    CacheGet {
        now: Instant,
        key: u8,
        counted: bool,
    },
    CacheRemove {
        key: u8,
    },
    CachePop,
}

impl Call {
    /// The time that it gives in, if it does. A cache keeps a clock of its own.
    #[must_use]
    pub const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Submit { now, .. }
            | Self::TrySubmit { now, .. }
            | Self::SubmitReserved { now, .. }
            | Self::WaitForRoom { now, .. }
            | Self::Leave { now, .. }
            | Self::Cancel { now, .. }
            | Self::Claim { now, .. }
            | Self::Release { now, .. }
            | Self::TakeResult { now, .. }
            | Self::Sleep { now, .. }
            | Self::Resleep { now, .. }
            | Self::Attach { now, .. }
            | Self::Detach { now, .. }
            | Self::Feed { now, .. }
            | Self::FeedBatch { now, .. }
            | Self::FeedError { now, .. }
            | Self::Pause { now }
            | Self::Resume { now }
            | Self::SetConcurrency { now, .. }
            | Self::Drain { now, .. }
            | Self::Began { now, .. }
            | Self::Completed { now, .. }
            | Self::Failed { now, .. }
            | Self::Panicked { now, .. }
            | Self::Stopped { now, .. }
            | Self::Advance { now, .. }
            | Self::Sweep { now, .. }
            | Self::StartNext { now } => Some(now),
            _ => None,
        }
    }
}

/// What a call answered.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Nothing,
    Task(Result<TaskId, (Why, Returned)>),
    Waiter(Result<WaiterId, (WaitRefusal, u32)>),
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
    Concurrency(u32),
    Runs(bool),
    Completed(Result<(), (Option<OutcomeKind>, u32)>),
    Failed(Result<Failure, (Option<OutcomeKind>, u32, Option<u32>)>),
    Panicked(Result<Failure, (Option<OutcomeKind>, u32, Option<u32>)>),
    Stopped(Result<(), Option<OutcomeKind>>),
    Progress { used: u32, more: bool },
    Swept { items: Vec<Swept>, due: bool },
    Effect(Option<Done>),
    Started(Option<Started>),
    Inserted(&'static str, Option<(u8, u32, u32)>),
    Value(Option<u32>),
    Removed(Option<(u8, u32, u32)>),
}

/// Why a task was refused, whichever way it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "one for each way")]
pub enum Why {
    Submit(Refusal),
    Reserved(ReservedRefusal),
    Feed(FeedRefusal),
}

/// The job and the callback of a refused task.
pub type Returned = (u32, Option<u32>);

/// See [`RoomStatus`](crate::RoomStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "as there")]
pub enum Room {
    Granted(u32),
    Waiting(Option<u32>),
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
    Settle(Settled),
    Wake(u32),
    Discard(Settled),
    Detach(Detached),
    Uncache(u8, u32, u32),
    Sweep,
    Drained(Remains),
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
