//! The bounded, generational store. Tasks, sleeps, emitters, subscribers and permits each have one.
//!
//! An id is `generation << index_bits | index`. The index takes only the bits that the capacity needs, and the
//! generation takes the others. A *stay* is the time between the insertion of a value and its removal. Each stay in a
//! slot has the slot's next generation, from 1 on, or from a start that an origin sets. So an id is never zero and
//! never repeats. A slot whose generations are used up is *retired*: it is counted and never used again, so no id is
//! given out twice.
//!
//! One array holds the generations, the values and the list of free slots, so a stay touches no other memory. `slab`
//! keeps nothing in a vacant entry: on top of it this store needs a second array for the generations, and copies each
//! value once more. That takes 14 % more instructions and 20 % more time for a task's whole life, at 1,000 queued tasks
//! as at 100,000. (The cache uses `slab`, because its entries have no ids.)
//!
//! **When the first slot can retire.** The slot freed last is used first, so in the worst case all the wear is on one
//! slot. Generations of 32 bits would be used up after 72 minutes at 1,000,000 stays a second. A capacity of 1,024
//! takes 10 index bits and leaves 54 bits, which last 570 years. A capacity of 1,000,000 leaves 44 bits, which last 203
//! days; then one slot is lost. An origin takes at most a sixteenth of that. Further generations within one stay (see
//! [`Slots::further`]) count like stays. A stay can use up the generations of its slot: see [`Slots::has_further`].

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::num::NonZeroU64;

use crate::ids::Id;

/// The end of the list of free slots. Never a slot's index, since a capacity is at most `u32::MAX`.
const NIL: u32 = u32::MAX;

/// A slot, and the bits of the id of its value, or of the next value if the slot is free.
#[derive(Debug)]
struct Slot<T> {
    bits: NonZeroU64,
    kept: Kept<T>,
}

#[derive(Debug)]
enum Kept<T> {
    Here(T),
    Free { next: u32 },
    Retired,
}

/// A store of at most `capacity` values, each named by an id of type `I`. A call is O(1) unless its documentation says
/// otherwise. Only [`Slots::new`] allocates.
#[derive(Debug)]
pub(crate) struct Slots<I, T> {
    /// All slots that were ever used. The others are added one by one.
    slots: Vec<Slot<T>>,
    /// The slot freed last. Each free slot has the index of the one freed before it.
    free: u32,
    len: u32,
    capacity: u32,
    index_bits: u32,
    /// A mask of the index bits.
    index_mask: u32,
    /// How many bits the generation has.
    generation_bits: u32,
    /// The generation of the first stay in each slot.
    first: u64,
    /// The highest id: the last generation, with all index bits set.
    last: u64,
    retired: u32,
    class: PhantomData<fn() -> I>,
}

/// The number of bits that `capacity` indices need.
const fn index_bits(capacity: u32) -> u32 {
    u32::BITS - capacity.saturating_sub(1).leading_zeros()
}

impl<I: Id, T> Slots<I, T> {
    /// An empty store. Allocates [`Slots::bytes`], O(capacity).
    pub(crate) fn new(capacity: u32) -> Self {
        Self::with_generation_bits(capacity, u64::BITS)
    }

    /// Like [`Slots::new`], but generations have at most `bits` bits, so that slots retire early.
    pub(crate) fn with_generation_bits(capacity: u32, bits: u32) -> Self {
        let index_bits = index_bits(capacity);
        let bits = bits.clamp(1, u64::BITS - index_bits);
        let last_generation = u64::MAX >> (u64::BITS - bits);
        Self {
            slots: Vec::with_capacity(capacity as usize),
            free: NIL,
            len: 0,
            capacity,
            index_bits,
            index_mask: low_bits(index_bits) as u32,
            generation_bits: bits,
            first: 1,
            last: (last_generation << index_bits) | low_bits(index_bits),
            retired: 0,
            class: PhantomData,
        }
    }

