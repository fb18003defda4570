//! Doubly linked lists of slot indices. The links lie in a table beside the slots, so a list works for values of any
//! type. Membership takes eight bytes in the table, and no allocation.

use alloc::vec;
use alloc::vec::Vec;

/// No slot: the end of a list. Never a slot's index, since a capacity is at most `u32::MAX`.
pub(crate) const NIL: u32 = u32::MAX;

/// The neighbours of a member of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    prev: u32,
    next: u32,
}

impl Link {
    /// In no list.
    const NONE: Self = Self { prev: NIL, next: NIL };
}

/// A table of links, one for each slot. Several lists can share it if each slot is in at most one of them.
#[derive(Debug)]
pub(crate) struct Links(Vec<Link>);

impl Links {
    /// Links for `capacity` slots. Allocates [`Links::bytes`], O(capacity).
    pub(crate) fn new(capacity: u32) -> Self {
        Self(vec![Link::NONE; capacity as usize])
    }

    /// The bytes that [`Links::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        (capacity as usize).saturating_mul(size_of::<Link>())
    }

    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.0.capacity() * size_of::<Link>()
    }

    #[inline]
    fn at(&mut self, index: u32) -> Option<&mut Link> {
        self.0.get_mut(index as usize)
    }

    fn next(&self, index: u32) -> Option<u32> {
        self.0.get(index as usize).and_then(|link| some(link.next))
    }
}

/// The ends and the length of one list. Its owner passes the same links with each call, and removes a slot from the
/// list before it frees the slot. Every call is O(1), except that [`iter`](Self::iter) visits every member. None
/// panics, whatever the index.
///
/// The first member's link back is undefined, so that `pop_front` touches no other member.
#[derive(Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl Default for List {
    fn default() -> Self {
        Self::new()
    }
}

impl List {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self { head: NIL, tail: NIL, len: 0 }
    }

    /// How many members the list has.
    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Whether the list has no member.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.head == NIL
    }

    /// The slot index of the first member.
    #[inline]
    pub(crate) const fn front(&self) -> Option<u32> {
        some(self.head)
    }

    /// The slot index of the last member.
    pub(crate) const fn back(&self) -> Option<u32> {
        some(self.tail)
    }

    /// The slot index of the first member; [`NIL`] if the list is empty.
    #[inline]
    pub(crate) const fn head(&self) -> u32 {
        self.head
    }

    /// Appends slot `index`, which must not be in any list that shares these links.
    #[inline]
    pub(crate) fn push_back(&mut self, links: &mut Links, index: u32) {
        let Some(own) = links.at(index) else {
            debug_assert!(false, "there are links for every slot");
            return;
        };
        debug_assert!(*own == Link::NONE && self.head != index, "linked already");
        let before = core::mem::replace(&mut self.tail, index);
        own.prev = before;
        match links.at(before) {
            Some(before) => before.next = index,
            None => self.head = index,
        }
        self.len = self.len.wrapping_add(1);
    }

    /// Removes slot `index` from this list. Does nothing if no list that shares these links has the slot. It must not
    /// be in another of these lists.
    #[inline]
    pub(crate) fn remove(&mut self, links: &mut Links, index: u32) {
        if self.head == index {
            self.pop_front(links);
            return;
        }
        let Some(own) = links.at(index).filter(|own| own.prev != NIL) else { return };
        let Link { prev, next } = core::mem::replace(own, Link::NONE);
        self.join(links, prev, next);
        self.len = self.len.wrapping_sub(1);
    }

    /// Removes the first member and returns its slot index.
    #[inline]
    pub(crate) fn pop_front(&mut self, links: &mut Links) -> Option<u32> {
        let index = self.head;
        let own = links.at(index)?;
        self.head = core::mem::replace(own, Link::NONE).next;
        if self.head == NIL {
            self.tail = NIL;
        }
        self.len = self.len.wrapping_sub(1);
        Some(index)
    }

    /// Moves slot `index`, a member of this list, to the end.
    #[inline]
    pub(crate) fn move_to_back(&mut self, links: &mut Links, index: u32) {
        if self.tail != index {
            self.remove(links, index);
            self.push_back(links, index);
        }
    }

    /// Appends all members of `other`, in their order, and leaves `other` empty.
    pub(crate) fn append(&mut self, links: &mut Links, other: &mut Self) {
        let other = core::mem::take(other);
        if other.is_empty() {
            return;
        }
        let tail = self.tail;
        self.join(links, tail, other.head);
        self.tail = other.tail;
        self.len = self.len.saturating_add(other.len);
    }

    /// The slot indices from first to last. O(members).
    pub(crate) fn iter(&self, links: &Links) -> impl Iterator<Item = u32> {
        core::iter::successors(self.front(), |&index| links.next(index)).take(self.len as usize)
    }

    /// Makes `prev` and `next` neighbours. [`NIL`] stands for an end of the list.
    #[inline]
    fn join(&mut self, links: &mut Links, prev: u32, next: u32) {
        match links.at(prev) {
            Some(link) => link.next = next,
            None => self.head = next,
        }
        match links.at(next) {
            Some(link) => link.prev = prev,
            None => self.tail = prev,
        }
    }
}

/// A [`List`] together with its [`Links`], which no other list shares.
#[derive(Debug)]
pub(crate) struct ListWithLinks {
    list: List,
    links: Links,
}

impl ListWithLinks {
    /// An empty list for `capacity` slots. Allocates [`ListWithLinks::bytes`], O(capacity).
    pub(crate) fn new(capacity: u32) -> Self {
        Self { list: List::new(), links: Links::new(capacity) }
    }

    /// The bytes that [`ListWithLinks::new`] asks of the allocator, exactly.
    pub(crate) const fn bytes(capacity: u32) -> usize {
        Links::bytes(capacity)
    }

