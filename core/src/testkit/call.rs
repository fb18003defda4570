//! The calls of the machine as plain data: every payload is the number of its token. The host makes the calls and
//! records the answers; the model predicts them.

use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use super::Order;
use crate::{
    AttemptId, CancelReason, Drain, Instant, OutcomeKind, PermitId, SleepId, SourceId, SubscriberId, TaskId,
};

/// An offer.
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
#[allow(missing_docs, reason = "named as the methods")]
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
        permit: PermitId,
        offer: Offer,
    },
    Reserve {
        now: Instant,
        count: NonZeroU32,
    },
    WaitForRoom {
        now: Instant,
        waiter: u32,
        count: NonZeroU32,
    },
    Rewait {
        id: PermitId,
        waiter: u32,
    },
    GiveBack {
        now: Instant,
        id: PermitId,
        count: u32,
    },
    Leave {
        now: Instant,
        id: PermitId,
    },
    Cancel {
        now: Instant,
        task: TaskId,
        reason: Option<CancelReason>,
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
    Observe {
        on: bool,
    },
    Observed {
        now: Instant,
        task: TaskId,
        kind: OutcomeKind,
        value: Option<u32>,
        job: Option<u32>,
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
        job: Option<u32>,
    },
    Snoozed {
        now: Instant,
        attempt: AttemptId,
        job: u32,
        delay: Duration,
    },
    LatePanic,
    Advance {
        now: Instant,
        budget: u32,
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
    /// The time that the call passes in, if it does. The cache has a clock of its own.
    #[must_use]
    pub const fn now(&self) -> Option<Instant> {
        match *self {
            Self::Submit { now, .. }
            | Self::TrySubmit { now, .. }
            | Self::SubmitReserved { now, .. }
            | Self::Reserve { now, .. }
            | Self::WaitForRoom { now, .. }
            | Self::GiveBack { now, .. }
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
            | Self::Observed { now, .. }
            | Self::Pause { now }
            | Self::Resume { now }
            | Self::SetConcurrency { now, .. }
            | Self::Drain { now, .. }
            | Self::Began { now, .. }
            | Self::Completed { now, .. }
            | Self::Failed { now, .. }
            | Self::Panicked { now, .. }
            | Self::Stopped { now, .. }
            | Self::Snoozed { now, .. }
            | Self::Advance { now, .. }
            | Self::Sweep { now, .. }
            | Self::StartNext { now } => Some(now),
            _ => None,
        }
    }
}
