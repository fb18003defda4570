//! Which slots the wheel has, and which ticks they hold.

/// Bits of a digit of the upper levels, and the fewest bits of the lowest digit.
const DIGIT_BITS: u32 = 6;
/// Levels above the lowest: enough to cover all ticks whatever that has.
const UPPER_LEVELS: u32 = 7;
/// The most bits of the lowest digit.
const MOST_BITS: u32 = 11;
/// The lowest level of a large wheel has at most one slot for so many timers: a quarter of a byte for each.
const TIMERS_A_SLOT: u32 = 64;

/// A slot and its first tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) slot: u32,
    pub(super) tick: u64,
}

/// How many slots the lowest level has. They come first, then those of each level above.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    lowest_bits: u32,
    /// `1 << lowest_bits`.
    lowest: u32,
}

impl Shape {
    /// The shape of a wheel for so many timers.
    pub(super) const fn of(capacity: u32) -> Self {
        match (capacity / TIMERS_A_SLOT).checked_ilog2() {
            Some(MOST_BITS..) => Self::with_lowest(MOST_BITS),
            Some(bits @ DIGIT_BITS..) => Self::with_lowest(bits),
            _ => Self::with_lowest(DIGIT_BITS),
        }
    }

    /// With so many bits in the lowest digit.
    pub(super) const fn with_lowest(bits: u32) -> Self {
        Self { lowest_bits: bits, lowest: 1 << bits }
    }

    /// Whether the lowest level has more slots than the others.
    pub(super) const fn is_wide(self) -> bool {
        self.lowest_bits > DIGIT_BITS
    }

    /// How many slots there are.
    #[inline]
    pub(super) const fn slots(self) -> u32 {
        self.lowest + (UPPER_LEVELS << DIGIT_BITS)
    }

    /// Whether a slot is on level 0, where it holds a single tick.
    #[inline]
    pub(super) const fn is_lowest(self, slot: u32) -> bool {
        slot < self.lowest
    }

    /// Which slot `tick` stands in, seen from the tick `elapsed`: a later slot for a later tick.
    #[inline]
    pub(super) const fn slot_of(self, elapsed: u64, tick: u64) -> u32 {
        let differing = (elapsed ^ tick) >> self.lowest_bits;
        if differing == 0 {
            return tick as u32 & (self.lowest - 1);
        }
        let level = differing.ilog2() / DIGIT_BITS;
        let digit = (tick >> (self.lowest_bits + DIGIT_BITS * level)) & 0x3f;
        self.lowest + ((level << DIGIT_BITS) | digit as u32)
    }

    /// A slot with its first tick, seen from the tick `elapsed`.
    #[inline]
    pub(super) const fn due(self, elapsed: u64, slot: u32) -> Due {
        let tick = if slot < self.lowest {
            (elapsed & !(self.lowest as u64 - 1)) | slot as u64
        } else {
            let upper = slot - self.lowest;
            let shift = self.lowest_bits + DIGIT_BITS * (upper >> DIGIT_BITS);
            let above = elapsed & (u64::MAX << (shift + DIGIT_BITS));
            above | ((upper as u64 & 0x3f) << shift)
        };
        Due { slot, tick }
    }
}
