//! Events for any number of subscribers: one bounded ring that they share, and a cursor for each.
//!
//! Publishing is O(1) whatever the number of subscribers: the event is written once, and the list of waiting
//! subscribers is spliced onto the list of subscribers to wake, without touching its members. A slow subscriber learns
//! how many events it missed; it does not hold the ring back.

use alloc::vec::Vec;

use crate::ids::SubscriberId;
use crate::list::{Links, List};
use crate::slots::Slots;

/// What a subscriber reads, from [`Processor::next_event`](crate::Processor::next_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next<E> {
    /// The oldest event that the subscriber has not read.
    Event(E),
    /// How many events were overwritten before the subscriber read them. The oldest kept event comes next.
    Lagged(u64),
    /// The subscriber has read everything.
    Empty,
}

struct Subscriber<W> {
    /// The number of the next event to read.
    cursor: u64,
    waiter: Option<Waiter<W>>,
}

struct Waiter<W> {
    value: W,
    /// The cursor when the wait began. The subscriber is waiting until an event has this number; from then on it is to
    /// be woken. So splicing the lists need not touch the subscribers: each one's list follows from this number.
    since: u64,
}

/// The ring and its subscribers. Only [`new`](Self::new) allocates, exactly [`Subscribers::bytes`]; every other call is
/// O(1), except [`audit`](Self::audit).
pub(crate) struct Subscribers<E: Copy, W> {
    ring: Vec<E>,
    ring_capacity: usize,
    /// The number of the next event. The ring keeps the events just before it.
    next: u64,
    /// Whether publishing has ended.
    closed: bool,
    slots: Slots<SubscriberId, Subscriber<W>>,
    links: Links,
    // Each subscriber is in exactly one of these lists.
    idle: List,
    waiting: List,
    to_wake: List,
}

impl<E: Copy, W> Subscribers<E, W> {
    /// A ring that keeps the last `ring` events, for at most `subscribers` subscribers.
    pub(crate) fn new(subscribers: u32, ring: u32, origin: u64) -> Self {
        Self {
            ring: Vec::with_capacity(ring as usize),
            ring_capacity: ring as usize,
            next: 0,
            closed: false,
            slots: Slots::new(subscribers).with_origin(origin),
            links: Links::new(subscribers),
            idle: List::new(),
            waiting: List::new(),
            to_wake: List::new(),
        }
    }

    /// The bytes that [`new`](Self::new) asks of the allocator, exactly.
    pub(crate) const fn bytes(subscribers: u32, ring: u32) -> usize {
        let slots = Slots::<SubscriberId, Subscriber<W>>::bytes(subscribers);
        let slots = slots.saturating_add(Links::bytes(subscribers));
        slots.saturating_add((ring as usize).saturating_mul(size_of::<E>()))
    }

    /// Adds a subscriber. It reads the events that are published from now on. `None` if no slot is free.
    pub(crate) fn subscribe(&mut self) -> Option<SubscriberId> {
        let new = Subscriber { cursor: self.next, waiter: None };
        let id = self.slots.insert(new).ok()?;
        let index = self.slots.index_of(id);
        self.idle.push_back(&mut self.links, index);
        Some(id)
    }

    /// Removes a subscriber and hands out its waiter. `None` if there is no such subscriber.
    pub(crate) fn unsubscribe(&mut self, id: SubscriberId) -> Option<Option<W>> {
        self.slots.get(id)?;
        self.remove_at(self.slots.index_of(id))
    }

    /// Removes any one subscriber and hands out its waiter. Called until `None`, it removes all of them.
    pub(crate) fn remove_any(&mut self) -> Option<Option<W>> {
        let lists = [&self.to_wake, &self.waiting, &self.idle];
        let index = lists.into_iter().find_map(List::front)?;
        self.remove_at(index)
    }

    /// Publishes `event` to all subscribers; the waiting ones are to be woken. Returns whether it was published: the
    /// event is dropped if there are no subscribers, or the ring is closed.
    pub(crate) fn publish(&mut self, event: E) -> bool {
        if self.slots.is_empty() || self.closed {
            return false;
        }
        if self.ring.len() < self.ring_capacity {
            self.ring.push(event);
        } else if let Some(place) = self.position(self.next).and_then(|at| self.ring.get_mut(at)) {
            *place = event;
        }
        self.next = self.next.saturating_add(1);
        self.to_wake.append(&mut self.links, &mut self.waiting);
        true
    }

