//! Events and their subscribers.

use super::Processor;
use crate::subscribers::Next;
use crate::{Event, Plan, SubscribeRefusal, SubscriberId};

impl<P: Plan> Processor<P> {
    /// Adds a subscriber, which reads the events from now on.
    ///
    /// May change: nothing else.
    ///
    /// ```
    /// # use plimsoll_core::{Event, Instant, Limits, Next, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let reader = processor.subscribe()?;
    /// let task = processor.submit(now, Offer::new("job", ()), &Terms::new())?;
    /// let Some(Next::Event(Event::Admitted { task: admitted, .. })) = processor.next_event(reader) else { return Err("no event".into()) };
    /// assert_eq!(admitted, task);
    /// assert!(matches!(processor.next_event(reader), Some(Next::Empty))); // or leave a waiter: `wait_event`
    /// processor.unsubscribe(reader);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Removes a subscriber, and hands out its waiter if it left one. `None` if there is no such subscriber.
    ///
    /// May change: nothing else.
    pub fn unsubscribe(&mut self, id: SubscriberId) -> Option<Option<P::Waiter>> {
        let waiter = self.subscribers.unsubscribe(id)?;
        self.ledger.subscribers.leave();
        Some(waiter)
    }

    /// The next event for a subscriber. `None` if there is no such subscriber.
    ///
    /// May change: what this subscriber reads next. Once the machine has drained, a subscriber that has read everything
    /// is removed by this call.
    pub fn next_event(&mut self, id: SubscriberId) -> Option<Next<Event<P::Meta>>> {
        let before = self.subscribers.len();
        let next = self.subscribers.next(id);
        if self.subscribers.len() < before {
            self.ledger.subscribers.leave();
        }
        next
    }

    /// Leaves a waiter for a subscriber that has read everything; it is woken by the next event, or by the end of the
    /// machine. The waiter that it replaces is handed back.
    ///
    /// May change: nothing else. The waiter leaves by an effect.
    ///
    /// # Errors
    /// The waiter, if there is no need to wait: [`next_event`](Self::next_event) has an event, or says that there is no
    /// such subscriber, or that no event will follow.
    pub fn wait_event(
        &mut self,
        id: SubscriberId,
        waiter: P::Waiter,
    ) -> Result<Option<P::Waiter>, P::Waiter> {
        self.subscribers.wait(id, waiter)
    }
}
