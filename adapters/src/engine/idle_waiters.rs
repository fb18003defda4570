//! Who waits until every task is settled, and every callback has returned.

use std::sync::Arc;
use std::task::Waker;

use slab::Slab;

use super::machine::Shared;
use super::state::State;
use super::wake::Wakes;
use crate::work::AnyWork;

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

    fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Leaves a waker.
    fn insert(&mut self, waker: Waker) -> IdleTicket {
        self.tickets = self.tickets.wrapping_add(1);
        let number = self.tickets;
        IdleTicket { key: self.wakers.insert((number, waker)), number }
    }

    /// Leaves a waker in the place of an earlier one, which is handed out; or hands back the waker if the earlier one was
    /// taken.
    fn replace(&mut self, ticket: IdleTicket, waker: Waker) -> Result<Waker, Waker> {
        match self.wakers.get_mut(ticket.key).filter(|(number, _)| *number == ticket.number) {
            Some((_, left)) => Ok(std::mem::replace(left, waker)),
            None => Err(waker),
        }
    }

    /// Takes a waker back, if it is still there.
    fn remove(&mut self, ticket: IdleTicket) -> Option<Waker> {
        self.wakers.get(ticket.key).filter(|(number, _)| *number == ticket.number)?;
        self.wakers.try_remove(ticket.key).map(|(_, waker)| waker)
    }

    /// Takes any waker out, to be woken.
    fn take(&mut self) -> Option<Waker> {
        let (key, _) = self.wakers.iter().next()?;
        self.wakers.try_remove(key).map(|(_, waker)| waker)
    }
}

impl<W: AnyWork> State<W> {
    /// Whether somebody has waited for this moment, at which every task is settled and no callback is being called. Those that
    /// are yet to be called are effects, which come first.
    #[inline]
    pub(super) fn has_idle_waiter_to_wake(&self) -> bool {
        self.has_idle_waiter && self.machine.is_idle() && self.has_called_back()
    }

    /// Whether no worker is calling foreign code. At the end nobody waits for that.
    #[cold]
    fn has_called_back(&self) -> bool {
        self.ending || !self.idle_waiters.wakes.workers.have_duties()
    }

    /// Whether there is such a moment now.
    fn is_idle(&self) -> bool {
        let has_effect = self.callback.is_some() || self.machine.pending_effects() > 0;
        self.machine.is_idle() && (self.ending || !has_effect) && self.has_called_back()
    }

    /// Takes the waker of one who has waited for this moment.
    #[cold]
    pub(super) fn take_idle_waiter(&mut self) -> Option<Waker> {
        let waker = self.idle_waiters.take();
        self.has_idle_waiter = !self.idle_waiters.is_empty();
        waker
    }
}

impl<W: AnyWork> Shared<W> {
    /// Asks whether every task is settled now and no callback is left, or was since the ticket was given; if not, the waker is left. The waker
    /// that is not needed comes back.
    pub(crate) fn wait_until_idle(
        &self,
        ticket: &mut Option<IdleTicket>,
        waker: Waker,
    ) -> (bool, Option<Waker>) {
        let mut state = self.lock();
        let Some(given) = *ticket else {
            if state.is_idle() {
                return (true, Some(waker));
            }
            *ticket = Some(state.idle_waiters.insert(waker));
            state.has_idle_waiter = true;
            return (false, None);
        };
        match state.idle_waiters.replace(given, waker) {
            Ok(old) => (false, Some(old)),
            Err(unused) => {
                *ticket = None;
                (true, Some(unused))
            }
        }
    }

    /// Takes back the waker that was left by [`wait_until_idle`](Self::wait_until_idle), if it is still there.
    pub(crate) fn stop_waiting_until_idle(&self, ticket: IdleTicket) -> Option<Waker> {
        let mut state = self.lock();
        let waker = state.idle_waiters.remove(ticket);
        state.has_idle_waiter = !state.idle_waiters.is_empty();
        waker
    }
}
