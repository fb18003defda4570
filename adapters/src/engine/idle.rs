//! Waiting until every task is settled.

use std::task::Waker;

use super::idle_waiters::IdleTicket;
use super::machine::Shared;
use crate::work::AnyWork;

impl<W: AnyWork> Shared<W> {
    /// Asks whether every task is settled now and no callback is left, or was since the ticket was given; if not, the waker is
    /// left. The waker that is not needed comes back.
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
