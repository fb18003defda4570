//! Points in time. The core reads no clock: the host passes the time in.

use core::fmt;
use core::time::Duration;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// A point in time: nanoseconds since an origin that the host chooses, such as its own start.
///
/// The range is 584 years from that origin. All arithmetic is checked or saturating, so that every
/// [`Duration`] up to [`Duration::MAX`] is legal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);

    /// The last instant there is, about 584 years after the origin.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant this many nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The instant this many milliseconds after the origin, or [`Instant::MAX`] where that is out
    /// of range.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / NANOS_PER_MILLI
    }

    /// The instant `duration` later, or `None` where that is out of range.
    #[must_use]
    #[inline]
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanos =
            duration.as_secs().checked_mul(1_000_000_000)?.checked_add(u64::from(duration.subsec_nanos()))?;
        self.0.checked_add(nanos).map(Self)
    }

    /// The instant `duration` later, or [`Instant::MAX`] where that is out of range.
    #[must_use]
    #[inline]
    pub fn saturating_add(self, duration: Duration) -> Self {
        self.checked_add(duration).unwrap_or(Self::MAX)
    }

    /// The time from `earlier` to `self`; zero when `earlier` is in fact the later one.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The deadline that never comes.
pub(crate) const NEVER: Instant = Instant::MAX;

/// The instant `nanos` nanoseconds after `start`, or [`NEVER`] past the end of the range.
#[inline]
pub(crate) const fn after(start: Instant, nanos: u64) -> Instant {
    Instant::from_nanos(start.as_nanos().saturating_add(nanos))
}

/// Prints seconds since the origin, such as `1.500000000s`.
impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        write!(f, "{seconds}.{nanos:09}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let second = Instant::from_millis(1_000);
        assert_eq!(second.as_nanos(), 1_000_000_000);
        assert_eq!(Instant::from_nanos(1_999_999).as_millis(), 1);
        assert_eq!(Instant::from_millis(u64::MAX), Instant::MAX);
        assert_eq!(second.checked_add(Duration::from_millis(1)), Some(Instant::from_millis(1_001)));
        assert_eq!(Instant::MAX.checked_add(Duration::from_nanos(1)), None);
        assert_eq!(Instant::ZERO.checked_add(Duration::from_nanos(u64::MAX)), Some(Instant::MAX));
        assert_eq!(Instant::ZERO.checked_add(Duration::MAX), None);
        assert_eq!(second.saturating_add(Duration::MAX), Instant::MAX);
        assert_eq!(second.saturating_since(Instant::ZERO), Duration::from_secs(1));
        assert_eq!(Instant::ZERO.saturating_since(second), Duration::ZERO);
        assert_eq!(Instant::default(), Instant::ZERO);
    }

    #[test]
    fn prints_seconds() {
        assert_eq!(format!("{:?}", Instant::from_millis(1_050)), "1.050000000s");
        assert_eq!(format!("{:?}", Instant::MAX), "18446744073.709551615s");
    }
}
