//! A doubly linked list of indices: the links lie in a `Vec` beside what they link, so there are no nodes to allocate.

use alloc::vec::Vec;

/// No index: the end of a list.
pub(super) const NIL: u32 = u32::MAX;

/// The neighbours of an index in its chain. What the first has before it and the last behind it means nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    prev: u32,
    next: u32,
}

impl Links {
    /// In no chain.
    pub(super) const NONE: Self = Self { prev: NIL, next: NIL };
}

/// The ends and the length of one chain. Whoever holds it passes the links with each call. All operations are O(1);
/// none panics, whatever the index.
#[derive(Debug)]
pub(super) struct Chain {
    first: u32,
    last: u32,
    len: u32,
}

impl Chain {
    pub(super) const fn new() -> Self {
        Self { first: NIL, last: NIL, len: 0 }
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    pub(super) const fn front(&self) -> Option<u32> {
        if self.len > 0 { Some(self.first) } else { None }
    }

    /// Links `index`, which is in no chain, as the last.
    #[inline]
    pub(super) fn push_back(&mut self, links: &mut [Links], index: u32) {
        match links.get_mut(self.last as usize) {
            Some(last) if self.len > 0 => last.next = index,
            _ => self.first = index,
        }
        if let Some(new) = links.get_mut(index as usize) {
            new.prev = self.last;
        }
        self.last = index;
        self.len = self.len.saturating_add(1);
    }

    /// Unlinks `index`, which is in this chain.
    #[inline]
    pub(super) fn remove(&mut self, links: &mut [Links], index: u32) {
        let Some(&Links { prev, next }) = links.get(index as usize) else {
            debug_assert!(false, "only what has links can be unlinked");
            return;
        };
        self.join(links, index, prev, next);
        self.len = self.len.saturating_sub(1);
    }

    /// Unlinks the first and returns it.
    #[inline]
    pub(super) fn pop_front(&mut self, links: &[Links]) -> Option<u32> {
        let index = self.front()?;
        self.first = links.get(index as usize)?.next;
        self.len -= 1;
        Some(index)
    }

    /// Makes `index`, which is in this chain, the last of it.
    #[inline]
    pub(super) fn move_to_back(&mut self, links: &mut [Links], index: u32) {
        if index == self.last {
            return;
        }
        let last = core::mem::replace(&mut self.last, index);
        let Some(own) = links.get_mut(index as usize) else { return };
        let (prev, next) = (own.prev, own.next);
        own.prev = last;
        if let Some(next) = links.get_mut(next as usize) {
            next.prev = prev;
        }
        if self.first == index {
            self.first = next;
        } else if let Some(prev) = links.get_mut(prev as usize) {
            prev.next = next;
        }
        // At last, for it may be the one behind.
        if let Some(last) = links.get_mut(last as usize) {
            last.next = index;
        }
    }

    /// Closes the gap that `index` leaves between `prev` and `next`.
    fn join(&mut self, links: &mut [Links], index: u32, prev: u32, next: u32) {
        if self.first == index {
            self.first = next;
        } else if let Some(prev) = links.get_mut(prev as usize) {
            prev.next = next;
        }
        if self.last == index {
            self.last = prev;
        } else if let Some(next) = links.get_mut(next as usize) {
            next.prev = prev;
        }
    }

    /// The indices from first to last.
    #[cfg(test)]
    pub(super) fn iter(&self, links: &[Links]) -> impl Iterator<Item = u32> {
        core::iter::successors(self.front(), |&index| Some(links.get(index as usize)?.next))
            .take(self.len as usize)
    }
}

/// Puts a value at `index` of what is kept beside the entries, which are at the lowest places that are free.
pub(super) fn put<T>(all: &mut Vec<T>, index: u32, value: T) {
    match all.get_mut(index as usize) {
        Some(place) => *place = value,
        None => {
            debug_assert!(index as usize == all.len(), "places are taken one after the other");
            all.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

    #[test]
    fn it_behaves_as_a_deque_does() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (mut links, mut chain, mut deque) = (Vec::new(), Chain::new(), VecDeque::new());
        for _ in 0..20_000 {
            let any = (!deque.is_empty()).then(|| deque[rng.usize(..deque.len())]);
            match (rng.u8(..5), any) {
                (0, _) => assert_eq!(chain.pop_front(&links), deque.pop_front()),
                (1, Some(index)) => {
                    chain.remove(&mut links, index);
                    deque.retain(|&other| other != index);
                }
                (2, Some(index)) => {
                    chain.move_to_back(&mut links, index);
                    deque.retain(|&other| other != index);
                    deque.push_back(index);
                }
                _ if deque.len() < 8 => {
                    links.push(Links::NONE);
                    let index = links.len() as u32 - 1;
                    chain.push_back(&mut links, index);
                    deque.push_back(index);
                }
                _ => {}
            }
            assert!(chain.iter(&links).eq(deque.iter().copied()));
            assert_eq!((chain.len() as usize, chain.front()), (deque.len(), deque.front().copied()));
        }
    }
}
