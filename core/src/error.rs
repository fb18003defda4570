//! Errors and refusals: one enum for each operation. A refused value is handed back with the reason.

use core::fmt;

use sync_wrapper::SyncWrapper;

use crate::OutcomeKind;

/// A value that was refused, with the reason.
///
/// In a function that returns the reason's type, `?` keeps the reason and drops the value. In a function that returns a
/// boxed error, `?` keeps both: `Refused` is an error itself whatever the value is, `Sync` or not.
///
/// ```
/// use core::cell::Cell;
/// use plimsoll_core::{Refusal, Refused};
///
/// fn reason(job: Cell<u8>) -> Result<(), Refusal> {
///     Err(Refused::new(Refusal::Full, job))?
/// }
///
/// fn any(job: Cell<u8>) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     Err(Refused::new(Refusal::Full, job))?
/// }
///
/// assert_eq!(reason(Cell::new(1)), Err(Refusal::Full));
/// let refused = any(Cell::new(2)).unwrap_err().downcast::<Refused<Cell<u8>>>().unwrap();
/// assert_eq!(refused.into_value(), Cell::new(2));
/// ```
#[must_use = "the refused value is handed back here and nowhere else"]
pub struct Refused<T, R = Refusal> {
    /// Why it was refused, and what to do about it.
    pub reason: R,
    // Never lent out by shared reference, so that `Refused` is `Sync` for every value.
    value: SyncWrapper<T>,
}

impl<T, R> Refused<T, R> {
    /// Refuses this value for this reason.
    #[inline]
    pub const fn new(reason: R, value: T) -> Self {
        Self { reason, value: SyncWrapper::new(value) }
    }

    /// What was refused, whole.
    #[inline]
    pub fn into_value(self) -> T {
        self.value.into_inner()
    }

    /// The reason, and what was refused, whole.
    #[inline]
    pub fn into_parts(self) -> (R, T) {
        (self.reason, self.value.into_inner())
    }

    /// Maps the value, and keeps the reason.
    #[inline]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Refused<U, R> {
        Refused::new(self.reason, make(self.value.into_inner()))
    }

    /// Maps the reason, and keeps the value.
    #[inline]
    pub fn because<S>(self, make: impl FnOnce(R) -> S) -> Refused<T, S> {
        Refused { reason: make(self.reason), value: self.value }
    }
}

impl<T, R: fmt::Debug> fmt::Debug for Refused<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refused").field(&self.reason).finish()
    }
}

impl<T, R: fmt::Display> fmt::Display for Refused<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<T, R: fmt::Debug + fmt::Display> core::error::Error for Refused<T, R> {}

macro_rules! reason_from_refused {
    ($reason:ident) => {
        impl<T> From<Refused<T, $reason>> for $reason {
            /// Keeps the reason and drops the value.
            fn from(refused: Refused<T, $reason>) -> Self {
                refused.reason
            }
        }
    };
}

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
        #[non_exhaustive]
        // As wide as its neighbour in a `Refused`, and as the value in its place in a `Result`. A `Result` with a
        // reason of one byte is written whole but moved on in pieces, and the next read of the whole stalls.
        #[repr(usize)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }

        impl core::error::Error for $name {}

        reason_from_refused! { $name }
    };
}

reasons! {
    /// Why [`submit`](crate::Processor::submit) refused a task.
    Refusal {
        /// The queue is full, or others wait for room. Wait for room, shed load, or build with a larger limit `queue`.
        Full => "no room: the queue is full: wait for room, shed load, or build with a larger limit `queue`",
        /// As many tasks are delayed or back off as the limit `delayed` allows. Submit it later, or build with a larger
        /// limit. Waiting for room does not help. (Tasks that fell due while the queue was full count until they have
        /// started.)
        Delayed => "too many tasks are delayed: submit it later, or build with a larger limit `delayed`",
        /// As many tasks are routed to handles as the limit `unclaimed` allows. Take some outcomes or drop their
        /// handles, route tasks elsewhere if nobody awaits their outcomes, or build with a larger limit. Waiting for
        /// room does not help.
        Unclaimed => "too many outcomes are not taken: await or drop handles, or build with a larger limit `unclaimed`",
        /// The permit has no place left: reserve more. Given by hosts, never by the core.
        UsedUp => "all places of the permit are used up: reserve more",
        /// The completion queue has as many tasks as it has room for: take some results first. Given by hosts, never by
        /// the core.
        Untaken => "the completion queue has as many tasks as it has room for: take results first",
        /// No task slot is free. Call `poll_effect` until it returns `None`: settled tasks keep their slots until then.
        /// (After years some slots may be retired too, see [`Census::retired`](crate::Census::retired).)
        Backlog => "settled tasks still have their slots: perform the effects, then try again",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
        /// The terms ask for more attempts than the limit `attempts` allows: ask for fewer, or build with a larger
        /// limit. A host that cannot make a job for a further attempt has a limit of 1: let it clone jobs then
        /// (`retry`, in the adapters).
        Attempts => "more attempts asked for than are allowed: ask for fewer, or build with `retry` and a larger limit `attempts`",
        /// The terms ask for the result to be retained, but the limit `results.entries` is 0: build with a larger one.
        NotRetained => "no results are retained: build with a larger limit `results.entries`",
        /// The terms have a heartbeat time-out or a soft limit, but running attempts are not monitored: build with the
        /// limit `monitor`.
        NotMonitored => "attempts are not monitored: build with the limit `monitor`, or ask for no heartbeats and no soft limit",
        /// As many lanes exist as the limit `lanes.lanes` allows: submit it later, or build with a larger limit. That is 0
        /// unless it is set, and then later is no better. Waiting for room does not help.
        Lanes => "as many lanes exist as the limit `lanes.lanes` allows (0 unless it is set): build with a larger one, or submit it later",
        /// As many tasks of its lane wait as the limit `lanes.queue` allows: submit it later, shed load, or build with a
        /// larger limit. Waiting for room does not help.
        LaneFull => "no room: the lane is full: submit it later, shed load, or build with a larger limit `lanes.queue`",
        /// Another task has the same key, or one has completed with it within its window: the work is under way, or done.
        /// [`task_with_key`](crate::Processor::task_with_key) tells which task it is.
        Duplicate => "another task has the same key, or has just completed with it",
        /// The terms have a key, but the machine has none: build with the limit `dedup`.
        NotDeduplicated => "no keys are kept: build with the limit `dedup`",
        /// A time-out is zero and would end the task before it began: leave it out for no limit. Given by hosts, never
        /// by the core, where a report can come at the very instant of a start.
        ZeroTimeout => "a time-out of zero would end the task before it began: leave it out for no limit",
    }
}

