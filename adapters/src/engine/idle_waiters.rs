//! The waiters for an idle processor: every task settled, every callback returned.

use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

use super::wake::Wakes;

/// The wakers of futures that wait until the processor is idle. Each is taken out at the next moment at which it is, and its
/// future learns from that that there was such a moment.
///
/// A worker that has called foreign code looks at the machine again before it goes idle, so none of these moments is missed.
pub(super) struct IdleWaiters {
    wakes: Arc<Wakes>,
    wakers: Slab<(u64, Waker)>,
    /// How many there have been.
    tickets: u64,
}

/// By which a future finds its waker again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleTicket {
    key: usize,
    number: u64,
}

impl IdleWaiters {
    pub(super) const fn new(wakes: Arc<Wakes>) -> Self {
        Self { wakes, wakers: Slab::new(), tickets: 0 }
    }

    /// Whether no worker is calling foreign code.
    pub(super) fn has_called_back(&self) -> bool {
        !self.wakes.workers.have_duties()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Leaves a waker.
    pub(super) fn insert(&mut self, waker: Waker) -> IdleTicket {
        self.tickets = self.tickets.wrapping_add(1);
        let number = self.tickets;
        IdleTicket { key: self.wakers.insert((number, waker)), number }
    }

    /// Leaves a waker in the place of an earlier one, which is handed out; or hands back the waker if the earlier one was
    /// taken.
    pub(super) fn replace(&mut self, ticket: IdleTicket, waker: Waker) -> Result<Waker, Waker> {
        match self.wakers.get_mut(ticket.key).filter(|(number, _)| *number == ticket.number) {
            Some((_, left)) => Ok(std::mem::replace(left, waker)),
            None => Err(waker),
        }
    }

    /// Takes a waker back, if it is still there.
    pub(super) fn remove(&mut self, ticket: IdleTicket) -> Option<Waker> {
        self.wakers.get(ticket.key).filter(|(number, _)| *number == ticket.number)?;
        self.wakers.try_remove(ticket.key).map(|(_, waker)| waker)
    }

    /// Takes any waker out, to be woken.
    pub(super) fn take(&mut self) -> Option<Waker> {
        let (key, _) = self.wakers.iter().next()?;
        self.wakers.try_remove(key).map(|(_, waker)| waker)
    }
}
