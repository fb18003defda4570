//! A clock for hosts that have the standard library.

use crate::Instant;

/// The standard library's monotonic clock, with the start of this value as its origin.
///
/// ```
/// # use plimsoll_core::{Clock, Instant};
/// let clock = Clock::start();
/// assert!(clock.now() >= Instant::ZERO);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// Starts a clock, now at [`Instant::ZERO`].
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.0.elapsed())
    }

    /// Converts an instant to the standard library's, to sleep until then; `None` past the end of its range.
    #[must_use]
    pub fn to_std(&self, at: Instant) -> Option<std::time::Instant> {
        self.0.checked_add(at.saturating_since(Instant::ZERO))
    }
}
