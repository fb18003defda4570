//! Sources: opened, pulled from, and told how their deliveries ended. [`crate::sources`] has the sources themselves.

use core::num::NonZeroU32;
use core::time::Duration;

use super::Processor;
use super::deadlines::Owner;
use crate::ids::{DeliveryId, SourceId};
use crate::last_error::{ErrorKind, Whose};
use crate::sources::{SourceTerms, SourceView, Verdict};
use crate::{Event, Instant, Message, OpenRefusal, Operation, Plan};

impl<P: Plan> Processor<P> {
    /// Opens a source, whose host pulls from an engine outside. From now on the machine counts what may be
    /// [pulled](Self::begin_pull), keeps what was [delivered](Self::deliver) and says what the engine has to
    /// [hear](Self::next_verdict).
    ///
    /// The host keeps the receipts of the engine by [`DeliveryId`], and leaves a [waiter](Self::wait_source) when it has
    /// nothing to do. A drain asks for no further pull, hands back what has not begun, and waits until everything is
    /// confirmed. Then [`is_source_over`](Self::is_source_over) says so.
    ///
    /// May change: nothing else.
    ///
    /// ```
    /// # use plimsoll_core::{
    /// #     Arrival, Delivery, Instant, Limits, Processor, Simple, SourceLimits, SourceTerms, Terms, Verdict,
    /// # };
    /// let now = Instant::ZERO;
    /// let mut limits = Limits::default();
    /// limits.sources = SourceLimits::new(1);
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(limits, now)?;
    /// let source = processor.open_source(now, &SourceTerms::new(10))?;
    ///
    /// let room = processor.begin_pull(now, source).ok_or("there is room")?;
    /// assert_eq!(room.get(), 10); // now ask the engine for as much; one comes
    /// let arrival = processor.deliver(now, source, Delivery::new("job", (), 1), &Terms::new());
    /// let Arrival::Admitted { delivery, .. } = arrival else { return Err("it is admitted".into()) };
    /// processor.end_pull(now, source);
    ///
    /// let start = processor.start_next(now).ok_or("it is queued")?;
    /// processor.completed(now, start.attempt, 1)?;
    /// assert_eq!(processor.next_verdict(now, source), Some((delivery, Verdict::Done))); // tell the engine
    /// processor.confirmed(now, delivery); // it has confirmed that
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OpenRefusal`].
    pub fn open_source(&mut self, now: Instant, terms: &SourceTerms) -> Result<SourceId, OpenRefusal> {
        self.observe_time(now);
        if !self.is_open() {
            return Err(OpenRefusal::Closed);
        }
        if self.limits.sources.sources == 0 {
            return Err(OpenRefusal::NoSources);
        }
        let id = self.sources.open(terms).map_err(|()| OpenRefusal::Credit)?.ok_or(OpenRefusal::Full)?;
        Ok(id)
    }

    /// Begins a pull: the places for as many deliveries as are returned are set aside, until they are taken or
    /// [`end_pull`](Self::end_pull) gives the rest back. `None` if there is no room, a pull is under way already, the engine
    /// is left alone after an error, the machine is draining, or there is no such source.
    ///
    /// May change: nothing else.
    pub fn begin_pull(&mut self, now: Instant, source: SourceId) -> Option<NonZeroU32> {
        self.observe_time(now);
        if !self.is_open() {
            return None;
        }
        self.sources.begin_pull(source)
    }

    /// Lets no further pull begin: the source has come to its end, or is wanted no longer. What it has delivered goes on. When
    /// all of that is confirmed, [`is_source_over`](Self::is_source_over) says so. Returns whether there is such a source that
    /// was still to be pulled from.
    ///
    /// May change: effects.
    pub fn stop_pulling(&mut self, now: Instant, source: SourceId) -> bool {
        self.observe_time(now);
        self.sources.finish_pulling(source)
    }

    /// The pull under way has ended well, whatever it has brought. Returns whether there was one.
    ///
    /// May change: effects, events.
    pub fn end_pull(&mut self, now: Instant, source: SourceId) -> bool {
        self.observe_time(now);
        self.sources.worked(source);
        self.finish_pull(source)
    }

    fn finish_pull(&mut self, source: SourceId) -> bool {
        let Some((deliveries, redelivered)) = self.sources.end_pull(source) else { return false };
        if deliveries > 0 {
            self.publish(|| Event::Pulled { source, deliveries, redelivered });
        }
        true
    }

    /// The next verdict for the engine of a source. The host tells it, and then calls [`confirmed`](Self::confirmed), or
    /// [`unconfirmed`](Self::unconfirmed) if the engine could not be told. `None` if none is owed, or the engine is left alone
    /// after an error.
    ///
    /// May change: nothing else.
    pub fn next_verdict(&mut self, now: Instant, source: SourceId) -> Option<(DeliveryId, Verdict)> {
        self.observe_time(now);
        self.sources.next_verdict(source)
    }

    /// The engine has confirmed the verdict of a delivery, if only by saying that it does not know of the delivery any more.
    /// Returns whether the host had a verdict for it.
    ///
    /// May change: effects.
    pub fn confirmed(&mut self, now: Instant, delivery: DeliveryId) -> bool {
        self.observe_time(now);
        let was_waited_for = self.sources.confirm(delivery);
        self.totals.confirmed = self.totals.confirmed.wrapping_add(u64::from(was_waited_for));
        was_waited_for
    }

    /// The engine has not confirmed the verdict of a delivery: it is owed again. Returns whether the host had one for it.
    ///
    /// May change: effects.
    pub fn unconfirmed(&mut self, now: Instant, delivery: DeliveryId) -> bool {
        self.observe_time(now);
        self.sources.owe_again(delivery)
    }

    /// So many of the verdicts that a source has confirmed were of no effect: the engine had given these deliveries to
    /// somebody else, because their lease had run out. Returns whether there is such a source.
    ///
    /// May change: totals, events.
    pub fn stale(&mut self, now: Instant, source: SourceId, count: u32) -> bool {
        self.observe_time(now);
        let exists = self.sources.view(source).is_some();
        if exists && count > 0 {
            self.totals.stale = self.totals.stale.wrapping_add(u64::from(count));
            self.publish(|| Event::Stale { source, count });
        }
        exists
    }

    /// The next delivery whose lease has to be renewed now. `None` until the next third of the lease has passed. Each
    /// delivery comes once in a third: those whose task is not settled, and no others.
    ///
    /// May change: nothing else.
    pub fn next_renewal(&mut self, now: Instant, source: SourceId) -> Option<DeliveryId> {
        self.observe_time(now);
        self.sources.next_renewal(source)
    }

    /// The engine of a source has failed at this. That is the last error from now on. After a pull or a verdict the engine is
    /// left alone for a time, which is returned: there is nothing to pull and no verdict until then. A pull that has failed
    /// is over. `None` if nothing is held back: a renewal has failed, and the next one comes at its time; or there is no such
    /// source.
    ///
    /// May change: [`next_wake`](Self::next_wake), the last error, totals, effects, events.
    pub fn source_failed(
        &mut self,
        now: Instant,
        source: SourceId,
        operation: Operation,
        message: &Message,
    ) -> Option<Duration> {
        let now = self.observe_time(now);
        self.sources.view(source)?;
        if operation == Operation::Pull {
            self.finish_pull(source);
        }
        self.totals.source_errors = self.totals.source_errors.wrapping_add(1);
        self.note_error(ErrorKind::Source, Whose::Source(source), message);
        self.publish(|| Event::SourceFailed { source, operation });
        if operation == Operation::Renew {
            return None;
        }
        let delay = self.sources.fail(source, now, &mut self.rng);
        self.arm_source(self.sources.index_of(source));
        delay
    }

    /// Leaves a waiter for a source with nothing to do. It is woken when there is something: room for a pull, a verdict (unless
    /// the host has some that are not confirmed: it looks for more when it has told those), a renewal, or the end of the
    /// source. The waiter that it replaces is handed back.
    ///
    /// May change: nothing else. The waiter leaves by an effect.
    ///
    /// # Errors
    /// The waiter, if there is something to do now, or no such source.
    pub fn wait_source(
        &mut self,
        source: SourceId,
        waiter: P::Waiter,
    ) -> Result<Option<P::Waiter>, P::Waiter> {
        let opens = self.is_open();
        self.sources.wait(source, waiter, opens)
    }

    /// Whether there is nothing to do for a source any more: the machine drains or the source has been
    /// [stopped](Self::stop_pulling), no pull is under way, and every verdict is confirmed; or there is no such source.
    #[must_use]
    pub fn is_source_over(&self, source: SourceId) -> bool {
        self.sources.is_over(source, self.is_open())
    }

    /// A source in numbers. `None` if there is no such source.
    #[must_use]
    pub fn source(&self, source: SourceId) -> Option<SourceView> {
        self.sources.view(source)
    }

    /// Closes a source: nobody serves it any more. Its tasks go on, and their verdicts are given up: the engine will deliver
    /// again what it has not heard of. Its waiter is handed out. `None` if there is no such source.
    ///
    /// Verdicts that are owed already are given up by [`give_up`](Self::give_up), to be called next.
    ///
    /// May change: nothing else.
    pub fn close_source(&mut self, now: Instant, source: SourceId) -> Option<Option<P::Waiter>> {
        self.observe_time(now);
        let index = self.sources.index_of(source);
        let waiter = self.sources.close(source)?;
        self.deadlines.clear(Owner::Source(index));
        Some(waiter)
    }

    /// Gives up verdicts of a closed source, at most as many as the budget. Returns whether none is left. O(budget).
    ///
    /// May change: nothing else.
    pub fn give_up(&mut self, source: SourceId, budget: u32) -> bool {
        (0..budget).any(|_| !self.sources.give_up(source))
    }

    /// The timer of the source in slot `index` has fired.
    pub(super) fn fire_source(&mut self, index: u32) {
        self.sources.look(index, self.now);
        self.arm_source(index);
    }

    /// Sets the timer of the source in slot `index` to when it is to be looked at next.
    pub(super) fn arm_source(&mut self, index: u32) {
        match self.sources.look_at(index) {
            Some(at) => self.deadlines.set(Owner::Source(index), at),
            None => self.deadlines.clear(Owner::Source(index)),
        }
    }
}
