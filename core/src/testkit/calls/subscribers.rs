//! Subscribers and their events.

use crate::testkit::host::Host;
use crate::testkit::token::Token;
use crate::{Event, Instant, Next, SubscribeRefusal, SubscriberId};

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
