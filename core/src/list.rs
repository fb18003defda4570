//! Intrusive doubly linked lists that run through the slots: membership costs two `u32` in the
//! value, and no allocation.

use crate::ids::Id;
use crate::slots::Slots;

/// No slot: the end of a list. Never a slot's index, since a capacity is at most `u32::MAX`.
pub(crate) const NIL: u32 = u32::MAX;

/// The neighbours of a value in the list it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    prev: u32,
    next: u32,
}

impl Default for Links {
    /// In no list.
    fn default() -> Self {
        Self { prev: NIL, next: NIL }
    }
}

/// A value that can be in one list of each lane it has links for.
pub(crate) trait Linked<const LANE: usize = 0> {
    /// The links of this lane, to change.
    fn links(&mut self) -> &mut Links;
    /// The links of this lane.
    fn links_ref(&self) -> &Links;
}

/// The ends and the length of one list. Whoever holds it passes the slots with each call, and takes
/// a value out of its lists before it takes it out of the slots. All operations are O(1); none
/// panics, whatever the index.
#[derive(Debug)]
pub(crate) struct List<const LANE: usize = 0> {
    head: u32,
    tail: u32,
    len: u32,
}

impl<const LANE: usize> Default for List<LANE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LANE: usize> List<LANE> {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self { head: NIL, tail: NIL, len: 0 }
    }

    /// How many values are linked.
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether no value is linked.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first slot index.
    pub(crate) fn front(&self) -> Option<u32> {
        some(self.head)
    }

    /// The slot index after `index`.
    pub(crate) fn next<I: Id, T: Linked<LANE>>(&self, slots: &Slots<I, T>, index: u32) -> Option<u32> {
        slots.at(index).and_then(|value| some(value.links_ref().next))
    }

    /// Links slot `index`, which is in no list of this lane, as the last; an empty slot is left
    /// alone.
    pub(crate) fn push_back<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        self.push(slots, index, Links { prev: self.tail, next: NIL });
    }

    /// Unlinks slot `index`, which is in this list; without effect when it is in no list of this
    /// lane.
    pub(crate) fn remove<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        let Some(value) = slots.at_mut(index) else {
            return;
        };
        let links = *value.links();
        let first = links.prev == NIL;
        let last = links.next == NIL;
        if (first && self.head != index) || (last && self.tail != index) {
            return;
        }
        *value.links() = Links::default();
        self.join(slots, links.prev, links.next);
        self.len = self.len.saturating_sub(1);
    }

    /// Unlinks the first slot index and returns it.
    pub(crate) fn pop_front<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>) -> Option<u32> {
        let index = self.front()?;
        self.remove(slots, index);
        Some(index)
    }

    /// Moves all of `other`, in its order, behind what is here.
    pub(crate) fn append<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>, other: &mut Self) {
        let other = core::mem::take(other);
        if other.is_empty() {
            return;
        }
        let tail = self.tail;
        self.join(slots, tail, other.head);
        self.tail = other.tail;
        self.len = self.len.saturating_add(other.len);
    }

    /// The slot indices from first to last.
    pub(crate) fn iter<I: Id, T: Linked<LANE>>(&self, slots: &Slots<I, T>) -> impl Iterator<Item = u32> {
        core::iter::successors(self.front(), |&index| self.next(slots, index)).take(self.len as usize)
    }

    /// Links slot `index` between `links.prev` and `links.next`.
    fn push<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>, index: u32, links: Links) {
        let Some(value) = slots.at_mut(index) else {
            debug_assert!(false, "only a held value can be linked");
            return;
        };
        debug_assert!(*value.links() == Links::default() && self.head != index, "linked already");
        *value.links() = links;
        self.join(slots, links.prev, index);
        self.join(slots, index, links.next);
        self.len = self.len.saturating_add(1);
    }

    /// Makes `prev` and `next` neighbours; [`NIL`] on a side stands for that end of the list.
    fn join<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>, prev: u32, next: u32) {
        match slots.at_mut(prev) {
            Some(value) => value.links().next = next,
            None => self.head = next,
        }
        match slots.at_mut(next) {
            Some(value) => value.links().prev = prev,
            None => self.tail = prev,
        }
    }
}

