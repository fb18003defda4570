//! The terms of a task of a script, and the end of its handler.

use core::fmt;
use core::time::Duration;

use super::super::choices::pick;
use crate::{Jitter, OutcomeKind, Priority, Retry, Terms, Timeouts};

/// A task of a script: its terms, and whether its handler stops when it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Task {
    /// Its class in the queue.
    pub priority: Priority,
    /// Its start delay.
    pub delay: Duration,
    /// Its time-outs.
    pub timeouts: Timeouts,
    /// How many further attempts it may have.
    pub retries: u32,
    /// The backoff before each of them.
    pub backoff: Duration,
    /// Whether a further attempt follows one that has timed out.
    pub on_timeout: bool,
    /// Whether a further attempt follows one that has panicked.
    pub on_panic: bool,
    /// Whether its handler goes on when it is told to stop.
    pub is_deaf: bool,
}

impl Task {
    pub(super) fn from_bytes([a, b, c]: [u8; 3]) -> Self {
        let ms = Duration::from_millis;
        Self {
            priority: Priority::new(a % 8),
            delay: pick(&[0, 0, 0, 0, 2, 5, 30, 100].map(ms), a >> 3),
            timeouts: Timeouts {
                schedule_to_start: pick(&[None, None, Some(ms(3)), Some(ms(20))], b & 3),
                start_to_close: pick(&[None, None, Some(ms(1)), Some(ms(10))], b >> 2 & 3),
                schedule_to_close: pick(&[None, None, Some(ms(7)), Some(ms(50))], b >> 4 & 3),
                ..Timeouts::NONE
            },
            retries: u32::from(c & 3),
            backoff: pick(&[1, 4, 70].map(ms), c >> 2 & 3),
            on_timeout: c & 16 != 0,
            on_panic: c & 32 != 0,
            is_deaf: c >= 192,
        }
    }

    /// The terms.
    pub fn terms(&self) -> Terms {
        let retry = Retry::times(self.retries).base(self.backoff).jitter(Jitter::None);
        Terms::new()
            .priority(self.priority)
            .delay(self.delay)
            .timeouts(self.timeouts)
            .retry(retry.on_timeout(self.on_timeout).on_panic(self.on_panic))
    }
}

/// Shows what is not as usual.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a task of class {}", self.priority.class())?;
        if !self.delay.is_zero() {
            write!(f, ", delayed by {:?}", self.delay)?;
        }
        let Timeouts { schedule_to_start, start_to_close, schedule_to_close, .. } = self.timeouts;
        let timeouts = [
            ("schedule-to-start", schedule_to_start),
            ("start-to-close", start_to_close),
            ("schedule-to-close", schedule_to_close),
        ];
        for (name, timeout) in timeouts {
            timeout.map_or(Ok(()), |timeout| write!(f, ", {name} {timeout:?}"))?;
        }
        if self.retries > 0 {
            write!(f, ", up to {} attempts with {:?} between", self.retries + 1, self.backoff)?;
            f.write_str(if self.on_timeout { ", also of time-outs" } else { "" })?;
            f.write_str(if self.on_panic { ", also of panics" } else { "" })?;
        }
        f.write_str(if self.is_deaf { ", deaf" } else { "" })
    }
}

/// How a handler comes to its end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It completes.
    Completed,
    /// It fails.
    Failed,
    /// It panics. Hosts without panics get a failure instead: see [`Host::PANICS`](super::Host::PANICS).
    Panicked,
}

impl Ending {
    pub(super) const fn from_byte(choice: u8) -> Self {
        match choice % 4 {
            0 | 1 => Self::Completed,
            2 => Self::Failed,
            _ => Self::Panicked,
        }
    }

    pub(super) const fn kind(self) -> OutcomeKind {
        match self {
            Self::Completed => OutcomeKind::Completed,
            Self::Failed => OutcomeKind::Failed,
            Self::Panicked => OutcomeKind::Panicked,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        })
    }
}
