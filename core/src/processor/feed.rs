//! Sources: attach, feed, detach.

use super::Processor;
use crate::effect::{Detached, Fed, Guard};
use crate::last_error::ErrorKind;
use crate::{
    AttachRefusal, Event, FeedRefusal, Instant, Message, Offer, Plan, Refusal, Refused, SourceId, TaskId,
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
    /// Attaches a source: the machine keeps its three registrations from now on.
    ///
    /// May change: nothing else.
    ///
    /// # Errors
    /// [`AttachRefusal`] with the guard.
    pub fn attach(
        &mut self,
        now: Instant,
        guard: Guard<P::Listener>,
    ) -> Result<SourceId, Refused<Guard<P::Listener>, AttachRefusal>> {
        self.observe_time(now);
        if !self.is_open() {
            return Err(Refused::new(AttachRefusal::Closed, guard));
        }
        let full = |guard| Refused::new(AttachRefusal::Full, guard);
        let source = self.sources.attach(guard).map_err(full)?;
        for _ in 0..3 {
            self.ledger.listeners.enter();
        }
        self.publish(|| Event::Attached { source });
        Ok(source)
    }

    /// Detaches a source and hands out its registrations. `None` if it is not attached.
    ///
    /// May change: nothing else.
    pub fn detach(&mut self, now: Instant, source: SourceId) -> Option<Detached<P::Listener>> {
        self.observe_time(now);
        let detached = self.sources.detach(source);
        detached.inspect(|_| self.note_detached(source))
    }

    pub(super) fn note_detached(&mut self, source: SourceId) {
        for _ in 0..3 {
            self.ledger.listeners.leave();
        }
        self.publish(|| Event::Detached { source });
    }

    /// Submits a task from a source. Like [`submit`](Self::submit), and counted for the source.
    ///
    /// May change: as [`submit`](Self::submit), and what the source has fed.
    ///
    /// # Errors
    /// [`FeedRefusal`] with the offer. A task from a source that is not attached counts as neither offered nor refused.
    pub fn feed(
        &mut self,
        now: Instant,
        source: SourceId,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>, FeedRefusal>> {
        if self.sources.fed(source).is_none() {
            self.observe_time(now);
            return Err(Refused::new(FeedRefusal::Detached, offer));
        }
        let result = self.submit(now, offer, terms);
        if let Some(fed) = self.sources.fed_mut(source) {
            let count = if result.is_ok() { &mut fed.admitted } else { &mut fed.refused };
            *count = count.wrapping_add(1);
        }
        result.map_err(|refused| refused.because(FeedRefusal::Task))
    }

    /// Submits the tasks of `batch`, in order, and takes the admitted ones out. A task that is refused for its own
    /// terms stays in its place. The first task without room stays too, with all tasks behind it. All tasks that stay
    /// count as refused; those behind the first task without room are not looked at and give no event. O(batch).
    ///
    /// May change: as [`submit`](Self::submit), and what the source has fed.
    pub fn feed_batch(
        &mut self,
        now: Instant,
        source: SourceId,
        batch: &mut [Option<(Offer<P>, Terms)>],
    ) -> Batch {
        let mut answer = Batch { admitted: 0, refused: None };
        let mut places = batch.iter_mut();
        while let Some(place) = places.next() {
            let Some((offer, terms)) = place.take() else { continue };
            let (reason, value) = match self.feed(now, source, offer, &terms) {
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
                self.refuse_behind(source, behind);
                break;
            }
        }
        answer
    }

    /// Counts the tasks of a batch behind the first one without room as refused.
    fn refuse_behind(&mut self, source: SourceId, behind: u64) {
        if let Some(fed) = self.sources.fed_mut(source) {
            fed.refused = fed.refused.wrapping_add(behind);
            self.totals.offered = self.totals.offered.wrapping_add(behind);
            self.totals.refused = self.totals.refused.wrapping_add(behind);
        }
    }

    /// Records an error of a source as the last error. Returns `false`, and records nothing, if the source is not
    /// attached.
    ///
    /// May change: the last error, totals, events.
    pub fn feed_error(&mut self, now: Instant, source: SourceId, message: Message) -> bool {
        self.observe_time(now);
        let Some(fed) = self.sources.fed_mut(source) else { return false };
        fed.errors = fed.errors.wrapping_add(1);
        self.totals.source_errors = self.totals.source_errors.wrapping_add(1);
        self.note_error(ErrorKind::Source, (None, Some(source)), 0, None, &message);
        self.publish(|| Event::SourceFailed { source });
        true
    }

    /// What a source has fed so far. `None` if it is not attached.
    #[must_use]
    pub fn source_fed(&self, source: SourceId) -> Option<Fed> {
        self.sources.fed(source)
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
