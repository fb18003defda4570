//! A processor as its attempts see it.

use std::task::Waker;
use std::time::Duration;

use plimsoll_core::{AttemptId, Instant, Progress, SleepId, SleepRefusal, TaskId};

/// What an attempt that fails has decided about a further one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// As the task's terms have it.
    ByPolicy,
    /// After so many nanoseconds, if there may be one.
    After(u64),
    /// There is to be none.
    Never,
    /// After so many nanoseconds, as if this one had not been.
    Snoozed(u64),
}

impl Again {
    const SNOOZED: u64 = 1 << 63;
    /// The code of the longest delay, which stands for all that are as long or longer (292 years).
    const LONGEST: u64 = Self::SNOOZED - 2;

    pub(super) const fn encode(self) -> u64 {
        match self {
            Self::ByPolicy => 0,
            Self::Never => u64::MAX,
            Self::After(nanos) => Self::code_of(nanos),
            Self::Snoozed(nanos) => Self::SNOOZED | Self::code_of(nanos),
        }
    }

    pub(super) const fn decode(code: u64) -> Self {
        match code {
            0 => Self::ByPolicy,
            u64::MAX => Self::Never,
            Self::SNOOZED.. => Self::Snoozed(Self::delay_of(code & !Self::SNOOZED)),
            _ => Self::After(Self::delay_of(code)),
        }
    }

    /// Never zero, which stands for no delay at all.
    const fn code_of(nanos: u64) -> u64 {
        if nanos < Self::LONGEST { nanos + 1 } else { Self::LONGEST }
    }

    const fn delay_of(code: u64) -> u64 {
        if code < Self::LONGEST { code.saturating_sub(1) } else { u64::MAX }
    }
}

/// A processor as its attempts see it. They do not keep it alive.
pub trait AttemptHost {
    /// The time on its clock.
    fn now(&self) -> Instant;

    /// Begins a sleep of an attempt.
    fn sleep(&self, attempt: AttemptId, until: Instant, waker: Waker) -> Result<SleepId, SleepRefusal>;

    /// Asks for the end of a sleep: `None` as long as it goes on, and then the waker was left there.
    fn resleep(&self, id: SleepId, waker: Waker) -> Option<Result<(), SleepRefusal>>;

    /// Ends a sleep early.
    fn end_sleep(&self, id: SleepId);

    /// Holds the lane of a task for so long: whether it has one.
    fn hold_lane(&self, task: TaskId, time: Duration) -> bool;

    /// Notes what an attempt has decided about a further one, unless it is over or was asked to stop: whether it goes on.
    fn decide(&self, place: u32, attempt: AttemptId, again: Again) -> bool;

    /// The attempt is alive, and perhaps has got so far. Whether it goes on, and its progress is kept.
    fn tell(&self, place: u32, attempt: AttemptId, progress: Option<Progress>) -> bool;

    /// Leaves a waker under `key` that is woken when the attempt is asked to stop or over, in place of the one of an
    /// earlier call. Whether the attempt goes on; if not, nothing was left.
    fn wait_for_stop(&self, place: u32, attempt: AttemptId, key: &mut Option<usize>, waker: Waker) -> bool;

    /// Takes back the waker that was left by [`wait_for_stop`](Self::wait_for_stop).
    fn leave_stop(&self, place: u32, attempt: AttemptId, key: usize);
}