/// Why [`feed`](crate::Processor::feed) refused a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FeedRefusal {
    /// The emitter is not attached: stop emitting.
    Detached,
    /// The host could not make the terms of the task, and did not offer it. Given by hosts, never by the core.
    Terms,
    /// The task itself was refused.
    Task(Refusal),
}

impl fmt::Display for FeedRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detached => f.write_str("the emitter is not attached"),
            Self::Terms => f.write_str("the terms of the task could not be made"),
            Self::Task(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for FeedRefusal {}

reason_from_refused! { FeedRefusal }

/// Why [`Reserved::submit`](crate::Reserved::submit) refused a task. The permit is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum PermitRefusal {
    /// The permit holds no place: it still waits for room, its places are used up, or it was given back. The task does
    /// not count as offered.
    NotGranted,
    /// The task itself was refused, for its own terms or because the machine is draining.
    Task(Refusal),
}

impl fmt::Display for PermitRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted => f.write_str("there is no such permit"),
            Self::Task(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for PermitRefusal {}

reason_from_refused! { PermitRefusal }

reasons! {
    /// Why [`reserve`](crate::Processor::reserve) granted no permit.
    ReserveRefusal {
        /// The queue has too little room, or others wait for room. Wait for room, ask for fewer places, or shed load.
        Full => "no room: the queue is full: wait for room, ask for fewer places, or shed load",
        /// Too few task slots are free. Call `poll_effect` until it returns `None`: settled tasks keep their slots
        /// until then.
        Backlog => "settled tasks still have their slots: perform the effects, then try again",
        /// The limit `unclaimed` does not allow as many tasks for handles. Take some outcomes or drop their handles, or
        /// build with a larger limit. Waiting for room does not help.
        Unclaimed => "too many outcomes are not taken: await or drop handles, or build with a larger limit `unclaimed`",
        /// More places than a permit can have, even in an empty machine: `queue` and `concurrency` together are
        /// fewer, or `unclaimed` is. Ask for fewer, or build with larger limits.
        TooMany => "more places than there can be: ask for fewer, or build with larger limits",
        /// The limit `waiters` is reached: shed load, or build with more.
        Waiters => "too many wait for room or hold a permit: shed load, or build with a larger limit `waiters`",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`hold_lane`](crate::Processor::hold_lane) did not hold a lane.
    HoldRefusal {
        /// The lane does not exist, and there are as many as the limit `lanes.lanes` allows: build with a larger limit,
        /// which is 0 unless it is set.
        Lanes => "as many lanes exist as the limit `lanes.lanes` allows (0 unless it is set): build with a larger one",
        /// The machine is ending or has ended: nothing is started any more.
        Closed => "the processor is ending or has ended",
    }
}

reasons! {
    /// Why [`set_priority`](crate::Processor::set_priority) changed nothing.
    PriorityRefusal {
        /// No such task is there: it was settled and released, or never existed.
        NotFound => "there is no such task",
        /// The task does not wait: it runs, or is settled.
        NotWaiting => "the task does not wait any more",
    }
}

reasons! {
    /// Why [`wait_for_room`](crate::Processor::wait_for_room) refused a waiter.
    WaitRefusal {
        /// More places than a permit can have, even in an empty machine: `queue` and `concurrency` together are
        /// fewer, or `unclaimed` is. Ask for fewer, or build with larger limits.
        TooMany => "more places than there can be: ask for fewer, or build with larger limits",
        /// The limit `waiters` is reached: shed load, or build with more.
        Waiters => "too many wait for room or hold a permit: shed load, or build with a larger limit `waiters`",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`sleep`](crate::Processor::sleep) refused a waiter.
    SleepRefusal {
        /// The attempt is over, or was asked to stop.
        Over => "the attempt is over or was asked to stop",
        /// The attempt has as many sleeps as the limit `sleeps` allows: end one, or build with more. (Or all slots are
        /// taken by sleeps of attempts that are over, whose waiters are still to be woken: call `poll_effect` until it
        /// returns `None`.)
        Full => "the attempt sleeps in too many places",
    }
}

reasons! {
    /// Why [`schedule`](crate::Processor::schedule) began no schedule.
    ScheduleRefusal {
        /// The limit `schedules` is reached: end one, or build with more.
        Full => "too many schedules: end one, or build with a larger limit `schedules`",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`open_source`](crate::Processor::open_source) opened no source.
    OpenRefusal {
        /// The limit `sources` allows none, which is its default: build with more.
        NoSources => "no sources are allowed: build with the limit `sources`",
        /// The limit `sources` is reached: close one, or build with more.
        Full => "too many sources: close one, or build with a larger limit `sources`",
        /// The open sources have too much of the limit `sources.credit`: ask for less, or build with more.
        Credit => "too little credit is left: ask for less, or build with a larger `sources.credit`",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`attach`](crate::Processor::attach) refused an emitter.
    AttachRefusal {
        /// The limit `emitters` is reached: detach one, or build with more.
        Full => "too many emitters are attached",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`subscribe`](crate::Processor::subscribe) refused a subscriber.
    SubscribeRefusal {
        /// The limit `subscribers` is reached: unsubscribe one, or build with more.
        Full => "too many subscribers",
        /// The machine is ending or has ended: no retry will help.
        Closed => "the processor is ending or has ended",
    }
}

reasons! {
    /// Why [`cancel`](crate::Processor::cancel) cancelled nothing.
    CancelError {
        /// There is no such task: it was settled and its outcome taken.
        NotFound => "no such task",
        /// The task is settled already.
        Settled => "the task is settled already",
    }
}

/// A report came too late: the attempt is over, and the value is handed back. An orphan counts as stopped from now on.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "the reported value is handed back here and nowhere else"]
#[non_exhaustive]
pub struct Late<T> {
    /// The outcome of the attempt's task. `None` if another attempt followed, or if there is no such task.
    pub settled: Option<OutcomeKind>,
    /// What was reported, whole.
    pub value: T,
}

impl<T> fmt::Debug for Late<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Late").field(&self.settled).finish()
    }
}

