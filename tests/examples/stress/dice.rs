//! What dice show.

use std::time::Duration;

use fastrand::Rng;

/// True so many times in a hundred.
pub fn chance(dice: &mut Rng, percent: u32) -> bool {
    dice.u32(0..100) < percent
}

/// A duration of up to so many microseconds.
pub fn micros(dice: &mut Rng, most: u64) -> Duration {
    Duration::from_micros(dice.u64(0..=most))
}
