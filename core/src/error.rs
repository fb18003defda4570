//! What can go wrong, one enum an operation; what was refused is handed back with the reason.

use core::fmt;

use sync_wrapper::SyncWrapper;

use crate::OutcomeKind;

/// A value that was refused, with the reason.
///
/// Where the reason is enough, `?` leaves the value behind: a function that returns the reason's type takes it from
/// there. And it is an error itself whatever the value is, `Sync` or not, so that `?` also works where a function
/// returns a box for any error; the value goes along in the box.
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
    /// Why, and what to do about it.
    pub reason: R,
    // Never lent out shared, so that this is `Sync` for every value.
    value: SyncWrapper<T>,
}

impl<T, R> Refused<T, R> {
    /// This value is refused for this reason.
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

    /// Makes something else of the value.
    #[inline]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Refused<U, R> {
        Refused::new(self.reason, make(self.value.into_inner()))
    }

    /// Makes another reason of the reason.
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

macro_rules! leave_value_behind {
    ($reason:ident) => {
        impl<T> From<Refused<T, $reason>> for $reason {
            /// Leaves the value behind.
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
        #[non_exhaustive]
        // As wide as what it stands beside in a `Refused`, and in the place of which it stands in a `Result`: with a
        // single byte, what was written whole would be moved on in pieces, and the next whole read would have to wait.
        #[repr(usize)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)* })
            }
        }

        impl core::error::Error for $name {}

        leave_value_behind! { $name }
    };
}

reasons! {
    /// Why [`submit`](crate::Processor::submit) refused a task.
    Refusal {
        /// The queue is full, or others wait for room: wait, shed load, or build with a larger `queue`.
        Full => "no room: the queue is full: wait for room, shed load, or build with a larger limit `queue`",
        /// As many tasks are delayed or back off as the limit `delayed` allows: submit it later, or build with a larger
        /// limit. Waiting for room does not help. (Tasks that fell due while the queue was full count until they have
        /// started.)
        Delayed => "too many tasks are delayed: submit it later, or build with a larger limit `delayed`",
        /// As many tasks are routed to handles as the limit `unclaimed` allows: take some outcomes or drop their handles,
        /// route tasks elsewhere whose outcomes nobody awaits, or build with a larger limit. Waiting for room does not help.
        Unclaimed => "too many outcomes are not taken: await or drop handles, or build with a larger limit `unclaimed`",
        /// The permit has no place left: reserve more. The core itself never says so.
        UsedUp => "all places of the permit are used up: reserve more",
        /// As many tasks are in a completion queue as it has room for: take some results first. The core itself never says so.
        Untaken => "the completion queue has as many tasks as it has room for: take results first",
        /// No task slot is free: call `poll_effect` until it is empty, for settled tasks keep theirs until then.
        /// (After years some slots may be retired too, see [`Census::retired`](crate::Census::retired).)
        Backlog => "settled tasks still have their slots: perform the effects, then try again",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
        /// The terms ask for more tries than the limit `attempts` allows: ask for fewer, or build with a larger limit. A host
        /// that cannot make a job for a further try has a limit of 1: let it clone jobs then (`retry`, in the adapters).
        Attempts => "more attempts asked for than are allowed: ask for fewer, or build with `retry` and a larger limit `attempts`",
        /// The terms ask for the result to be retained, but the limit `results.entries` is 0: build with a larger one.
        NotRetained => "no results are retained: build with a larger limit `results.entries`",
        /// A time-out is zero, and would end the task before it began: leave it out for no limit. The core itself never says
        /// so: a machine to which time is given may report at the very instant of a start.
        ZeroTimeout => "a time-out of zero would end the task before it began: leave it out for no limit",
    }
}

/// Why [`feed`](crate::Processor::feed) refused a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FeedRefusal {
    /// The source is not attached any more: stop emitting.
    Detached,
    /// The host could not make the terms of the task, which was not offered. The core itself never says so.
    Terms,
    /// The task itself was refused.
    Task(Refusal),
}

impl fmt::Display for FeedRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Detached => f.write_str("the source is not attached"),
            Self::Terms => f.write_str("the terms of the task could not be made"),
            Self::Task(reason) => reason.fmt(f),
        }
    }
}

impl core::error::Error for FeedRefusal {}

leave_value_behind! { FeedRefusal }

