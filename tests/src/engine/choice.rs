//! What a byte chooses.

use std::time::Duration;

/// A short time, or now and then a long one.
pub(super) fn span(choice: u8) -> Duration {
    let micros = [1_000, 0, 300, 1_500, 2_000, 3_000, 5_000, 10_000, 20_000, 70_000];
    match choice {
        0..230 => Duration::from_micros(pick(choice, &micros)),
        230..250 => ms(pick(choice, &[500, 1_000, 5_000])),
        250..255 => Duration::from_secs(pick(choice, &[60, 3_600, 86_400])),
        255 => Duration::MAX,
    }
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn pick<T: Copy>(choice: u8, table: &[T]) -> T {
    table[usize::from(choice) % table.len()]
}
