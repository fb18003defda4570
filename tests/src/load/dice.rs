//! Several small random numbers out of one large one.

use std::f64::consts::LN_2;

/// A throw of dice: random bits, of which each number takes as many as it needs. Those of one throw must not need
/// more than about 50 bits together, for what is drawn last is uniform only to what is left of the 64.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// A number from 0 to `sides` - 1 (Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1),
    /// 2019, without its rejection: the low half of the product is as random as before, and goes on being used).
    #[inline]
    pub(super) const fn below(&mut self, sides: u64) -> u64 {
        let product = self.0 as u128 * sides as u128;
        self.0 = product as u64;
        (product >> 64) as u64
    }

    /// An exponentially distributed number of mean 1, from all bits that are left: -ln(bits / 2^64), to three digits
    /// and on every machine the same, which [`f64::ln`] does not promise.
    #[inline]
    pub(super) const fn exponential(self) -> f64 {
        let bits = self.0 | 1;
        let zeros = bits.leading_zeros();
        // The bits are fraction * 2^-(zeros + 1), with the fraction from 1 to 2.
        let fraction = f64::from_bits(1.0_f64.to_bits() | bits << zeros << 1 >> 12);
        // ln(f) = 2 artanh((f - 1) / (f + 1)), of whose series these are the first terms.
        let z = (fraction - 1.0) / (fraction + 1.0);
        let (z2, halves) = (z * z, (zeros + 1) as f64);
        halves * LN_2 - 2.0 * z * (1.0 + z2 * (1.0 / 3.0 + z2 * (1.0 / 5.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastrand::Rng;

    /// Ten thousand of each pair are expected; five standard deviations are 500.
    #[test]
    fn the_numbers_of_a_throw_are_uniform_and_independent() {
        let mut rng = Rng::with_seed(3);
        let mut counts = [0_u32; 64];
        for _ in 0..640_000 {
            let mut dice = Dice::new(rng.u64(..));
            let _ = dice.below(1_000);
            let first = dice.below(8);
            let _ = dice.below(1_000);
            counts[(first * 8 + dice.below(8)) as usize] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
    }

    #[test]
    fn an_exponential_number_is_the_logarithm_to_three_digits() {
        let mut rng = Rng::with_seed(3);
        for zeros in 0..64 {
            for _ in 0..1_000 {
                let bits = (rng.u64(..) | 1 << 63) >> zeros | 1;
                let wanted = -(bits as f64 / 2_f64.powi(64)).ln();
                let drawn = Dice::new(bits).exponential();
                assert!((drawn - wanted).abs() < 1e-3, "{drawn}, not {wanted}, of {bits}");
            }
        }
        assert!((Dice::new(u64::MAX).exponential()).abs() < 1e-3 && Dice::new(0).exponential() < 45.0);
    }
}
