//! Emitters: attach, feed, detach.

use super::Processor;
use crate::effect::{Detached, Fed, Guard};
use crate::last_error::{ErrorKind, Whose};
use crate::{
    AttachRefusal, EmitterId, Event, FeedRefusal, Instant, Message, Offer, Plan, Refusal, Refused, TaskId,
    Terms,
};

/// The answer of [`Processor::feed_batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not admitted is still in the slice"]
#[non_exhaustive]
pub struct Batch {
    /// How many tasks were taken out of the slice and admitted.
    pub admitted: u32,
    /// Why the first task that is left in the slice was refused.
    pub refused: Option<FeedRefusal>,
}

impl<P: Plan> Processor<P> {
    /// Attaches an emitter: the machine keeps its three registrations from now on.
    ///
    /// May change: nothing else.
    ///
    /// ```
    /// # use plimsoll_core::{Guard, Instant, Limits, Offer, Processor, Simple, Terms};
    /// let now = Instant::ZERO;
    /// let mut processor = Processor::<Simple<&str, usize, &str>>::new(Limits::default(), now)?;
    /// let emitter = processor.attach(now, Guard { task: (), batch: (), error: () })?; // three registrations
    /// processor.feed(now, emitter, Offer::new("job", ()), &Terms::new())?;
    /// let detached = processor.detach(now, emitter).ok_or("it is attached")?;
    /// assert_eq!(detached.fed.admitted, 1); // and its three registrations are yours again
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`AttachRefusal`] with the guard.
    pub fn attach(
        &mut self,
        now: Instant,
        guard: Guard<P::Listener>,
    ) -> Result<EmitterId, Refused<Guard<P::Listener>, AttachRefusal>> {
        self.observe_time(now);
        if !self.is_open() {
            return Err(Refused::new(AttachRefusal::Closed, guard));
        }
        let full = |guard| Refused::new(AttachRefusal::Full, guard);
        let emitter = self.emitters.attach(guard).map_err(full)?;
        for _ in 0..3 {
            self.ledger.listeners.enter();
        }
        self.publish(|| Event::Attached { emitter });
        Ok(emitter)
    }

    /// Detaches an emitter and hands out its registrations. `None` if it is not attached.
    ///
    /// May change: nothing else.
    pub fn detach(&mut self, now: Instant, emitter: EmitterId) -> Option<Detached<P::Listener>> {
        self.observe_time(now);
        let detached = self.emitters.detach(emitter);
        detached.inspect(|_| self.note_detached(emitter))
    }

    pub(super) fn note_detached(&mut self, emitter: EmitterId) {
        for _ in 0..3 {
            self.ledger.listeners.leave();
        }
        self.publish(|| Event::Detached { emitter });
    }

    /// Submits a task from an emitter. Like [`submit`](Self::submit), and counted for the emitter.
    ///
    /// May change: as [`submit`](Self::submit), and what the emitter has fed.
    ///
    /// # Errors
    /// [`FeedRefusal`] with the offer. A task from an emitter that is not attached counts as neither offered nor refused.
    pub fn feed(
        &mut self,
        now: Instant,
        emitter: EmitterId,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>, FeedRefusal>> {
        if self.emitters.fed(emitter).is_none() {
            self.observe_time(now);
            return Err(Refused::new(FeedRefusal::Detached, offer));
        }
        let result = self.submit(now, offer, terms);
        if let Some(fed) = self.emitters.fed_mut(emitter) {
            let count = if result.is_ok() { &mut fed.admitted } else { &mut fed.refused };
            *count = count.wrapping_add(1);
        }
        result.map_err(|refused| refused.because(FeedRefusal::Task))
    }

    /// Submits the tasks of `batch`, in order, and takes the admitted ones out. A task that is refused for its own
    /// terms stays in its place. The first task without room stays too, with all tasks behind it. All tasks that stay
    /// count as refused; those behind the first task without room are not looked at and give no event. O(batch).
    ///
    /// May change: as [`submit`](Self::submit), and what the emitter has fed.
    pub fn feed_batch(
        &mut self,
        now: Instant,
        emitter: EmitterId,
        batch: &mut [Option<(Offer<P>, Terms)>],
    ) -> Batch {
        let mut answer = Batch { admitted: 0, refused: None };
        let mut places = batch.iter_mut();
        while let Some(place) = places.next() {
            let Some((offer, terms)) = place.take() else { continue };
            let (reason, value) = match self.feed(now, emitter, offer, &terms) {
                Ok(_) => {
                    answer.admitted += 1;
                    continue;
                }
                Err(refused) => refused.into_parts(),
            };
            *place = Some((value, terms));
            answer.refused = answer.refused.or(Some(reason));
            if stops_a_batch(reason) {
                let behind = places.fold(0, |count, place| count + u64::from(place.is_some()));
                self.refuse_behind(emitter, reason, behind);
                break;
            }
        }
        answer
    }

    /// Counts the tasks of a batch behind the first one without room as refused, for the same reason.
    fn refuse_behind(&mut self, emitter: EmitterId, reason: FeedRefusal, behind: u64) {
        if let Some(fed) = self.emitters.fed_mut(emitter) {
            fed.refused = fed.refused.wrapping_add(behind);
            self.totals.offered = self.totals.offered.wrapping_add(behind);
            self.totals.refused = self.totals.refused.wrapping_add(behind);
            if let FeedRefusal::Task(reason) = reason {
                self.refusals.add(reason, behind);
            }
        }
    }

    /// Records an error of an emitter as the last error. Returns `false`, and records nothing, if the emitter is not
    /// attached.
    ///
    /// May change: the last error, totals, events.
    pub fn feed_error(&mut self, now: Instant, emitter: EmitterId, message: Message) -> bool {
        self.observe_time(now);
        let Some(fed) = self.emitters.fed_mut(emitter) else { return false };
        fed.errors = fed.errors.wrapping_add(1);
        self.totals.emitter_errors = self.totals.emitter_errors.wrapping_add(1);
        self.note_error(ErrorKind::Emitter, Whose::Emitter(emitter), &message);
        self.publish(|| Event::EmitterFailed { emitter });
        true
    }

    /// What an emitter has fed so far. `None` if it is not attached.
    #[must_use]
    pub fn emitter_fed(&self, emitter: EmitterId) -> Option<Fed> {
        self.emitters.fed(emitter)
    }
}

/// Whether this reason would refuse the tasks behind, too.
const fn stops_a_batch(reason: FeedRefusal) -> bool {
    !matches!(
        reason,
        FeedRefusal::Task(
            Refusal::Attempts
                | Refusal::NotRetained
                | Refusal::Unclaimed
                | Refusal::Delayed
                | Refusal::NotMonitored
                | Refusal::Lanes
                | Refusal::LaneFull
                | Refusal::Duplicate
                | Refusal::NotDeduplicated
        )
    )
}