    #[cfg(test)]
    pub(crate) fn allocated(&self) -> usize {
        self.links.allocated()
    }

    /// See [`List::len`].
    #[inline]
    pub(crate) const fn len(&self) -> u32 {
        self.list.len()
    }

    /// See [`List::is_empty`].
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// See [`List::front`].
    #[inline]
    pub(crate) const fn front(&self) -> Option<u32> {
        self.list.front()
    }

    /// See [`List::head`].
    #[inline]
    pub(crate) const fn head(&self) -> u32 {
        self.list.head()
    }

    /// See [`List::push_back`].
    #[inline]
    pub(crate) fn push_back(&mut self, index: u32) {
        self.list.push_back(&mut self.links, index);
    }

    /// See [`List::remove`].
    #[inline]
    pub(crate) fn remove(&mut self, index: u32) {
        self.list.remove(&mut self.links, index);
    }

    /// See [`List::pop_front`].
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<u32> {
        self.list.pop_front(&mut self.links)
    }

    /// See [`List::iter`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.list.iter(&self.links)
    }
}

#[inline]
const fn some(index: u32) -> Option<u32> {
    if index == NIL { None } else { Some(index) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

    fn order(list: &List, links: &Links) -> Vec<u32> {
        let order: Vec<u32> = list.iter(links).collect();
        assert_eq!(order.len(), list.len() as usize);
        assert_eq!((list.front(), some(list.tail)), (order.first().copied(), order.last().copied()));
        let mut back = Vec::new();
        let mut at = list.tail;
        while back.len() < order.len() {
            back.push(at);
            at = links.0[at as usize].prev;
        }
        back.reverse();
        assert_eq!(order, back, "the links back give the same order");
        order
    }

    fn listed(indices: &[u32], links: &mut Links) -> List {
        let mut list = List::new();
        indices.iter().for_each(|&index| list.push_back(links, index));
        list
    }

    #[test]
    fn members_come_out_in_order() {
        let mut links = Links::new(4);
        let mut list = listed(&[2, 0, 3], &mut links);
        assert_eq!(order(&list, &links), [2, 0, 3]);
        let popped = core::array::from_fn(|_| list.pop_front(&mut links));
        assert_eq!((popped, list.is_empty()), ([Some(2), Some(0), Some(3), None], true));
        list.push_back(&mut links, 1);
        assert_eq!(order(&list, &links), [1]);
    }

    #[test]
    fn any_member_can_be_removed_once() {
        for gone in 0..3 {
            let mut links = Links::new(3);
            let mut list = listed(&[0, 1, 2], &mut links);
            list.remove(&mut links, gone);
            let left: Vec<u32> = (0..3).filter(|&index| index != gone).collect();
            assert_eq!(order(&list, &links), left);
            list.remove(&mut links, gone);
            assert_eq!(order(&list, &links), left, "removing it again changes nothing");
            list.push_back(&mut links, gone);
            assert_eq!(order(&list, &links), [left[0], left[1], gone]);
        }
    }

    #[test]
    fn the_member_after_a_popped_one_can_be_removed() {
        let mut links = Links::new(4);
        let mut list = listed(&[0, 1, 2, 3], &mut links);
        assert_eq!(list.pop_front(&mut links), Some(0));
        list.remove(&mut links, 1);
        assert_eq!(order(&list, &links), [2, 3]);
        list.push_back(&mut links, 0);
        list.remove(&mut links, 3);
        assert_eq!(order(&list, &links), [2, 0]);
        for gone in [2, 0, 0] {
            list.remove(&mut links, gone);
        }
        assert_eq!(order(&list, &links), []);
    }

    #[test]
    fn append_moves_all_members_to_the_end() {
        let mut links = Links::new(5);
        let (mut a, mut b) = (List::new(), List::new());
        a.append(&mut links, &mut b);
        assert_eq!(order(&a, &links), []);
        let mut b = listed(&[0, 1], &mut links);
        a.append(&mut links, &mut b);
        assert_eq!((order(&a, &links), b.is_empty()), ([0, 1].into(), true));
        let mut b = listed(&[2, 3, 4], &mut links);
        a.append(&mut links, &mut b);
        assert_eq!((order(&a, &links), order(&b, &links)), ([0, 1, 2, 3, 4].into(), [].into()));
        b.append(&mut links, &mut a);
        assert_eq!((order(&b, &links), a.len()), ([0, 1, 2, 3, 4].into(), 0));
    }

    #[test]
    fn bad_indices_change_nothing() {
        let mut links = Links::new(2);
        let mut list = listed(&[0], &mut links);
        for index in [1, 7, NIL] {
            list.remove(&mut links, index);
        }
        assert_eq!((links.next(7), links.next(NIL), order(&list, &links)), (None, None, [0].into()));
    }

    #[test]
    fn a_list_behaves_like_a_deque() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut links, mut list, mut deque) = (Links::new(8), List::new(), VecDeque::new());
        for _ in 0..20_000 {
            let index = rng.u32(..8);
            let is_member = deque.contains(&index);
            match rng.u8(..4) {
                0 => assert_eq!(list.pop_front(&mut links), deque.pop_front()),
                1 => {
                    list.remove(&mut links, index);
                    deque.retain(|&other| other != index);
                }
                2 if is_member => {
                    list.move_to_back(&mut links, index);
                    deque.retain(|&other| other != index);
                    deque.push_back(index);
                }
                _ if !is_member => {
                    list.push_back(&mut links, index);
                    deque.push_back(index);
                }
                _ => {}
            }
            assert_eq!(order(&list, &links), deque.iter().copied().collect::<Vec<_>>());
        }
    }
}
