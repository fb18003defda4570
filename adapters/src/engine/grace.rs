//! Attempts that were asked to stop and are given some time to do so.

use std::time::Duration;

use plimsoll_core::Instant;

/// The places whose attempts are in their grace period, in order of its end: the period is the same for all, so that
/// is the order of entry. A list linked through one slot a place; every call is O(1), and only `new` allocates.
#[derive(Debug, Default)]
pub(crate) struct Graces {
    period: Duration,
    links: Vec<Link>,
    first: Option<u32>,
    last: Option<u32>,
    /// Whether all periods are over.
    is_over: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    until: Option<Instant>,
    previous: Option<u32>,
    next: Option<u32>,
}

impl Graces {
    pub(crate) fn new(places: u32, period: Duration) -> Self {
        Self {
            period,
            links: vec![Link::default(); places as usize],
            first: None,
            last: None,
            is_over: false,
        }
    }

    /// Ends all periods now, and those that are still to begin.
    pub(crate) fn end_all(&mut self) {
        self.is_over = true;
    }

    /// Whether attempts are given any time.
    pub(crate) fn is_given(&self) -> bool {
        !self.period.is_zero()
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(places: u32) -> usize {
        (places as usize).saturating_mul(size_of::<Link>())
    }

    /// The period of `place` begins now, and no earlier than that of any other place.
    pub(crate) fn push(&mut self, place: u32, now: Instant) {
        self.remove(place);
        let until = now.saturating_add(self.period);
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

    /// When the first grace period ends; the end of time if there is none.
    #[inline]
    pub(crate) fn next(&self) -> Instant {
        let first = self.first.and_then(|first| self.links.get(first as usize));
        match first.and_then(|first| first.until) {
            Some(_) if self.is_over => Instant::ZERO,
            until => until.unwrap_or(Instant::MAX),
        }
    }

    /// Takes out a place whose time is over.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let place = self.first.filter(|_| self.next() <= now)?;
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

    fn graces(places: u32) -> Graces {
        Graces::new(places, Duration::from_millis(10))
    }

    #[test]
    fn places_come_out_in_order_once_due_and_only_those_left_in() {
        let mut graces = graces(4);
        for (place, now) in [(2, 0), (0, 10), (3, 10), (1, 20)] {
            graces.push(place, at(now));
        }
        assert_eq!((graces.next(), graces.pop_due(at(9))), (at(10), None));
        graces.remove(0);
        graces.remove(0);
        assert_eq!(graces.pop_due(at(25)), Some(2));
        assert_eq!(graces.pop_due(at(25)), Some(3));
        assert_eq!((graces.pop_due(at(25)), graces.next()), (None, at(30)));
        graces.push(2, at(30));
        graces.remove(1);
        assert_eq!((graces.next(), graces.pop_due(at(40))), (at(40), Some(2)));
        assert_eq!((graces.next(), graces.pop_due(at(99))), (Instant::MAX, None));
    }

    #[test]
    fn when_all_periods_end_every_place_is_due() {
        let mut graces = graces(2);
        graces.push(1, at(0));
        graces.end_all();
        graces.push(0, at(5));
        assert_eq!((graces.next(), graces.pop_due(at(5))), (Instant::ZERO, Some(1)));
        assert_eq!((graces.pop_due(at(5)), graces.next()), (Some(0), Instant::MAX));
    }

    #[test]
    fn a_place_is_in_it_once() {
        let mut graces = graces(2);
        graces.push(0, at(1));
        graces.push(1, at(2));
        graces.push(0, at(3));
        assert_eq!(graces.pop_due(at(19)), Some(1));
        assert_eq!(graces.pop_due(at(19)), Some(0));
        assert_eq!(graces.pop_due(at(19)), None);
        graces.push(7, at(1));
        assert_eq!(graces.next(), Instant::MAX);
    }
}
