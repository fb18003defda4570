//! Ids, generations, the order of reuse.

use super::*;
use crate::ids::{AttemptId, TaskId};
use alloc::collections::BTreeSet;
use alloc::vec;

type Store = Slots<TaskId, u32>;

#[test]
fn an_id_names_its_value_until_it_is_removed() {
    let mut slots = Store::new(2);
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
    let mut slots = Store::new(3);
    let ids = [1, 2, 3].map(|value| slots.insert(value).unwrap());
    assert_eq!(slots.id_at(1), Some(ids[1]));
    assert_eq!(slots.take(1, 0), Some(2));
    assert!(slots.id_at(1).is_none() && slots.at(1).is_none() && slots.at_mut(1).is_none());
    assert_eq!(slots.take(1, 0), None);
    *slots.at_mut(2).unwrap() = 9;
    assert!(slots.iter().eq([(0, &1), (2, &9)]));
    assert!(slots.at(3).is_none() && slots.at(u32::MAX).is_none() && slots.take(u32::MAX, 0).is_none());
    let stranger = TaskId::from_bits(u64::MAX).unwrap();
    assert!(slots.get(stranger).is_none() && slots.remove(stranger).is_none());
}

#[test]
fn an_id_that_differs_in_any_one_bit_is_a_stranger() {
    let mut slots = Store::new(4).with_origin(7);
    let ids = [1, 2, 3, 4].map(|value| slots.insert(value).unwrap());
    let further: AttemptId = slots.further(ids[0], 3).unwrap();
    for bit in slots.index_bits..u64::BITS {
        let stranger = TaskId::from_bits(ids[0].to_bits() ^ 1 << bit).unwrap();
        assert!(slots.get(stranger).is_none() && slots.get_mut(stranger).is_none(), "bit {bit}");
        assert!(slots.remove(stranger).is_none(), "bit {bit}");
        let stranger = AttemptId::from_bits(further.to_bits() ^ 1 << bit).unwrap();
        assert!(!slots.is_further(ids[0], 3, stranger), "bit {bit}");
    }
    assert!(slots.is_further(ids[0], 3, further) && slots.remove(ids[0]) == Some(1));
}

#[test]
fn the_index_takes_the_bits_that_the_capacity_needs() {
    let bits = [0, 1, 2, 3, 4, 5, 1_024, 1_025, u32::MAX].map(index_bits);
    assert_eq!(bits, [0, 0, 1, 2, 2, 3, 10, 11, 32]);
    let mut none = Store::new(0);
    assert_eq!((none.insert(1), none.free(), none.is_empty()), (Err(1), 0, true));
    let mut one = Store::new(1);
    let id = one.insert(1).unwrap();
    assert_eq!((id.to_bits(), one.index_of(id)), (1, 0));
}

#[test]
fn a_used_up_slot_is_retired_and_never_wraps() {
    let mut slots = Store::with_generation_bits(3, 3);
    let mut seen = BTreeSet::new();
    while let Ok(id) = slots.insert(0) {
        assert!(seen.insert(id), "{id:?} was given out twice");
        assert_eq!(slots.remove(id), Some(0));
        assert_eq!(slots.free() + slots.retired() + slots.len(), slots.capacity());
    }
    assert_eq!(seen.len(), 3 * 7);
    assert_eq!((slots.retired(), slots.free(), slots.len()), (3, 0, 0));
    assert!(seen.iter().all(|&id| slots.get(id).is_none() && slots.remove(id).is_none()));
    assert_eq!((slots.iter().count(), slots.take(0, 0), slots.retired()), (0, None, 3));
}

#[test]
fn an_origin_moves_the_first_generation_within_a_sixteenth() {
    let first = |origin: u64, bits| {
        let mut slots = Store::with_generation_bits(3, bits).with_origin(origin);
        let ids = [slots.insert(0).unwrap(), slots.insert(0).unwrap()];
        let [first, second] = ids.map(|id| slots.generation_of(id));
        assert_eq!(first, second, "it is that of every slot");
        slots.remove(ids[0]);
        let again = slots.insert(0).unwrap();
        assert_eq!(slots.generation_of(again), first + 1);
        first
    };
    for bits in [3, 4, 5, 8, 20, 62] {
        let sixteenth = (1 << bits) / 16;
        assert_eq!(first(0, bits), 1);
        let firsts: BTreeSet<u64> = (0..1_000).chain([u64::MAX]).map(|origin| first(origin, bits)).collect();
        assert!(firsts.iter().all(|&first| first <= u64::max(sixteenth, 1)));
        assert_eq!(firsts.len() as u64, sixteenth.clamp(1, 1_001));
        if bits > 20 {
            let gaps = firsts.iter().zip(firsts.iter().skip(1)).map(|(a, b)| b - a);
            assert!(gaps.min().unwrap() > sixteenth / 10_000, "neighbours begin far from each other");
        }
    }
}

