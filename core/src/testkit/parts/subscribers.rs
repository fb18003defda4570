//! Subscribers and their events.

use crate::testkit::oracle::{Fault, Memory, Oracle};
use crate::testkit::{Host, Token};
use crate::{Event, Instant, Next, SubscribeRefusal, SubscriberId};

/// Subscribes, unsubscribes, reads events or waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Subscribe,
    Unsubscribe { subscriber: u8 },
    NextEvent { subscriber: u8, count: u8 },
    WaitEvent { subscriber: u8 },
}

/// Subscribes, unsubscribes, reads an event or waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Call {
    Subscribe,
    Unsubscribe { id: SubscriberId },
    NextEvent { id: SubscriberId },
    WaitEvent { id: SubscriberId, waiter: u32 },
}

/// What became of the subscriber, or its event.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "one for each kind of answer, fields in the order of the machine's")]
pub enum Answer {
    Subscriber(Result<SubscriberId, SubscribeRefusal>),
    Left(Option<Option<u32>>),
    Event(Option<Next<Event<u32>>>),
    Waits(Result<Option<u32>, u32>),
}

impl Step {
    pub(super) const fn from_bytes(kind: u8, [a, b, ..]: [u8; 6]) -> Self {
        match kind {
            99..=101 => Self::Subscribe,
            102 => Self::Unsubscribe { subscriber: a },
            103..=106 => Self::NextEvent { subscriber: a, count: b % 8 },
            _ => Self::WaitEvent { subscriber: a },
        }
    }

    pub(super) fn take(self, oracle: &mut Oracle) -> Result<(), Fault> {
        if let Self::NextEvent { subscriber, count } = self {
            let Some(id) = oracle.memory.ids.subscribers.chosen(subscriber) else { return Ok(()) };
            return (0..count).try_for_each(|_| oracle.call(Call::NextEvent { id }).map(drop));
        }
        oracle.now();
        let call = self.call(oracle);
        oracle.call_if(call)
    }

    fn call(self, oracle: &mut Oracle) -> Option<Call> {
        let known = &oracle.memory.ids.subscribers;
        Some(match self {
            Self::Subscribe => Call::Subscribe,
            Self::Unsubscribe { subscriber } => Call::Unsubscribe { id: known.chosen(subscriber)? },
            Self::NextEvent { subscriber, .. } => Call::NextEvent { id: known.chosen(subscriber)? },
            Self::WaitEvent { subscriber } => {
                Call::WaitEvent { id: known.chosen(subscriber)?, waiter: oracle.token() }
            }
        })
    }
}

impl Call {
    pub(super) const fn now(&self) -> Option<Instant> {
        None
    }

    pub(super) fn make(&self, host: &mut Host) -> Answer {
        match *self {
            Self::Subscribe => Answer::Subscriber(host.machine.subscribe()),
            Self::Unsubscribe { id } => {
                Answer::Left(host.machine.unsubscribe(id).map(|left| left.map(Token::out)))
            }
            Self::NextEvent { id } => Answer::Event(host.machine.next_event(id)),
            Self::WaitEvent { id, waiter } => {
                let answer = host.machine.wait_event(id, host.books.token(waiter));
                Answer::Waits(answer.map(|old| old.map(Token::out)).map_err(Token::out))
            }
        }
    }
}

impl Answer {
    pub(super) fn learn(&self, memory: &mut Memory) {
        if let Self::Subscriber(subscribed) = self {
            memory.ids.subscribers.learn(subscribed);
        }
    }
}
