//! The slots of the wheel that have timers, as a set of bits.

const WORDS: u32 = 64;

/// A set of slots that finds its first member in O(1): a bit for each slot, and a bit for each word that is not zero.
#[derive(Debug)]
pub(super) struct Occupied {
    slots: [u64; WORDS as usize],
    words: u64,
}

impl Occupied {
    pub(super) const NONE: Self = Self { slots: [0; WORDS as usize], words: 0 };

    /// The first slot in the set.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        let word = self.words.trailing_zeros();
        let slots = self.slots.get(word as usize)?;
        Some((word * u64::BITS) | slots.trailing_zeros())
    }

    /// Adds a slot, which may be in the set already.
    #[inline]
    pub(super) fn insert(&mut self, slot: u32) {
        let word = word_of(slot);
        if let Some(slots) = self.slots.get_mut(word as usize) {
            *slots |= bit(slot);
            self.words |= bit(word);
        }
    }

    /// Takes a slot out.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        let word = word_of(slot);
        if let Some(slots) = self.slots.get_mut(word as usize) {
            *slots &= !bit(slot);
            if *slots == 0 {
                self.words &= !bit(word);
            }
        }
    }

    /// The members among the group of `count` slots around `slot`, one bit each. A group is at most a word.
    #[inline]
    pub(super) fn group_of(&self, slot: u32, count: u32) -> u64 {
        let slots = self.slots.get(word_of(slot) as usize).copied().unwrap_or(0);
        (slots >> ((slot & !(count - 1)) % u64::BITS)) & ((1 << count) - 1)
    }

    #[cfg(test)]
    pub(super) fn contains(&self, slot: u32) -> bool {
        self.group_of(slot, 1) != 0
    }
}

/// The word with the bit of a slot.
#[inline]
const fn word_of(slot: u32) -> u32 {
    (slot / u64::BITS) % WORDS
}

/// The bit of a slot in its word, or of a word among all words.
#[inline]
const fn bit(number: u32) -> u64 {
    1 << (number % u64::BITS)
}
