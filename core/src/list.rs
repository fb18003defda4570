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

impl Links {
    /// Keeps a number in the place of links, while the value is in no list of that lane.
    #[inline]
    pub(crate) const fn from_number(number: u64) -> Self {
        Self { prev: number as u32, next: (number >> u32::BITS) as u32 }
    }

    /// A slot index that is kept in the place of links, [`NIL`] unless another one was set.
    #[inline]
    pub(crate) const fn index(&mut self) -> &mut u32 {
        &mut self.next
    }

    /// The number that is kept in the place of links.
    #[inline]
    pub(crate) const fn number(self) -> u64 {
        ((self.next as u64) << u32::BITS) | self.prev as u64
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
///
/// The link back of the first value means nothing, so that taking that value out touches no other.
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
    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether no value is linked.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// The first slot index.
    #[inline]
    pub(crate) fn front(&self) -> Option<u32> {
        some(self.head)
    }

    /// The first slot index; [`NIL`] without any.
    #[inline]
    pub(crate) const fn head(&self) -> u32 {
        self.head
    }

    /// The slot index after `index`.
    #[inline]
    pub(crate) fn next<I: Id, T: Linked<LANE>>(&self, slots: &Slots<I, T>, index: u32) -> Option<u32> {
        slots.at(index).and_then(|value| some(value.links_ref().next))
    }

    /// Links slot `index`, which is in no list of this lane, as the last; an empty slot is left
    /// alone.
    pub(crate) fn push_back<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        let Some(value) = slots.at_mut(index) else {
            debug_assert!(false, "only a held value can be linked");
            return;
        };
        let before = self.push(index, value.links());
        Self::follow(slots, before, index);
    }

    /// The first half of [`push_back`](Self::push_back), for who has the value at hand, whose links these
    /// are: the slot behind which it stands, for [`follow`](Self::follow).
    #[inline]
    pub(crate) fn push(&mut self, index: u32, links: &mut Links) -> u32 {
        debug_assert!(*links == Links::default() && self.head != index, "linked already");
        let before = core::mem::replace(&mut self.tail, index);
        links.prev = before;
        if before == NIL {
            self.head = index;
        }
        self.len = self.len.wrapping_add(1);
        before
    }

    /// The second half of [`push_back`](Self::push_back).
    #[inline]
    pub(crate) fn follow<I: Id, T: Linked<LANE>>(slots: &mut Slots<I, T>, before: u32, index: u32) {
        if let Some(before) = slots.at_mut(before) {
            before.links().next = index;
        }
    }

    /// Unlinks slot `index`, which is in this list; without effect when it is in no list of this
    /// lane.
    #[inline]
    pub(crate) fn remove<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>, index: u32) {
        let Some(value) = slots.at_mut(index) else { return };
        if self.head == index {
            self.pop(value.links());
        } else if value.links().prev != NIL {
            let Links { prev, next } = core::mem::take(value.links());
            self.join(slots, prev, next);
            self.len = self.len.wrapping_sub(1);
        }
    }

    /// Unlinks the first slot index and returns it.
    #[inline]
    pub(crate) fn pop_front<I: Id, T: Linked<LANE>>(&mut self, slots: &mut Slots<I, T>) -> Option<u32> {
        let index = self.front()?;
        self.pop(slots.at_mut(index)?.links());
        Some(index)
    }

    /// Unlinks the first value, whose links these are.
    #[inline]
    pub(crate) fn pop(&mut self, links: &mut Links) {
        self.head = core::mem::take(links).next;
        if self.head == NIL {
            self.tail = NIL;
        }
        self.len = self.len.wrapping_sub(1);
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

    /// Makes `prev` and `next` neighbours; [`NIL`] on a side stands for that end of the list.
    #[inline]
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

#[inline]
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
        let mut slots = Store::new(count);
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
        let mut at = list.tail;
        while back.len() < order.len() {
            back.push(at);
            at = Linked::<LANE>::links_ref(slots.at(at).unwrap()).prev;
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
    fn what_follows_a_popped_value_can_be_unlinked() {
        let mut slots = store(4);
        let mut list = List::<0>::new();
        (0..4).for_each(|index| list.push_back(&mut slots, index));
        assert_eq!(list.pop_front(&mut slots), Some(0));
        list.remove(&mut slots, 1);
        assert_eq!(order(&list, &slots), [2, 3]);
        list.push_back(&mut slots, 0);
        list.remove(&mut slots, 3);
        assert_eq!(order(&list, &slots), [2, 0]);
        list.remove(&mut slots, 2);
        list.remove(&mut slots, 0);
        list.remove(&mut slots, 0);
        assert_eq!(order(&list, &slots), []);
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