    /// Ends publishing. Unread events can still be read. All waiting subscribers are to be woken.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.to_wake.append(&mut self.links, &mut self.waiting);
    }

    /// Reads the next event. `None` if there is no such subscriber. Once the ring is closed, this call removes a
    /// subscriber that has read everything, unless its waiter is still to be woken.
    pub(crate) fn next(&mut self, id: SubscriberId) -> Option<Next<E>> {
        let oldest = self.next.saturating_sub(self.ring.len() as u64);
        let subscriber = self.slots.get(id)?;
        let cursor = subscriber.cursor;
        if self.closed && cursor >= self.next && subscriber.waiter.is_none() {
            self.unsubscribe(id);
            return None;
        }
        let (next, cursor) = if cursor < oldest {
            (Next::Lagged(oldest - cursor), oldest)
        } else {
            let event = self.position(cursor).filter(|_| cursor < self.next).and_then(|at| self.ring.get(at));
            match event {
                Some(&event) => (Next::Event(event), cursor.saturating_add(1)),
                None => (Next::Empty, cursor),
            }
        };
        self.slots.get_mut(id)?.cursor = cursor;
        Some(next)
    }

    /// Keeps `waiter` until there is an event to read, and hands back the waiter that it replaces.
    ///
    /// # Errors
    /// `waiter`, if there is no need to wait: there is an unread event, the ring is closed, or there is no such
    /// subscriber.
    pub(crate) fn wait(&mut self, id: SubscriberId, waiter: W) -> Result<Option<W>, W> {
        match self.slots.get(id) {
            Some(subscriber) if !self.closed && subscriber.cursor >= self.next => {}
            _ => return Err(waiter),
        }
        let index = self.slots.index_of(id);
        let old = self.take_waiter(index);
        self.idle.remove(&mut self.links, index);
        if let Some(subscriber) = self.slots.at_mut(index) {
            subscriber.waiter = Some(Waiter { value: waiter, since: subscriber.cursor });
        }
        self.waiting.push_back(&mut self.links, index);
        Ok(old)
    }

    /// Takes the waiter of the next subscriber to wake, in the order in which their waits began.
    pub(crate) fn pop_wake(&mut self) -> Option<W> {
        let index = self.to_wake.front()?;
        self.take_waiter(index)
    }

    /// Whether [`pop_wake`](Self::pop_wake) has a waiter.
    #[inline]
    pub(crate) const fn has_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }

    /// The slot of the next subscriber to wake; [`NIL`](crate::list::NIL) if there is none.
    #[inline]
    pub(crate) const fn first_wake(&self) -> u32 {
        self.to_wake.head()
    }

    /// How many subscribers there are.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.slots.len()
    }

    /// How many slots are retired.
    pub(crate) fn retired(&self) -> u32 {
        self.slots.retired()
    }

    /// How many waiters there are.
    #[cfg(test)]
    pub(crate) const fn waiters(&self) -> u32 {
        self.waiting.len().saturating_add(self.to_wake.len())
    }

    /// The numbers of subscribers and of waiters, counted by walking all slots. O(capacity).
    pub(crate) fn audit(&self) -> (u32, u32) {
        self.slots.iter().fold((0, 0), |(subscribers, waiters), (_, subscriber)| {
            (subscribers + 1, waiters + u32::from(subscriber.waiter.is_some()))
        })
    }

    /// The position in the ring of event number `number`; `None` if the ring has no places.
    fn position(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_rem(self.ring_capacity as u64)?).ok()
    }

    /// Takes the waiter of a subscriber, if it has one, and moves the subscriber to the idle list.
    fn take_waiter(&mut self, index: u32) -> Option<W> {
        let waiter = self.slots.at_mut(index)?.waiter.take()?;
        let is_woken = waiter.since < self.next || self.closed;
        let list = if is_woken { &mut self.to_wake } else { &mut self.waiting };
        list.remove(&mut self.links, index);
        self.idle.push_back(&mut self.links, index);
        Some(waiter.value)
    }

    fn remove_at(&mut self, index: u32) -> Option<Option<W>> {
        let waiter = self.take_waiter(index);
        self.idle.remove(&mut self.links, index);
        self.slots.take(index, 0).map(|_| waiter)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use Next::{Empty, Event, Lagged};
    use alloc::collections::VecDeque;

    type Ring = Subscribers<u32, u32>;

    fn woken(ring: &mut Ring) -> Vec<u32> {
        core::iter::from_fn(|| ring.pop_wake()).collect()
    }

    #[test]
    fn each_subscriber_reads_all_events_since_it_subscribed() {
        let mut ring = Ring::new(2, 4, 0);
        ring.publish(1);
        assert!(ring.ring.is_empty(), "there is no subscriber");
        let a = ring.subscribe().unwrap();
        ring.publish(2);
        let b = ring.subscribe().unwrap();
        ring.publish(3);
        assert_eq!(ring.subscribe(), None);
        assert_eq!(
            [ring.next(a), ring.next(a), ring.next(a)].map(Option::unwrap),
            [Event(2), Event(3), Empty]
        );
        assert_eq!([ring.next(b), ring.next(b)].map(Option::unwrap), [Event(3), Empty]);
        ring.publish(4);
        assert_eq!([ring.next(a), ring.next(a)].map(Option::unwrap), [Event(4), Empty]);
    }

    #[test]
    fn a_slow_subscriber_learns_how_many_events_it_missed() {
        let mut ring = Ring::new(2, 3, 0);
        let (slow, fast) = (ring.subscribe().unwrap(), ring.subscribe().unwrap());
        for event in 0..10 {
            ring.publish(event);
            assert_eq!(ring.next(fast), Some(Event(event)));
        }
        let read = core::array::from_fn(|_| ring.next(slow).unwrap());
        assert_eq!(read, [Lagged(7), Event(7), Event(8), Event(9), Empty]);
    }

    #[test]
    fn a_ring_without_places_only_counts() {
        let mut ring = Ring::new(1, 0, 0);
        let id = ring.subscribe().unwrap();
        assert_eq!(ring.wait(id, 5), Ok(None));
        ring.publish(1);
        assert_eq!(woken(&mut ring), [5]);
        assert_eq!([ring.next(id), ring.next(id)].map(Option::unwrap), [Lagged(1), Empty]);
    }

    #[test]
    fn an_event_wakes_exactly_the_waiting_subscribers() {
        let mut ring = Ring::new(3, 4, 0);
        let ids = [0, 1, 2].map(|_| ring.subscribe().unwrap());
        assert_eq!(ring.wait(ids[2], 2), Ok(None));
        assert_eq!(ring.wait(ids[0], 0), Ok(None));
        assert_eq!((ring.waiters(), ring.has_wake()), (2, false));
        ring.publish(7);
        assert_eq!((ring.waiters(), ring.has_wake()), (2, true));
        assert_eq!(woken(&mut ring), [2, 0]);
        assert_eq!((ring.waiters(), ring.has_wake()), (0, false));
        ring.publish(8);
        assert_eq!(woken(&mut ring), []);
    }

    #[test]
    fn a_subscriber_with_an_unread_event_does_not_wait() {
        let mut ring = Ring::new(1, 4, 0);
        let id = ring.subscribe().unwrap();
        ring.publish(7);
        assert_eq!(ring.wait(id, 1), Err(1));
        assert_eq!(ring.next(id), Some(Event(7)));
        assert_eq!([ring.wait(id, 2), ring.wait(id, 3)], [Ok(None), Ok(Some(2))]);
        ring.publish(8);
        assert_eq!(ring.wait(id, 4), Err(4), "the earlier waiter is to be woken");
        assert_eq!(woken(&mut ring), [3]);
    }

    #[test]
    fn a_waiter_replaced_after_reading_is_not_woken() {
        let mut ring = Ring::new(1, 4, 0);
        let id = ring.subscribe().unwrap();
        assert_eq!(ring.wait(id, 1), Ok(None));
        ring.publish(7);
        assert_eq!(ring.next(id), Some(Event(7)));
        assert_eq!(ring.wait(id, 2), Ok(Some(1)));
        assert!(!ring.has_wake());
        ring.publish(8);
        assert_eq!(woken(&mut ring), [2]);
    }

    #[test]
    fn a_stale_id_reaches_nothing() {
        let mut ring = Ring::new(1, 4, 0);
        let old = ring.subscribe().unwrap();
        assert_eq!(ring.wait(old, 1), Ok(None));
        assert_eq!(ring.unsubscribe(old), Some(Some(1)));
        let new = ring.subscribe().unwrap();
        assert_eq!((ring.unsubscribe(old), ring.next(old), ring.wait(old, 9)), (None, None, Err(9)));
        ring.publish(1);
        assert_eq!((ring.next(new), woken(&mut ring)), (Some(Event(1)), [].into()));
        assert_eq!((ring.unsubscribe(new), ring.len()), (Some(None), 0));
    }

    #[test]
    fn memory_is_as_promised_and_never_grows() {
        let mut ring = Subscribers::<[u8; 24], u32>::new(5, 7, 0);
        let taken = Subscribers::<[u8; 24], u32>::bytes(5, 7);
        assert_eq!(taken, Slots::<SubscriberId, Subscriber<u32>>::bytes(5) + Links::bytes(5) + 7 * 24);
        ring.subscribe().unwrap();
        (0..100).for_each(|_| assert!(ring.publish([0; 24])));
        assert_eq!((ring.ring.capacity(), ring.ring.len()), (7, 7));
    }

    /// A subscriber of the model: its unread events, how many it missed, its waiter, and whether the waiter is to be
    /// woken.
    struct Naive {
        id: SubscriberId,
        unread: VecDeque<u32>,
        missed: u64,
        waiter: Option<(u32, bool)>,
    }

    impl Naive {
        fn next(&mut self) -> Next<u32> {
            match (core::mem::take(&mut self.missed), self.unread.is_empty()) {
                (0, true) => Empty,
                (0, false) => Event(self.unread.pop_front().unwrap()),
                (missed, _) => Lagged(missed),
            }
        }
    }

    fn check(ring: &Ring, model: &[Naive]) {
        let waiters = model.iter().filter(|one| one.waiter.is_some()).count() as u32;
        let to_wake = model.iter().filter(|one| one.waiter.is_some_and(|(_, woken)| woken)).count() as u32;
        assert_eq!((ring.len(), ring.waiters()), (model.len() as u32, waiters));
        assert_eq!(ring.audit(), (ring.len(), ring.waiters()));
        for (list, len) in
            [(&ring.idle, ring.len() - waiters), (&ring.waiting, waiters - to_wake), (&ring.to_wake, to_wake)]
        {
            assert_eq!((list.len(), list.iter(&ring.links).count() as u32), (len, len));
        }
    }

    #[test]
    fn the_ring_behaves_like_a_queue_for_each_subscriber() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (places, kept) = (rng.u32(0..6), rng.u32(0..5));
            let mut ring = Ring::new(places, kept, 0);
            let mut model: Vec<Naive> = Vec::new();
            for step in 0..500 {
                let who = rng.usize(0..model.len().max(1));
                match (rng.u32(0..10), model.get_mut(who)) {
                    (0, _) => match ring.subscribe() {
                        Some(id) => {
                            model.push(Naive { id, unread: VecDeque::new(), missed: 0, waiter: None })
                        }
                        None => assert_eq!(model.len() as u32, places),
                    },
                    (1, Some(one)) if rng.bool() => {
                        assert_eq!(ring.unsubscribe(one.id), Some(one.waiter.map(|(waiter, _)| waiter)));
                        assert_eq!(ring.unsubscribe(one.id), None);
                        model.remove(who);
                    }
                    (2 | 3, _) => {
                        ring.publish(step);
                        for one in &mut model {
                            one.unread.push_back(step);
                            if one.unread.len() > kept as usize {
                                one.unread.pop_front();
                                one.missed += 1;
                            }
                            one.waiter = one.waiter.map(|(waiter, _)| (waiter, true));
                        }
                    }
                    (4..7, Some(one)) => assert_eq!(ring.next(one.id), Some(one.next())),
                    (7 | 8, Some(one)) => {
                        let ready = one.missed > 0 || !one.unread.is_empty();
                        let expected = if ready {
                            Err(step)
                        } else {
                            Ok(one.waiter.replace((step, false)).map(|(waiter, _)| waiter))
                        };
                        assert_eq!(ring.wait(one.id, step), expected);
                    }
                    (9, _) => {
                        let waiter = ring.pop_wake();
                        let is = |one: &Naive| {
                            waiter.is_some() && one.waiter == waiter.map(|waiter| (waiter, true))
                        };
                        match model.iter_mut().find(|one| is(one)) {
                            Some(one) => one.waiter = None,
                            None => assert_eq!(waiter, None),
                        }
                    }
                    _ => {}
                }
                check(&ring, &model);
            }
            let mut left: Vec<_> = model.iter().map(|one| one.waiter.map(|(waiter, _)| waiter)).collect();
            let mut out: Vec<_> = core::iter::from_fn(|| ring.remove_any()).collect();
            left.sort_unstable();
            out.sort_unstable();
            assert_eq!(out, left);
            check(&ring, &[]);
        }
    }
}