fn some(index: u32) -> Option<u32> {
    (index != NIL).then_some(index)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::ids::TaskId;
    use alloc::vec::Vec;

    #[derive(Default)]
    struct Node {
        first: Links,
        second: Links,
    }

    impl Linked<0> for Node {
        fn links(&mut self) -> &mut Links {
            &mut self.first
        }
        fn links_ref(&self) -> &Links {
            &self.first
        }
    }

    impl Linked<1> for Node {
        fn links(&mut self) -> &mut Links {
            &mut self.second
        }
        fn links_ref(&self) -> &Links {
            &self.second
        }
    }

    type Store = Slots<TaskId, Node>;

    fn store(count: u32) -> Store {
        let mut slots = Store::new(count, 0);
        assert!((0..count).all(|_| slots.insert(Node::default()).is_ok()));
        slots
    }

    fn order<const LANE: usize>(list: &List<LANE>, slots: &Store) -> Vec<u32>
    where
        Node: Linked<LANE>,
    {
        let order: Vec<u32> = list.iter(slots).collect();
        assert_eq!(order.len(), list.len() as usize);
        assert_eq!((list.front(), some(list.tail)), (order.first().copied(), order.last().copied()));
        let mut back = Vec::new();
        let mut at = some(list.tail);
        while let Some(index) = at {
            back.push(index);
            at = some(Linked::<LANE>::links_ref(slots.at(index).unwrap()).prev);
        }
        back.reverse();
        assert_eq!(order, back, "the same list backwards");
        order
    }

    #[test]
    fn values_come_out_in_order() {
        let mut slots = store(4);
        let mut list = List::<0>::new();
        list.push_back(&mut slots, 2);
        list.push_back(&mut slots, 0);
        list.push_back(&mut slots, 3);
        assert_eq!(order(&list, &slots), [2, 0, 3]);
        assert_eq!((list.next(&slots, 2), list.next(&slots, 3)), (Some(0), None));
        assert_eq!(list.pop_front(&mut slots), Some(2));
        assert_eq!(list.pop_front(&mut slots), Some(0));
        assert_eq!(list.pop_front(&mut slots), Some(3));
        assert_eq!((list.pop_front(&mut slots), list.is_empty()), (None, true));
        list.push_back(&mut slots, 1);
        assert_eq!(order(&list, &slots), [1]);
    }

    #[test]
    fn any_place_can_be_unlinked() {
        for gone in 0..3 {
            let mut slots = store(3);
            let mut list = List::<0>::new();
            (0..3).for_each(|index| list.push_back(&mut slots, index));
            list.remove(&mut slots, gone);
            let left: Vec<u32> = (0..3).filter(|&index| index != gone).collect();
            assert_eq!(order(&list, &slots), left);
            list.remove(&mut slots, gone);
            assert_eq!(order(&list, &slots), left, "unlinking twice changes nothing");
            list.push_back(&mut slots, gone);
            assert_eq!(order(&list, &slots), [left[0], left[1], gone]);
        }
    }

    #[test]
    fn lanes_do_not_meet() {
        let mut slots = store(3);
        let (mut first, mut second) = (List::<0>::new(), List::<1>::new());
        (0..3).for_each(|index| first.push_back(&mut slots, index));
        (0..3).rev().for_each(|index| second.push_back(&mut slots, index));
        first.remove(&mut slots, 1);
        assert_eq!((order(&first, &slots), order(&second, &slots)), ([0, 2].into(), [2, 1, 0].into()));
    }

    #[test]
    fn append_moves_everything_behind() {
        let mut slots = store(5);
        let (mut a, mut b) = (List::<0>::new(), List::<0>::new());
        a.append(&mut slots, &mut b);
        assert_eq!(order(&a, &slots), []);
        (0..2).for_each(|index| b.push_back(&mut slots, index));
        a.append(&mut slots, &mut b);
        assert_eq!((order(&a, &slots), b.is_empty()), ([0, 1].into(), true));
        (2..5).for_each(|index| b.push_back(&mut slots, index));
        a.append(&mut slots, &mut b);
        assert_eq!((order(&a, &slots), order(&b, &slots)), ([0, 1, 2, 3, 4].into(), [].into()));
        b.append(&mut slots, &mut a);
        assert_eq!((order(&b, &slots), a.len()), ([0, 1, 2, 3, 4].into(), 0));
    }

    #[test]
    fn bad_indices_change_nothing() {
        let mut slots = store(2);
        let mut list = List::<0>::new();
        list.push_back(&mut slots, 0);
        list.remove(&mut slots, 1);
        list.remove(&mut slots, 7);
        list.remove(&mut slots, NIL);
        assert_eq!((list.next(&slots, 7), list.next(&slots, NIL)), (None, None));
        assert_eq!(order(&list, &slots), [0]);
    }
}
