//! The events, and the answers to their subscribers.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Model, STAND_IN};
use crate::testkit::calls::subscribers::{Answer, Call};
use crate::testkit::flaws::Class;
use crate::{Event, Next, SubscribeRefusal, SubscriberId, TaskId};

#[derive(Debug)]
struct Subscriber {
    id: SubscriberId,
    /// How many of all events the subscriber has read or missed.
    read: u64,
    waiter: Option<u32>,
}

/// Events and their subscribers.
#[derive(Debug, Default)]
pub(super) struct Ring {
    /// The last events, as many as fit.
    events: VecDeque<Event<u32>>,
    published: u64,
    subscribers: Vec<Subscriber>,
    /// Waiting subscribers, in the order in which they began to wait.
    waiting: VecDeque<SubscriberId>,
    to_wake: VecDeque<SubscriberId>,
    /// Whether the last event was published: none will follow.
    closed: bool,
}

impl Ring {
    pub(super) fn is_heard(&self) -> bool {
        !self.subscribers.is_empty() && !self.closed
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
        self.to_wake.append(&mut self.waiting);
    }

    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }

    pub(super) fn publish(&mut self, event: Event<u32>, most: u32) {
        self.events.push_back(event);
        if self.events.len() > most as usize {
            self.events.pop_front();
        }
        self.published += 1;
        self.to_wake.append(&mut self.waiting);
    }

    pub(super) fn subscribe(&mut self, id: SubscriberId) {
        self.subscribers.push(Subscriber { id, read: self.published, waiter: None });
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriberId) -> Option<Option<u32>> {
        let waiter = self.get(id)?.waiter;
        self.stop_waiting(id);
        self.subscribers.retain(|subscriber| subscriber.id != id);
        Some(waiter)
    }

    pub(super) fn next(&mut self, id: SubscriberId) -> Option<Next<Event<u32>>> {
        let oldest = self.published - self.events.len() as u64;
        let (published, events) = (self.published, &self.events);
        let subscriber = self.subscribers.iter_mut().find(|subscriber| subscriber.id == id)?;
        if subscriber.read < oldest {
            let missed = oldest - subscriber.read;
            subscriber.read = oldest;
            return Some(Next::Lagged(missed));
        }
        if subscriber.read == published {
            if self.closed && subscriber.waiter.is_none() {
                self.unsubscribe(id);
                return None;
            }
            return Some(Next::Empty);
        }
        let event = events.get((subscriber.read - oldest) as usize)?;
        subscriber.read += 1;
        Some(Next::Event(*event))
    }

    pub(super) fn wait(&mut self, id: SubscriberId, waiter: u32) -> Result<Option<u32>, u32> {
        let last = (!self.closed).then_some(self.published);
        let Some(subscriber) = self.get(id).filter(|subscriber| Some(subscriber.read) == last) else {
            return Err(waiter);
        };
        let old = subscriber.waiter.replace(waiter);
        self.stop_waiting(id);
        self.waiting.push_back(id);
        Ok(old)
    }

    pub(super) fn has_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }

    pub(super) fn wake(&mut self) -> Option<u32> {
        let id = self.to_wake.pop_front()?;
        self.get(id)?.waiter.take()
    }

    /// Removes a subscriber, those to be woken first, then waiting ones. Returns its waiter.
    pub(super) fn remove_any(&mut self) -> Option<Option<u32>> {
        let first = self.to_wake.front().or_else(|| self.waiting.front()).copied();
        let id = first.or_else(|| self.subscribers.first().map(|subscriber| subscriber.id))?;
        self.unsubscribe(id)
    }

    fn stop_waiting(&mut self, id: SubscriberId) {
        self.waiting.retain(|&other| other != id);
        self.to_wake.retain(|&other| other != id);
    }

    fn get(&mut self, id: SubscriberId) -> Option<&mut Subscriber> {
        self.subscribers.iter_mut().find(|subscriber| subscriber.id == id)
    }
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Subscribe => model.subscribe(given),
            Self::Unsubscribe { id } => Answer::Left(model.ring.unsubscribe(id)),
            Self::NextEvent { id } => model.next_event(id, given),
            Self::WaitEvent { id, waiter } => Answer::Waits(model.ring.wait(id, waiter)),
        }
    }
}

impl Model {
    fn subscribe(&mut self, given: &Answer) -> Answer {
        if self.ending {
            return Answer::Subscriber(Err(SubscribeRefusal::Closed));
        }
        if self.ring.len() >= self.most(self.limits.subscribers, Class::Subscribers) as usize {
            return Answer::Subscriber(Err(SubscribeRefusal::Full));
        }
        let Answer::Subscriber(Ok(id)) = *given else {
            self.complain("there is room for a subscriber, and it was refused");
            return *given;
        };
        self.ring.subscribe(id);
        Answer::Subscriber(Ok(id))
    }

    pub(super) fn next_event(&mut self, id: SubscriberId, given: &Answer) -> Answer {
        let next = self.ring.next(id).map(|next| match (next, given) {
            (Next::Event(event), Answer::Event(Some(Next::Event(given)))) => {
                Next::Event(self.identified(event, *given))
            }
            (next, _) => next,
        });
        Answer::Event(next)
    }

    /// An event may name a task whose id no answer has named before: then this answer names it.
    fn identified(&mut self, mut event: Event<u32>, mut given: Event<u32>) -> Event<u32> {
        if let (Some(task), Some(given)) = (task_in(&mut event), task_in(&mut given)) {
            if *task == STAND_IN {
                *task = *given;
            }
        }
        event
    }
}

fn task_in(event: &mut Event<u32>) -> Option<&mut TaskId> {
    match event {
        Event::Admitted { task, .. }
        | Event::Started { task, .. }
        | Event::Retrying { task, .. }
        | Event::Snoozed { task, .. }
        | Event::Settled { task, .. }
        | Event::OrphanStopped { task } => Some(task),
        _ => None,
    }
}