#[test]
fn a_slot_with_an_origin_is_used_up_and_retired_too() {
    for further in [0, 3] {
        let mut slots = Store::with_generation_bits(1, 7).with_origin(1);
        let mut seen = BTreeSet::new();
        let mut first = None;
        while let Ok(id) = slots.insert(0) {
            first.get_or_insert(slots.generation_of(id));
            let most = (0..=further).take_while(|&nth| slots.has_further(0, nth)).last().unwrap();
            for nth in 0..=most {
                assert!(seen.insert(slots.further::<AttemptId>(id, nth).unwrap()));
            }
            slots.take(0, most);
        }
        let first = first.unwrap();
        assert!(first > 1 && first <= 8);
        assert_eq!(seen.len() as u64, 128 - first, "every generation is used");
        assert_eq!((slots.retired(), slots.free()), (1, 0));
    }
}

#[test]
fn a_single_slot_may_use_every_generation() {
    let mut slots = Store::with_generation_bits(1, 1);
    let id = slots.insert(1).unwrap();
    assert_eq!((slots.remove(id), slots.insert(2)), (Some(1), Err(2)));
}

#[test]
fn a_stay_can_have_its_further_generations() {
    let mut slots = Store::with_generation_bits(2, 3);
    let mut seen = BTreeSet::new();
    let mut stays = Vec::new();
    while let Ok(id) = slots.insert(7) {
        let index = slots.index_of(id);
        assert_eq!(slots.further::<TaskId>(id, 0), Some(id));
        let drawn = (0..3).filter(|&nth| slots.has_further(index, nth)).count() as u32;
        for nth in 0..drawn {
            let attempt: AttemptId = slots.further(id, nth).unwrap();
            assert!(seen.insert(attempt));
            assert_eq!(slots.index_of(attempt), index);
            assert_eq!(slots.get(TaskId::from_raw(attempt.raw())).is_some(), nth == 0);
        }
        stays.push(drawn);
        assert!(slots.take(index, drawn - 1).is_some() && slots.take(index, drawn - 1).is_none());
    }
    assert_eq!((stays, slots.retired()), (vec![3, 3, 1, 3, 3, 1], 2), "7 generations a slot");
    assert_eq!(slots.further::<AttemptId>(TaskId::from_bits(u64::MAX).unwrap(), 1), None);
}

#[test]
fn no_stay_has_more_generations_than_can_be_counted() {
    let mut slots = Store::new(1);
    slots.insert(7).unwrap();
    assert!(slots.has_further(0, u32::MAX - 1) && !slots.has_further(0, u32::MAX));
}

#[test]
fn a_stay_without_further_generations_wears_its_slot_by_one() {
    let mut slots = Store::new(1);
    let first = slots.insert(0).unwrap();
    slots.take(0, 0);
    let second = slots.insert(0).unwrap();
    slots.take(0, 1);
    let third = slots.insert(0).unwrap();
    assert_eq!([first, second, third].map(|id| slots.generation_of(id)), [1, 2, 4]);
}

#[test]
fn nothing_grows_after_construction() {
    let mut slots = Store::new(100);
    assert_eq!(slots.slots.capacity(), 100);
    for _ in 0..3 {
        let ids: Vec<_> = (0..100).map(|value| slots.insert(value).unwrap()).collect();
        assert!(slots.insert(0).is_err());
        assert!(ids.into_iter().all(|id| slots.remove(id).is_some()));
    }
    assert_eq!(slots.slots.capacity(), 100);
    assert_eq!(Store::bytes(100), 100 * size_of::<Slot<u32>>());
}

#[test]
fn being_free_costs_nothing_where_the_value_has_room_for_it() {
    assert_eq!(size_of::<Slot<(u64, bool)>>(), size_of::<(u64, u64, bool)>());
}

#[test]
fn the_slot_freed_last_is_used_first() {
    let mut slots = Store::new(3);
    let ids = [1, 2, 3].map(|value| slots.insert(value).unwrap());
    for at in [1, 2, 0] {
        slots.remove(ids[at]);
    }
    let again = [4, 5, 6].map(|value| slots.insert(value).unwrap());
    assert_eq!(again.map(|id| slots.index_of(id)), [0, 2, 1]);
}
