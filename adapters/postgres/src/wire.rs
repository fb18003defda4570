//! Values as the tables have them, and back. Anybody may write to the tables, so what is read may be any value of its column's
//! type; the fuzz target `postgres_values` reads this file.

use std::time::Duration;

use plimsoll::source::Death;

/// A hundred years, in microseconds: what PostgreSQL can add to any time of day.
pub(crate) const LONGEST: i64 = 100 * 366 * 24 * 3_600 * 1_000_000;

/// A place in the order of delivery: a priority, lower ones first, and a number.
pub(crate) type Place = (i32, i64);

/// The place before all others.
pub(crate) const START: Place = (i32::MIN, 0);

/// The place of a job with this priority and number.
pub(crate) fn place(priority: i16, number: i64) -> Place {
    (-i32::from(priority), number)
}

/// Microseconds, rounded up, and not more than [`LONGEST`].
pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(LONGEST).min(LONGEST)
}

/// An unsigned number as PostgreSQL stores it: with the same bits.
pub(crate) const fn signed(number: u64) -> i64 {
    number as i64
}

/// The unsigned number with these bits.
pub(crate) const fn unsigned(number: i64) -> u64 {
    number as u64
}

/// A number of deliveries; none for what can be none.
pub(crate) fn count(deliveries: i32) -> u32 {
    u32::try_from(deliveries).unwrap_or(0)
}

/// PostgreSQL has no zero characters, and would refuse the whole batch again and again.
pub(crate) fn text(message: &str) -> String {
    message.replace('\0', "\u{fffd}")
}

const DEATHS: [(Death, i16); 6] = [
    (Death::Failed, 1),
    (Death::Panicked, 2),
    (Death::TimedOut, 3),
    (Death::Cancelled, 4),
    (Death::TooOften, 5),
    (Death::Undecodable, 6),
];

/// The number of a reason; 0 for one that this crate does not know.
pub(crate) fn code(why: Death) -> i16 {
    DEATHS.iter().find(|(death, _)| *death == why).map_or(0, |(_, code)| *code)
}

/// The reason with this number, if this crate knows it.
pub(crate) fn death(code: i16) -> Option<Death> {
    DEATHS.iter().find(|(_, of)| *of == code).map(|(death, _)| *death)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        for key in [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX] {
            assert_eq!(unsigned(signed(key)), key);
        }
        for (why, _) in DEATHS {
            assert_eq!(death(code(why)), Some(why));
        }
        assert_eq!([i16::MIN, -1, 0, 7, i16::MAX].map(death), [None; 5]);
    }

    #[test]
    fn extremes_are_kept_in_bounds() {
        assert_eq!([i32::MIN, -1, 0, i32::MAX].map(count), [0, 0, 0, i32::MAX as u32]);
        assert_eq!([Duration::ZERO, Duration::from_nanos(1), Duration::MAX].map(micros), [0, 1, LONGEST]);
        assert!(START < place(i16::MAX, i64::MIN) && place(i16::MAX, 9) < place(i16::MIN, -9));
        assert_eq!(text("a\0b"), "a\u{fffd}b");
    }
}
