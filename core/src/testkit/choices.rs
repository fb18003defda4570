//! The values that small numbers choose, in steps of several parts.

use core::time::Duration;

use crate::Rate;

/// The value that a number chooses from a table.
pub(super) fn pick<T: Copy + Default>(table: &[T], choice: u8) -> T {
    let at = usize::from(choice).checked_rem(table.len()).unwrap_or(0);
    table.get(at).copied().unwrap_or_default()
}

/// How far the clock jumps: mostly little, now and then centuries.
pub(super) fn jump(choice: u8) -> Duration {
    let nanos = [0, 1, 300_000, 999_999, 1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000];
    match choice {
        0..=199 => Duration::from_nanos(pick(&nanos, choice)),
        200..=229 => Duration::from_millis(pick(&[63, 64, 65, 70, 100, 1_000, 4_096], choice)),
        230..=243 => Duration::from_secs(pick(&[10, 60, 3_600, 86_400, 262_144], choice)),
        244..=251 => Duration::from_secs(pick(&[30 * 86_400, 365 * 86_400], choice)),
        252..=254 => Duration::from_secs(200 * 365 * 86_400),
        255 => Duration::MAX,
    }
}

/// How many keys of lanes scripts use.
pub(super) const KEYS: u64 = 3;

/// The key of a lane.
pub(super) fn key(choice: u8) -> u64 {
    u64::from(choice) % KEYS
}

/// A rate, mostly none.
pub(super) fn rate(choice: u8) -> Option<Rate> {
    let second = Duration::from_secs(1);
    match choice {
        0..208 => None,
        208..216 => Some(Rate::new(1, Duration::from_millis(2))),
        216..224 => Some(Rate::new(3, Duration::from_millis(10)).burst(2)),
        224..232 => Some(Rate::new(7_000, second)),
        232..240 => Some(Rate::new(300, second).burst(3)),
        240..248 => Some(Rate::new(1, Duration::MAX).burst(2)),
        248.. => Some(Rate::new(0, Duration::ZERO)),
    }
}
