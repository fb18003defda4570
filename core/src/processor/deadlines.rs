//! The timers of tasks, and their account.

use crate::task::NEVER;
use crate::timers::Timers;
use crate::{Account, Instant};

/// All timers. That of each task has the number of its slot; then come those of
/// [`OwnTimer`](super::OwnTimer).
pub(super) struct Deadlines {
    pub(super) timers: Timers,
    /// Of the tasks' timers.
    pub(super) account: Account,
}

impl Deadlines {
    /// Arms the one timer of the task in slot `index` to its deadline, if it has one.
    #[inline]
    pub(super) fn arm(&mut self, index: u32, deadline: Instant) {
        if deadline != NEVER {
            self.timers.arm(index, deadline);
            self.account.enter();
        }
    }

    /// Disarms the timer of the task in slot `index`, which was armed to this deadline unless it has fired.
    #[inline]
    pub(super) fn disarm(&mut self, index: u32, deadline: Instant) {
        if deadline != NEVER && self.timers.disarm(index) {
            self.account.leave();
        }
    }
}