/// Why [`Reserved::submit`](crate::Reserved::submit) refused a task. The permit is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PermitRefusal {
    /// This is no permit: it still waits for room, its places are used up, or it was given back. The task counts as not
    /// offered.
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

leave_value_behind! { PermitRefusal }

reasons! {
    /// Why [`reserve`](crate::Processor::reserve) granted no permit.
    ReserveRefusal {
        /// The queue has no room for so many, or others wait for room: wait for it, ask for fewer, or shed load.
        Full => "no room: the queue is full: wait for room, ask for fewer places, or shed load",
        /// Too few task slots are free: call `poll_effect` until it is empty, for settled tasks keep theirs until then.
        Backlog => "settled tasks still have their slots: perform the effects, then try again",
        /// More outcomes would not be taken than the limit `unclaimed` allows: take some or drop their handles, or build with
        /// a larger limit. Waiting for room does not help.
        Unclaimed => "too many outcomes are not taken: await or drop handles, or build with a larger limit `unclaimed`",
        /// No permit can have so many places, however empty the machine is: `queue` and `concurrency` together are fewer, or
        /// `unclaimed` is. Ask for fewer, or build with larger limits.
        TooMany => "more places than there can be: ask for fewer, or build with larger limits",
        /// The limit `waiters` is reached: shed load, or build with more.
        Waiters => "too many wait for room or hold a permit: shed load, or build with a larger limit `waiters`",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`wait_for_room`](crate::Processor::wait_for_room) refused a waiter.
    WaitRefusal {
        /// No permit can have so many places, however empty the machine is: `queue` and `concurrency` together are fewer, or
        /// `unclaimed` is. Ask for fewer, or build with larger limits.
        TooMany => "more places than there can be: ask for fewer, or build with larger limits",
        /// The limit `waiters` is reached: shed load, or build with more.
        Waiters => "too many wait for room or hold a permit: shed load, or build with a larger limit `waiters`",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`sleep`](crate::Processor::sleep) refused.
    SleepRefusal {
        /// The attempt is over, or was asked to stop.
        Over => "the attempt is over or was asked to stop",
        /// The attempt has as many sleeps as the limit `sleeps` allows: end one, or build with more. (Or attempts
        /// that are over left waiters of sleeps behind that take all the slots there are: call `poll_effect`
        /// until it is empty.)
        Full => "the attempt sleeps in too many places",
    }
}

reasons! {
    /// Why [`attach`](crate::Processor::attach) refused a source.
    AttachRefusal {
        /// The limit `sources` is reached: detach one, or build with more.
        Full => "too many sources are attached",
        /// The machine is draining or has ended: no retry will help.
        Closed => "the processor is draining or has ended",
    }
}

reasons! {
    /// Why [`subscribe`](crate::Processor::subscribe) refused.
    SubscribeRefusal {
        /// The limit `subscribers` is reached: unsubscribe one, or build with more.
        Full => "too many subscribers",
        /// The machine is ending or has ended: no retry will help.
        Closed => "the processor is ending or has ended",
    }
}

reasons! {
    /// Why [`cancel`](crate::Processor::cancel) did nothing.
    CancelError {
        /// No such task is live: it is over, and its outcome taken.
        NotFound => "no such task",
        /// The task has its outcome already.
        Settled => "the task is settled already",
    }
}

/// A report about an attempt that is over: the value comes back. An orphan counts as stopped from now on.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use = "the reported value is handed back here and nowhere else"]
#[non_exhaustive]
pub struct Late<T> {
    /// The outcome of the attempt's task; `None` when the attempt was followed by another, or when the task is
    /// gone or never was.
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
    /// The allocator does not give as much memory as the limits need: lower them, or give the process more.
    /// [`Limits::footprint`](crate::Limits::footprint) says what each part takes.
    Memory {
        /// How many bytes the limits need.
        bytes: usize,
    },
    /// The runtime cannot run a processor: what it lacks, and how it is made to have that. The core itself never says so.
    Runtime(&'static str),
    /// The cache is a part of another processor already: make one for each. The core itself never says so.
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
    /// Which field of [`Limits`](crate::Limits).
    pub field: &'static str,
    /// What it must be.
    pub bound: &'static str,
    /// What it is, durations in nanoseconds.
    pub value: u64,
}

impl InvalidLimits {
    /// This field must be so, but has this value. For hosts with settings beside those of the machine.
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