impl<T> fmt::Display for Late<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.settled {
            Some(kind) => write!(f, "the report is late: the task is {kind}"),
            None => f.write_str("the report is late: the attempt is over"),
        }
    }
}

impl<T> core::error::Error for Late<T> {}

/// Why [`Processor::new`](crate::Processor::new) built nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// A limit is out of its bounds.
    Limits(InvalidLimits),
    /// The allocator refused as much memory as the limits need: lower them, or give the process more.
    /// [`Limits::footprint`](crate::Limits::footprint) says what each part takes.
    Memory {
        /// How many bytes the limits need.
        bytes: usize,
    },
    /// The runtime cannot run a processor: what it lacks, and how to provide that. Given by hosts, never by the core.
    Runtime(&'static str),
    /// The cache belongs to another processor already: make one for each. Given by hosts, never by the core.
    Cache,
}

impl From<InvalidLimits> for BuildError {
    fn from(limits: InvalidLimits) -> Self {
        Self::Limits(limits)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limits(limits) => limits.fmt(f),
            Self::Memory { bytes } => {
                write!(f, "the limits need {bytes} bytes, which cannot be allocated: lower them")
            }
            Self::Runtime(lacks) => f.write_str(lacks),
            Self::Cache => f.write_str("the cache is another processor's: make one for each"),
        }
    }
}

impl core::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Limits(limits) => Some(limits),
            Self::Memory { .. } | Self::Runtime(_) | Self::Cache => None,
        }
    }
}

/// A limit that is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidLimits {
    /// The field of [`Limits`](crate::Limits).
    pub field: &'static str,
    /// The bound that the field must keep.
    pub bound: &'static str,
    /// The value of the field; a duration is in nanoseconds.
    pub value: u64,
}

impl InvalidLimits {
    /// The `field` must keep the `bound`, but has this `value`. For hosts with settings of their own.
    #[must_use]
    pub const fn new(field: &'static str, bound: &'static str, value: u64) -> Self {
        Self { field, bound, value }
    }
}

impl fmt::Display for InvalidLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit `{}` must be {}, but is {}", self.field, self.bound, self.value)
    }
}

impl core::error::Error for InvalidLimits {}
