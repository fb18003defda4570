//! The shape of the wheel: its slots, and the ticks that they hold.
//!
//! In a large wheel a slot above the lowest level consists of several lists, its *strands*. The lowest bits of a tick
//! choose the strand. So a cascade takes from all strands in turn, and their nodes are fetched side by side.

/// Bits of a digit of the upper levels, and the fewest bits of the lowest digit.
const DIGIT_BITS: u32 = 6;
/// Levels above the lowest: enough to cover all ticks, whatever the width of the lowest.
const UPPER_LEVELS: u32 = 7;
/// The most bits of the lowest digit.
const MOST_BITS: u32 = 11;
/// The lowest level of a large wheel has at most one slot for this many timers: a quarter of a byte for each timer.
const TIMERS_A_SLOT: u32 = 64;

/// Strands of a slot in a large wheel, in bits.
const STRAND_BITS: u32 = 2;

/// A slot, or a strand of one, and the slot's first tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) slot: u32,
    pub(super) tick: u64,
}

/// The widths of the levels. Slots are numbered from the lowest level up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    lowest_bits: u32,
    /// `1 << lowest_bits`.
    lowest: u32,
    /// The number of low bits of a tick that choose its strand.
    strand_bits: u32,
    /// `1 << strand_bits`.
    strands: u32,
}

impl Shape {
    /// The shape of a wheel for `capacity` timers.
    pub(super) const fn of(capacity: u32) -> Self {
        match (capacity / TIMERS_A_SLOT).checked_ilog2() {
            Some(MOST_BITS..) => Self::with_lowest(MOST_BITS),
            Some(bits @ DIGIT_BITS..) => Self::with_lowest(bits),
            _ => Self::with_lowest(DIGIT_BITS),
        }
    }

    /// The shape with `bits` bits in the lowest digit.
    pub(super) const fn with_lowest(bits: u32) -> Self {
        let strand_bits = if bits > DIGIT_BITS { STRAND_BITS } else { 0 };
        Self { lowest_bits: bits, lowest: 1 << bits, strand_bits, strands: 1 << strand_bits }
    }

    /// Whether the lowest level has more slots than the others.
    pub(super) const fn is_wide(self) -> bool {
        self.lowest_bits > DIGIT_BITS
    }

    /// How many strands a slot above the lowest level has.
    #[inline]
    pub(super) const fn strands(self) -> u32 {
        self.strands
    }

    /// How many slots there are; each strand counts as one.
    #[inline]
    pub(super) const fn slots(self) -> u32 {
        self.lowest + (UPPER_LEVELS << (DIGIT_BITS + self.strand_bits))
    }

    /// Whether a slot is on level 0, where it holds a single tick.
    #[inline]
    pub(super) const fn is_lowest(self, slot: u32) -> bool {
        slot < self.lowest
    }

    /// The slot or strand of `tick`, seen from the tick `elapsed`. The slot of a later tick never comes earlier.
    #[inline]
    pub(super) const fn slot_of(self, elapsed: u64, tick: u64) -> u32 {
        let differing = (elapsed ^ tick) >> self.lowest_bits;
        if differing == 0 {
            return tick as u32 & (self.lowest - 1);
        }
        let level = differing.ilog2() / DIGIT_BITS;
        let digit = (tick >> (self.lowest_bits + DIGIT_BITS * level)) as u32 & 0x3f;
        let strand = tick as u32 & (self.strands - 1);
        self.lowest + ((level << DIGIT_BITS) | digit) * self.strands + strand
    }

    /// A slot or strand, with the slot's first tick seen from the tick `elapsed`.
    #[inline]
    pub(super) const fn due(self, elapsed: u64, slot: u32) -> Due {
        if slot < self.lowest {
            return Due { slot, tick: (elapsed & !(self.lowest as u64 - 1)) | slot as u64 };
        }
        let upper = (slot - self.lowest) >> self.strand_bits;
        let shift = self.lowest_bits + DIGIT_BITS * (upper >> DIGIT_BITS);
        let above = elapsed & (u64::MAX << (shift + DIGIT_BITS));
        Due { slot, tick: above | ((upper as u64 & 0x3f) << shift) }
    }
}
