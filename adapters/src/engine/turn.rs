//! One poll of a worker by its runtime, and its bounds.

use std::time::Duration;

use plimsoll_core::Instant;

use super::wake::Entered;

/// How many polls of attempts, and how many calls of other foreign code, a worker makes before it lets other tasks of the
/// runtime run.
const POLLS_A_TURN: u32 = 256;
/// For how long it makes them.
const TURN: Duration = Duration::from_millis(1);

/// One poll of a worker by its runtime.
pub(super) struct Turn {
    pub(super) entered: Entered,
    pub(super) polls_left: u32,
    /// How much foreign code was called since the last reading of the clock.
    pub(super) unread: u32,
    began: Option<Instant>,
    pub(super) last: Instant,
    /// Whether it has not looked yet what the machine wants done.
    pub(super) is_fresh: bool,
    /// Whether other tasks of the runtime are to run next.
    pub(super) is_over: bool,
}

impl Turn {
    /// It begins: `entered` marks its thread.
    pub(super) const fn new(entered: Entered) -> Self {
        let last = Instant::ZERO;
        Self {
            entered,
            polls_left: POLLS_A_TURN,
            unread: 0,
            began: None,
            last,
            is_fresh: true,
            is_over: false,
        }
    }

    /// The clock was read.
    pub(super) fn note_reading(&mut self, now: Instant) {
        let began = *self.began.get_or_insert(now);
        (self.last, self.unread) = (now, 0);
        self.is_over |= now.saturating_since(began) > TURN;
    }

    /// Foreign code was called so often.
    #[inline]
    pub(super) fn note_calls(&mut self, calls: u32) {
        self.unread = self.unread.saturating_add(calls);
        self.polls_left = self.polls_left.saturating_sub(calls);
        self.is_over |= self.polls_left == 0;
    }
}
