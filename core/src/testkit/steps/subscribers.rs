//! Steps of subscribers.

use crate::testkit::calls::subscribers::Call;
use crate::testkit::oracle::{Fault, Oracle};

/// Subscribes, unsubscribes, reads events or waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as the methods")]
pub enum Step {
    Subscribe,
    Unsubscribe { subscriber: u8 },
    NextEvent { subscriber: u8, count: u8 },
    WaitEvent { subscriber: u8 },
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
