//! Attempts that were asked to stop and are given some time to do so.

use crate::Instant;

/// The places whose attempts are in their grace period, in order of its end: the period is the same for all, so that
/// is the order of entry. A list linked through one slot a place; every call is O(1), and only `new` allocates.
#[derive(Debug, Default)]
pub(crate) struct Graces {
    links: Vec<Link>,
    first: Option<u32>,
    last: Option<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    until: Option<Instant>,
    previous: Option<u32>,
    next: Option<u32>,
}

impl Graces {
    pub(crate) fn new(places: u32) -> Self {
        Self { links: vec![Link::default(); places as usize], first: None, last: None }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(places: u32) -> usize {
        (places as usize).saturating_mul(size_of::<Link>())
    }

    /// `place` has until this instant, which is no earlier than that of any other place.
    pub(crate) fn push(&mut self, place: u32, until: Instant) {
        self.remove(place);
        let previous = self.last;
        let Some(link) = self.links.get_mut(place as usize) else { return };
        *link = Link { until: Some(until), previous, next: None };
        self.last = Some(place);
        match previous.and_then(|previous| self.links.get_mut(previous as usize)) {
            Some(previous) => previous.next = Some(place),
            None => self.first = Some(place),
        }
    }

    /// `place` does not need its time any more, if it had any.
    pub(crate) fn remove(&mut self, place: u32) {
        let Some(link) = self.links.get_mut(place as usize) else { return };
        let Link { until: Some(_), previous, next } = std::mem::take(link) else { return };
        match previous.and_then(|previous| self.links.get_mut(previous as usize)) {
            Some(link) => link.next = next,
            None => self.first = next,
        }
        match next.and_then(|next| self.links.get_mut(next as usize)) {
            Some(link) => link.previous = previous,
            None => self.last = previous,
        }
    }

    /// When the first grace period ends.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.links.get(self.first? as usize)?.until
    }

    /// Takes out a place whose time is over.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let place = self.first.filter(|_| self.next().is_some_and(|until| until <= now))?;
        self.remove(place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn places_come_out_in_order_once_due_and_only_those_left_in() {
        let mut graces = Graces::new(4);
        for (place, until) in [(2, 10), (0, 20), (3, 20), (1, 30)] {
            graces.push(place, at(until));
        }
        assert_eq!((graces.next(), graces.pop_due(at(9))), (Some(at(10)), None));
        graces.remove(0);
        graces.remove(0);
        assert_eq!(graces.pop_due(at(25)), Some(2));
        assert_eq!(graces.pop_due(at(25)), Some(3));
        assert_eq!((graces.pop_due(at(25)), graces.next()), (None, Some(at(30))));
        graces.push(2, at(40));
        graces.remove(1);
        assert_eq!((graces.next(), graces.pop_due(at(40))), (Some(at(40)), Some(2)));
        assert_eq!((graces.next(), graces.pop_due(at(99))), (None, None));
    }

    #[test]
    fn a_place_is_in_it_once() {
        let mut graces = Graces::new(2);
        graces.push(0, at(1));
        graces.push(1, at(2));
        graces.push(0, at(3));
        assert_eq!(graces.pop_due(at(9)), Some(1));
        assert_eq!(graces.pop_due(at(9)), Some(0));
        assert_eq!(graces.pop_due(at(9)), None);
        graces.push(7, at(1));
        assert_eq!(graces.next(), None);
    }
}
