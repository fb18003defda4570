//! Who waits for an attempt to be asked to stop, or to be over.

use std::task::Waker;

use plimsoll_core::AttemptId;
use slab::Slab;

/// The wakers of those futures that wait for an attempt to be asked to stop, a list for each place.
pub(super) struct StopWaiters {
    places: Box<[Slab<(AttemptId, Waker)>]>,
    /// How many there are in all, so that the usual case looks at no list.
    count: usize,
}

impl StopWaiters {
    pub(super) fn new(places: u32) -> Self {
        Self { places: (0..places).map(|_| Slab::new()).collect(), count: 0 }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator.
    pub(crate) const fn bytes(places: u32) -> usize {
        (places as usize).saturating_mul(size_of::<Slab<(AttemptId, Waker)>>())
    }

    /// Leaves a waker; hands out the one that it replaces.
    pub(super) fn insert(
        &mut self,
        place: u32,
        attempt: AttemptId,
        key: &mut Option<usize>,
        waker: Waker,
    ) -> Option<Waker> {
        let list = self.places.get_mut(place as usize)?;
        let own = key.and_then(|key| list.get_mut(key)).filter(|(owner, _)| *owner == attempt);
        if let Some((_, place)) = own {
            return Some(std::mem::replace(place, waker));
        }
        *key = Some(list.insert((attempt, waker)));
        self.count = self.count.saturating_add(1);
        None
    }

    /// Takes back a waker that was left by this attempt, if it is still there.
    pub(super) fn remove(&mut self, place: u32, attempt: AttemptId, key: usize) -> Option<Waker> {
        let list = self.places.get_mut(place as usize)?;
        list.get(key).filter(|(owner, _)| *owner == attempt)?;
        self.count = self.count.saturating_sub(1);
        list.try_remove(key).map(|(_, waker)| waker)
    }

    /// Takes all wakers that were left for the attempt in this place, to be woken.
    #[inline]
    pub(super) fn take(&mut self, place: u32) -> StopWakers {
        if self.count == 0 { StopWakers(None) } else { self.take_some(place) }
    }

    /// Takes all wakers that were left for any attempt, a list for each place that has any.
    pub(super) fn take_all(&mut self) -> Vec<StopWakers> {
        let places = 0..u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let lists = places.map(|place| self.take(place));
        lists.filter(|wakers| !wakers.is_empty()).collect()
    }

    #[cold]
    fn take_some(&mut self, place: u32) -> StopWakers {
        let list = self.places.get_mut(place as usize).filter(|list| !list.is_empty());
        let list = list.map(std::mem::take);
        self.count = self.count.saturating_sub(list.as_ref().map_or(0, Slab::len));
        StopWakers(list)
    }
}

/// Wakers to be woken after the hold in which they were taken.
#[must_use]
#[derive(Default)]
pub(super) struct StopWakers(Option<Slab<(AttemptId, Waker)>>);

impl StopWakers {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = Waker> {
        self.0.into_iter().flatten().map(|(_, (_, waker))| waker)
    }
}
