//! The one generational, bounded store, over [`slab::Slab`]: tasks, timers, sources, subscribers,
//! cache entries and waiters all live in one of these.
//!
//! An id is `generation << index_bits | index`. The index takes only the bits that the capacity
//! needs, the generation has all the others; each stay in a slot draws the next generation of that
//! slot, starting at 1, so that an id is never zero and never repeats. A slot whose generations are
//! used up is *retired*: it is never used again, and counted, instead of wrapping round to ids that
//! were given out before.
//!
//! **When the first slot can retire.** `slab` reuses the slot freed last, so in the worst case all
//! the wear is on one slot. Generations of 32 bits would be used up after 72 minutes at 1,000,000
//! stays a second; a capacity of 1,024 takes 10 index bits and leaves 54, which last 570 years. A
//! capacity of 1,000,000 leaves 44 bits, 203 days of that worst case, after which one slot is lost.
//! Further generations within one stay (see [`Slots::renew`]) count like stays.

use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::num::NonZeroU64;

use slab::Slab;

use crate::ids::Id;

/// A value and the bits of its id, side by side: looking an id up is one comparison.
#[derive(Debug)]
struct Held<T> {
    bits: NonZeroU64,
    value: T,
}

/// What the slab keeps for an index in use; `None` is a retired slot.
type Kept<T> = Option<Held<T>>;

/// The shape of `slab`'s own entries, for their size.
#[allow(dead_code, reason = "never built, only measured")]
enum SlabEntry<T> {
    Vacant(usize),
    Occupied(T),
}

/// A store of at most `capacity` values, each named by an id of type `I`. Every operation is O(1),
/// except where it says otherwise, and none allocates except [`Slots::new`].
#[derive(Debug)]
pub(crate) struct Slots<I, T> {
    entries: Slab<Kept<T>>,
    /// The last generation drawn, slot by slot; 0 before the first.
    generations: Vec<u64>,
    last_generation: u64,
    further: u64,
    index_bits: u32,
    capacity: u32,
    retired: u32,
    class: PhantomData<fn() -> I>,
}

/// How many bits tell `capacity` indices apart.
const fn index_bits(capacity: u32) -> u32 {
    u32::BITS - capacity.saturating_sub(1).leading_zeros()
}

impl<I: Id, T> Slots<I, T> {
    /// An empty store. `further` is how many generations one stay may draw beyond its first by
    /// [`Slots::renew`]. Allocates [`Slots::bytes`], O(capacity).
    pub(crate) fn new(capacity: u32, further: u64) -> Self {
        Self::with_generation_bits(capacity, further, u64::BITS)
    }

    /// Like [`Slots::new`], with generations of fewer bits than there is room for, so that slots
    /// retire early.
    pub(crate) fn with_generation_bits(capacity: u32, further: u64, bits: u32) -> Self {
        let index_bits = index_bits(capacity);
        let bits = bits.clamp(1, u64::BITS - index_bits);
        Self {
            entries: Slab::with_capacity(capacity as usize),
            generations: vec![0; capacity as usize],
            last_generation: u64::MAX >> (u64::BITS - bits),
            further,
            index_bits,
            capacity,
            retired: 0,
            class: PhantomData,
        }
    }

