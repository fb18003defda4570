//! The delay before a further attempt: its bounds, and how it is drawn.

use core::fmt;
use core::time::Duration;

use crate::Jitter;

/// The bounds of the delays: base, cap and least. Packed in 16 bytes, because each task stores them.
///
/// Each takes 42 bits: a number of 37 bits and a shift of 5. So a duration is exact up to 2^37 nanoseconds (137 s), and
/// whole seconds are exact up to 19 hours. Others are rounded down, by less than 2^-36 of the duration.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Backoff {
    high: u64,
    low: u64,
}

/// The bits of one bound, and how many of them are the number that is shifted.
const BITS: u32 = 42;
const NUMBER_BITS: u32 = 37;

impl Backoff {
    /// The lowest bit of each bound.
    const LEAST: u32 = 0;
    const CAP: u32 = BITS;
    const BASE: u32 = 2 * BITS;

    /// Bounds in nanoseconds, with a least delay of zero.
    pub(crate) const fn new(base: u64, cap: u64) -> Self {
        Self { high: 0, low: 0 }.with_base(base).with_cap(cap)
    }

    pub(crate) const fn with_base(self, nanos: u64) -> Self {
        self.with(Self::BASE, nanos)
    }

    pub(crate) const fn with_cap(self, nanos: u64) -> Self {
        self.with(Self::CAP, nanos)
    }

    pub(crate) const fn with_least(self, nanos: u64) -> Self {
        self.with(Self::LEAST, nanos)
    }

    /// Draws the delay before the attempt that follows `failed` failures. O(1), one or a few draws.
    pub(crate) fn delay(self, failed: u32, jitter: Jitter, rng: &mut fastrand::Rng) -> Duration {
        let (shortest, longest) = (self.shortest(failed, jitter), self.longest(failed));
        Duration::from_nanos(match jitter {
            Jitter::Full | Jitter::Equal => rng.u64(shortest..=longest),
            Jitter::None => longest,
        })
    }

    /// The shortest delay, in nanoseconds, that may follow `failed` failures.
    pub(crate) fn shortest(self, failed: u32, jitter: Jitter) -> u64 {
        let longest = self.longest(failed);
        let shortest = match jitter {
            Jitter::Full => 0,
            Jitter::Equal => longest / 2,
            Jitter::None => longest,
        };
        shortest.max(self.get(Self::LEAST)).min(longest)
    }

    /// The longest delay, in nanoseconds, that may follow `failed` failures.
    pub(crate) fn longest(self, failed: u32) -> u64 {
        let factor = 2u64.saturating_pow(failed.saturating_sub(1));
        let doubled = self.get(Self::BASE).saturating_mul(factor);
        doubled.max(self.get(Self::LEAST)).min(self.get(Self::CAP))
    }

    const fn with(self, at: u32, nanos: u64) -> Self {
        let mask = (1 << BITS) - 1;
        let all = (self.all() & !(mask << at)) | ((encode(nanos) as u128) << at);
        Self { high: (all >> u64::BITS) as u64, low: all as u64 }
    }

    const fn get(self, at: u32) -> u64 {
        decode((self.all() >> at) as u64 & ((1 << BITS) - 1))
    }

    /// Base, cap and least, in nanoseconds.
    pub(crate) const fn bounds(self) -> [u64; 3] {
        [self.get(Self::BASE), self.get(Self::CAP), self.get(Self::LEAST)]
    }

    /// The bounds as two numbers. The two highest bits of the first are 0.
    #[inline]
    pub(crate) const fn halves(self) -> (u64, u64) {
        (self.high, self.low)
    }

    pub(crate) const fn from_halves(high: u64, low: u64) -> Self {
        Self { high, low }
    }

    const fn all(self) -> u128 {
        ((self.high as u128) << u64::BITS) | self.low as u128
    }
}

const fn encode(nanos: u64) -> u64 {
    let shift = (u64::BITS - NUMBER_BITS).saturating_sub(nanos.leading_zeros());
    ((nanos >> shift) << (BITS - NUMBER_BITS)) | shift as u64
}

const fn decode(code: u64) -> u64 {
    // The largest code means no bound, and is not rounded.
    if code == encode(u64::MAX) {
        return u64::MAX;
    }
    (code >> (BITS - NUMBER_BITS)) << (code & ((1 << (BITS - NUMBER_BITS)) - 1))
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = |at| Duration::from_nanos(self.get(at));
        f.debug_struct("Backoff")
            .field("base", &duration(Self::BASE))
            .field("cap", &duration(Self::CAP))
            .field("least", &duration(Self::LEAST))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bounds_are_kept_apart() {
        let values =
            [0, 1, 2, 30_000_000_000, (1 << 37) - 1, 3_600_000_000_000, 70_000_000_000_000, u64::MAX];
        for base in values {
            for cap in values {
                for least in values {
                    let backoff =
                        Backoff::new(7, 7).with_least(7).with_least(least).with_cap(cap).with_base(base);
                    let read = [Backoff::BASE, Backoff::CAP, Backoff::LEAST].map(|at| backoff.get(at));
                    assert_eq!(read, [base, cap, least]);
                }
            }
        }
        assert_eq!(size_of::<Backoff>(), 16);
    }

    #[test]
    fn long_durations_are_rounded_down_by_little() {
        for shift in 0..27 {
            for nanos in [(1 << (37 + shift)) - 1, (1 << (36 + shift)) + 1, 0x15_5555_5555 << shift] {
                let read = decode(encode(nanos));
                assert!(read <= nanos && nanos - read < 1 << shift, "{nanos}");
                assert_eq!(decode(encode(nanos >> shift << shift)), nanos >> shift << shift);
            }
        }
    }

    #[test]
    fn the_longest_delay_doubles_up_to_the_cap() {
        let backoff = Backoff::new(100, 1_000);
        let longest: [u64; 7] = core::array::from_fn(|failed| backoff.longest(failed as u32));
        assert_eq!(longest, [100, 100, 200, 400, 800, 1_000, 1_000]);
        let endless = Backoff::new(1, u64::MAX);
        assert_eq!((endless.longest(64), endless.longest(65)), (1 << 63, u64::MAX));
    }

    #[test]
    fn no_delay_is_shorter_than_the_least_one() {
        let backoff = Backoff::new(100, 1_000).with_least(300);
        let bounds = |backoff: Backoff, jitter| {
            [1, 2, 3, 4, 9].map(|failed| (backoff.shortest(failed, jitter), backoff.longest(failed)))
        };
        let full = [(300, 300), (300, 300), (300, 400), (300, 800), (300, 1_000)];
        assert_eq!(bounds(backoff, Jitter::Full), full);
        let equal = [(300, 300), (300, 300), (300, 400), (400, 800), (500, 1_000)];
        assert_eq!(bounds(backoff, Jitter::Equal), equal);
        assert_eq!(bounds(backoff, Jitter::None), full.map(|(_, longest)| (longest, longest)));
        // The cap bounds it, whatever is set first.
        for backoff in [backoff.with_cap(250), Backoff::new(100, 250).with_least(300)] {
            for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
                assert_eq!(bounds(backoff, jitter), [(250, 250); 5]);
            }
        }
    }
}
