//! A clock for hosts that have the standard library.

use crate::Instant;

/// The standard library's monotonic clock, from the moment this value was made on.
///
/// ```
/// # use plimsoll_core::{Clock, Instant};
/// let clock = Clock::start();
/// assert!(clock.now() >= Instant::ZERO);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock(std::time::Instant);

impl Clock {
    /// A clock that begins at [`Instant::ZERO`] now.
    #[must_use]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.0.elapsed())
    }

    /// The standard library's instant for one of ours, to sleep until; `None` past the end of its range.
    #[must_use]
    pub fn to_std(&self, at: Instant) -> Option<std::time::Instant> {
        self.0.checked_add(at.saturating_since(Instant::ZERO))
    }
}