    /// The bytes that [`Slots::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        (capacity as usize).saturating_mul(size_of::<SlabEntry<Kept<T>>>() + size_of::<u64>())
    }

    /// Takes `value` in; gives it back when no slot is free.
    pub(crate) fn insert(&mut self, value: T) -> Result<I, T> {
        self.insert_from(value, |value| value)
    }

    /// Takes in what `build` makes of `parts`; gives the parts back when no slot is free.
    pub(crate) fn insert_from<S>(&mut self, parts: S, build: impl FnOnce(S) -> T) -> Result<I, S> {
        if self.free() == 0 {
            return Err(parts);
        }
        let key = self.entries.vacant_key();
        let drawn = u32::try_from(key).ok().and_then(|index| self.draw(index));
        let Some(bits) = drawn else {
            debug_assert!(false, "a vacant slot has a generation left");
            return Err(parts);
        };
        self.entries.insert(Some(Held { bits, value: build(parts) }));
        Ok(I::from_raw(bits))
    }

    /// The value that `id` names, while it is here.
    pub(crate) fn get(&self, id: I) -> Option<&T> {
        self.held(self.index_of(id)).filter(|held| held.bits == id.raw()).map(|held| &held.value)
    }

    /// The value that `id` names, while it is here, to change.
    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        let index = self.index_of(id);
        self.held_mut(index).filter(|held| held.bits == id.raw()).map(|held| &mut held.value)
    }

    /// Takes the value that `id` names out, and frees or retires its slot.
    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        self.get(id)?;
        self.remove_at(self.index_of(id))
    }

    /// The value in slot `index`.
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.held(index).map(|held| &held.value)
    }

    /// The value in slot `index`, to change.
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.held_mut(index).map(|held| &mut held.value)
    }

    /// Takes the value in slot `index` out, and frees the slot, or retires it when fewer
    /// generations are left than one more stay may draw.
    pub(crate) fn remove_at(&mut self, index: u32) -> Option<T> {
        let used = self.generations.get(index as usize)?;
        let left = self.last_generation.saturating_sub(*used);
        let held = if left > self.further {
            self.entries.try_remove(index as usize)??
        } else {
            let held = self.entries.get_mut(index as usize)?.take()?;
            self.retired = self.retired.saturating_add(1);
            held
        };
        Some(held.value)
    }

    /// The id of the value in slot `index`.
    pub(crate) fn id_at(&self, index: u32) -> Option<I> {
        self.held(index).map(|held| I::from_raw(held.bits))
    }

    /// The slot index in an id's low bits, unchecked: of this store's ids, and of those that
    /// [`Slots::renew`] drew.
    pub(crate) fn index_of(&self, id: impl Id) -> u32 {
        let index = id.raw().get() & !(u64::MAX << self.index_bits);
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// The generation in an id's high bits, unchecked: of this store's ids, and of those that
    /// [`Slots::renew`] drew.
    #[cfg(test)]
    pub(crate) fn generation_of(&self, id: impl Id) -> u64 {
        id.raw().get() >> self.index_bits
    }

    /// Draws a further generation for the occupied slot `index`, as the bits of an id of another
    /// class (an attempt's), unlike all bits that this store gave out before. The id of the value
    /// stays as it is. `None` when the slot is empty, or when its generations are used up, which
    /// can't happen for the first `further` draws of a stay as long as generations have more values
    /// than `further`.
    pub(crate) fn renew(&mut self, index: u32) -> Option<NonZeroU64> {
        self.held(index)?;
        self.draw(index)
    }

    /// How many values are here.
    pub(crate) fn len(&self) -> u32 {
        self.used().saturating_sub(self.retired)
    }

    /// Whether no value is here.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many more values fit: the capacity without those here and without the retired slots.
    pub(crate) fn free(&self) -> u32 {
        self.capacity.saturating_sub(self.used())
    }

    /// The capacity given at construction, retired slots included.
    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// How many slots are used up for good.
    pub(crate) fn retired(&self) -> u32 {
        self.retired
    }

    /// All values with their slot indices, in index order; O(capacity).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.iter().filter_map(|(key, kept)| {
            let held = kept.as_ref()?;
            Some((u32::try_from(key).ok()?, &held.value))
        })
    }

    fn held(&self, index: u32) -> Option<&Held<T>> {
        self.entries.get(index as usize)?.as_ref()
    }

    fn held_mut(&mut self, index: u32) -> Option<&mut Held<T>> {
        self.entries.get_mut(index as usize)?.as_mut()
    }

    /// Slots that hold a value or are retired.
    fn used(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// The bits of `index` under its next generation, which is used from now on.
    fn draw(&mut self, index: u32) -> Option<NonZeroU64> {
        let used = self.generations.get_mut(index as usize)?;
        if *used >= self.last_generation {
            return None;
        }
        *used += 1;
        NonZeroU64::new((*used << self.index_bits) | u64::from(index))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::{AttemptId, TaskId};
    use alloc::collections::BTreeSet;

    type Store = Slots<TaskId, u32>;

    #[test]
    fn an_id_names_its_value_until_it_is_removed() {
        let mut slots = Store::new(2, 0);
        let (a, b) = (slots.insert(10).unwrap(), slots.insert(20).unwrap());
        assert_eq!(slots.insert(30), Err(30));
        assert_eq!((slots.get(a), slots.get(b)), (Some(&10), Some(&20)));
        *slots.get_mut(a).unwrap() += 1;
        assert_eq!(slots.remove(a), Some(11));
        assert!(slots.remove(a).is_none() && slots.get(a).is_none() && slots.get_mut(a).is_none());
        let c = slots.insert(40).unwrap();
        assert_eq!(slots.index_of(c), slots.index_of(a));
        assert_eq!(slots.generation_of(c), slots.generation_of(a) + 1);
        assert!(slots.get(a).is_none() && slots.get_mut(a).is_none() && slots.remove(a).is_none());
        assert_eq!(slots.get(c), Some(&40));
        assert_eq!((slots.len(), slots.free()), (2, 0));
    }

    #[test]
    fn slots_answer_by_index() {
        let mut slots = Store::new(3, 0);
        let ids = [1, 2, 3].map(|value| slots.insert(value).unwrap());
        assert_eq!(slots.id_at(1), Some(ids[1]));
        assert_eq!(slots.remove_at(1), Some(2));
        assert!(slots.id_at(1).is_none() && slots.at(1).is_none() && slots.at_mut(1).is_none());
        assert_eq!(slots.remove_at(1), None);
        *slots.at_mut(2).unwrap() = 9;
        assert!(slots.iter().eq([(0, &1), (2, &9)]));
        assert!(slots.at(3).is_none() && slots.at(u32::MAX).is_none() && slots.remove_at(u32::MAX).is_none());
        let stranger = TaskId::from_bits(u64::MAX).unwrap();
        assert!(slots.get(stranger).is_none() && slots.remove(stranger).is_none());
    }

    #[test]
    fn the_index_takes_the_bits_that_the_capacity_needs() {
        let bits = [0, 1, 2, 3, 4, 5, 1_024, 1_025, u32::MAX].map(index_bits);
        assert_eq!(bits, [0, 0, 1, 2, 2, 3, 10, 11, 32]);
        let mut none = Store::new(0, 0);
        assert_eq!((none.insert(1), none.free(), none.is_empty()), (Err(1), 0, true));
        let mut one = Store::new(1, 0);
        let id = one.insert(1).unwrap();
        assert_eq!((id.to_bits(), one.index_of(id)), (1, 0));
    }

    #[test]
    fn a_used_up_slot_is_retired_and_never_wraps() {
        let mut slots = Store::with_generation_bits(3, 0, 3);
        let mut seen = BTreeSet::new();
        while let Ok(id) = slots.insert(0) {
            assert!(seen.insert(id), "{id:?} was given out twice");
            assert_eq!(slots.remove(id), Some(0));
            assert_eq!(slots.free() + slots.retired() + slots.len(), slots.capacity());
        }
        assert_eq!(seen.len(), 3 * 7);
        assert_eq!((slots.retired(), slots.free(), slots.len()), (3, 0, 0));
        assert!(seen.iter().all(|&id| slots.get(id).is_none() && slots.remove(id).is_none()));
        assert_eq!((slots.iter().count(), slots.remove_at(0), slots.retired()), (0, None, 3));
    }

    #[test]
    fn a_single_slot_may_use_every_generation() {
        let mut slots = Store::with_generation_bits(1, 0, 1);
        let id = slots.insert(1).unwrap();
        assert_eq!((slots.renew(0), slots.remove(id), slots.insert(2)), (None, Some(1), Err(2)));
    }

    #[test]
    fn a_stay_can_always_draw_its_further_generations() {
        let mut slots = Store::with_generation_bits(2, 2, 3);
        assert_eq!(slots.renew(0), None);
        let mut seen = BTreeSet::new();
        let mut stays = 0;
        while let Ok(id) = slots.insert(7) {
            stays += 1;
            let index = slots.index_of(id);
            assert!(seen.insert(id.raw()));
            for _ in 0..2 {
                let bits = slots.renew(index).unwrap();
                assert!(seen.insert(bits));
                let attempt = AttemptId::from_raw(bits);
                assert_eq!(slots.index_of(attempt), index);
                assert_eq!(slots.get(TaskId::from_raw(bits)), None);
            }
            assert_eq!(slots.get(id), Some(&7));
            slots.remove(id);
        }
        assert_eq!((stays, slots.retired()), (4, 2), "7 generations a slot are 2 stays of 3");
    }

    #[test]
    fn nothing_grows_after_construction() {
        let mut slots = Store::new(100, 0);
        assert_eq!(slots.entries.capacity(), 100);
        for _ in 0..3 {
            let ids: Vec<_> = (0..100).map(|value| slots.insert(value).unwrap()).collect();
            assert!(slots.insert(0).is_err());
            assert!(ids.into_iter().all(|id| slots.remove(id).is_some()));
        }
        assert_eq!((slots.entries.capacity(), slots.generations.capacity()), (100, 100));
        assert_eq!(Store::bytes(100), 100 * (size_of::<SlabEntry<Kept<u32>>>() + 8));
    }

    #[test]
    fn a_tombstone_costs_nothing_where_the_value_has_room_for_it() {
        type Roomy = Held<(u64, bool)>;
        assert_eq!(size_of::<SlabEntry<Option<Roomy>>>(), size_of::<Roomy>());
    }
}