    /// Sets the first generation of an empty store, within the first sixteenth of the range: 1 for origin 0.
    /// Consecutive origins begin far apart, so stores with consecutive numbers have no ids in common for a long time.
    pub(crate) const fn with_origin(mut self, origin: u64) -> Self {
        let bits = self.generation_bits.saturating_sub(4);
        // Fibonacci hashing: the factor is 2^64 divided by the golden ratio, and spreads consecutive numbers evenly.
        let spread = origin.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.first = 1 + if bits == 0 { 0 } else { spread >> (u64::BITS - bits) };
        self
    }

    /// The bytes that [`Slots::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        (capacity as usize).saturating_mul(size_of::<Slot<T>>())
    }

    /// Inserts `value` and returns its id. Hands the value back if no slot is free.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Result<I, T> {
        let Some(vacant) = self.vacant() else { return Err(value) };
        let id = vacant.id();
        let _ = vacant.insert(value);
        Ok(id)
    }

    /// The next slot to use, to be filled in place; `None` if no slot is free.
    #[inline]
    pub(crate) fn vacant(&mut self) -> Option<Vacant<'_, I, T>> {
        if self.free == NIL {
            self.add_slot();
        }
        let Self { slots, free, len, .. } = self;
        let slot = slots.get_mut(*free as usize)?;
        let Kept::Free { next } = slot.kept else {
            debug_assert!(false, "the list of free slots has only free slots");
            return None;
        };
        Some(Vacant { slot, next, free, len, class: PhantomData })
    }

    /// Adds a slot that was never used, if the capacity allows. It is then the only free slot in the list.
    #[cold]
    fn add_slot(&mut self) {
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let bits = NonZeroU64::new((self.first << self.index_bits) | u64::from(index));
        if let Some(bits) = bits.filter(|_| index < self.capacity) {
            self.slots.push(Slot { bits, kept: Kept::Free { next: NIL } });
            self.free = index;
        }
    }

    /// The value that `id` names; `None` if it was removed.
    #[inline]
    pub(crate) fn get(&self, id: I) -> Option<&T> {
        let slot = self.slots.get(self.index_of(id) as usize)?;
        if slot.bits == id.raw() { slot.value() } else { None }
    }

    /// As [`get`](Self::get), mutable.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let index = self.index_of(id);
        let slot = self.slots.get_mut(index as usize)?;
        if slot.bits == id.raw() { slot.value_mut() } else { None }
    }

    /// Removes the value that `id` names, and frees or retires its slot.
    #[inline]
    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        let index = self.index_of(id);
        if self.slots.get(index as usize)?.bits == id.raw() { self.take(index, 0) } else { None }
    }

    /// The value in slot `index`.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.value()
    }

    /// As [`at`](Self::at), mutable.
    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.value_mut()
    }

    /// The id of the value in slot `index`, and the value, mutable.
    #[inline]
    pub(crate) fn entry(&mut self, index: u32) -> Option<(I, &mut T)> {
        let slot = self.slots.get_mut(index as usize)?;
        let id = I::from_raw(slot.bits);
        Some((id, slot.value_mut()?))
    }

    /// Removes the value in slot `index`, and frees the slot, or retires it if no generation is left for another stay.
    /// `drawn` is the number of further generations that this stay had.
    #[inline(always)]
    pub(crate) fn take(&mut self, index: u32, drawn: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        slot.value()?;
        self.len = self.len.wrapping_sub(1);
        // An index has 32 bits at most, so nothing is shifted out.
        let used = u64::from(drawn.saturating_add(1)) << self.index_bits;
        let left = self.last.wrapping_sub(slot.bits.get());
        let kept = if used <= left {
            slot.bits = slot.bits.saturating_add(used);
            Kept::Free { next: core::mem::replace(&mut self.free, index) }
        } else {
            self.retired = self.retired.saturating_add(1);
            Kept::Retired
        };
        match core::mem::replace(&mut slot.kept, kept) {
            Kept::Here(value) => Some(value),
            Kept::Free { .. } | Kept::Retired => None,
        }
    }

    /// The id of the value in slot `index`.
    #[inline]
    pub(crate) fn id_at(&self, index: u32) -> Option<I> {
        let slot = self.slots.get(index as usize)?;
        slot.value().map(|_| I::from_raw(slot.bits))
    }

    /// The slot index of an id of this store, or of one that [`Slots::further`] made. Does not check that the id is
    /// live.
    #[inline]
    pub(crate) fn index_of(&self, id: impl Id) -> u32 {
        id.raw().get() as u32 & self.index_mask
    }

    /// The generation of an id, as [`index_of`](Self::index_of) gives its index.
    #[cfg(test)]
    pub(crate) fn generation_of(&self, id: impl Id) -> u64 {
        id.raw().get() >> self.index_bits
    }

    /// Whether `further` is the id that [`further`](Self::further) makes from `id` and `nth`.
    #[inline]
    pub(crate) fn is_further(&self, id: I, nth: u32, further: impl Id) -> bool {
        further.raw().get().wrapping_sub(id.raw().get()) == u64::from(nth) << self.index_bits
    }

    /// The `nth` generation of a stay, as an id of another class (an attempt). Generation 0 is that of `id` itself. The
    /// bits are unique if the stay [has](Slots::has_further) that many generations, and if their number is passed to
    /// [`Slots::take`] at its end. `None` if the id would exceed 64 bits.
    #[inline]
    pub(crate) fn further<J: Id>(&self, id: I, nth: u32) -> Option<J> {
        id.raw().checked_add(u64::from(nth) << self.index_bits).map(J::from_raw)
    }

    /// Whether the slot `index` has an `nth` generation for its stay, and `nth` can be counted.
    pub(crate) fn has_further(&self, index: u32, nth: u32) -> bool {
        let bits = self.slots.get(index as usize).map_or(u64::MAX, |slot| slot.bits.get());
        nth < u32::MAX && u64::from(nth) << self.index_bits <= self.last.saturating_sub(bits)
    }

    /// How many values the store holds.
    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether the store holds no value.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more values fit: the capacity, less the values and the retired slots.
    #[inline]
    pub(crate) const fn free(&self) -> u32 {
        self.capacity.wrapping_sub(self.len).wrapping_sub(self.retired)
    }

    /// The capacity given at construction, retired slots included.
    #[inline]
    pub(crate) const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many slots are retired.
    pub(crate) const fn retired(&self) -> u32 {
        self.retired
    }

    /// All values with their slot indices, in the order of the indices. O(capacity).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| Some((index, slot.value()?)))
    }
}

