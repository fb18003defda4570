//! Events and those who read them.

use super::Processor;
use crate::subscribers::Next;
use crate::{Event, Plan, SubscribeRefusal, SubscriberId};

impl<P: Plan> Processor<P> {
    /// Adds a subscriber. It reads what happens from now on.
    ///
    /// May change: nothing else.
    ///
    /// # Errors
    /// [`SubscribeRefusal`].
    pub fn subscribe(&mut self) -> Result<SubscriberId, SubscribeRefusal> {
        if self.ending.is_ending() {
            return Err(SubscribeRefusal::Closed);
        }
        let id = self.subscribers.subscribe().ok_or(SubscribeRefusal::Full)?;
        self.ledger.subscribers.enter();
        Ok(id)
    }

    /// Removes a subscriber, and hands out the waiter it had left. `None` when there is no such subscriber.
    ///
    /// May change: nothing else.
    pub fn unsubscribe(&mut self, id: SubscriberId) -> Option<Option<P::Waiter>> {
        let waiter = self.subscribers.unsubscribe(id)?;
        self.ledger.subscribers.leave();
        Some(waiter)
    }

    /// The next event for a subscriber. `None` when there is no such subscriber: it was removed. At the very end of the
    /// machine, one that has read everything is removed by this.
    ///
    /// May change: what this subscriber reads next. Once the machine has drained, reading the last event removes it.
    pub fn next_event(&mut self, id: SubscriberId) -> Option<Next<Event<P::Meta>>> {
        let before = self.subscribers.len();
        let next = self.subscribers.next(id);
        if self.subscribers.len() < before {
            self.ledger.subscribers.leave();
        }
        next
    }

    /// Leaves a waiter to be woken when there is an event for a subscriber that has read everything. The waiter that it
    /// replaces is handed back. Waiters that are left when the machine ends are woken.
    ///
    /// May change: nothing else. The waiter leaves by an effect.
    ///
    /// # Errors
    /// The waiter, when there is no need to wait: [`next_event`](Self::next_event) has an event, or says that there is no such
    /// subscriber, or that nothing more will come.
    pub fn wait_event(
        &mut self,
        id: SubscriberId,
        waiter: P::Waiter,
    ) -> Result<Option<P::Waiter>, P::Waiter> {
        self.subscribers.wait(id, waiter)
    }
}