/// A free slot, and the counters to update when it is filled.
pub(crate) struct Vacant<'a, I, T> {
    slot: &'a mut Slot<T>,
    /// The free slot after this one.
    next: u32,
    free: &'a mut u32,
    len: &'a mut u32,
    class: PhantomData<fn() -> I>,
}

impl<'a, I: Id, T> Vacant<'a, I, T> {
    /// The id that the value will have.
    #[inline]
    pub(crate) fn id(&self) -> I {
        I::from_raw(self.slot.bits)
    }

    /// The slot's index.
    #[inline]
    pub(crate) const fn index(&self) -> u32 {
        *self.free
    }

    /// Fills the slot. Construct the value in the argument: then the compiler writes it into the slot field by field. A
    /// value constructed before is copied as a whole right after it was written in pieces, which stalls the processor.
    /// That is why this method cannot fail: a value that may have to be dropped instead needs memory of its own.
    #[inline(always)]
    pub(crate) fn insert(self, value: T) -> Option<&'a mut T> {
        self.slot.kept = Kept::Here(value);
        *self.free = self.next;
        *self.len = self.len.wrapping_add(1);
        self.slot.value_mut()
    }
}

impl<T> Slot<T> {
    #[inline]
    const fn value(&self) -> Option<&T> {
        match &self.kept {
            Kept::Here(value) => Some(value),
            Kept::Free { .. } | Kept::Retired => None,
        }
    }

    #[inline]
    const fn value_mut(&mut self) -> Option<&mut T> {
        match &mut self.kept {
            Kept::Here(value) => Some(value),
            Kept::Free { .. } | Kept::Retired => None,
        }
    }
}

/// A mask of the low `bits` bits.
const fn low_bits(bits: u32) -> u64 {
    !(u64::MAX << bits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
