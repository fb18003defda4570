//! Sources, their pulls and their engines.

use core::num::NonZeroU32;
use core::time::Duration;

use super::comparison::Comparison;
use super::inlet::{Held, OF_SOURCES, Pull, Source};
use super::{Model, Owner, one};
use crate::testkit::calls::effects::Done;
use crate::testkit::calls::sources::{Answer, Call};
use crate::testkit::flaws::{Class, Flaw};
use crate::testkit::token::Kit;
use crate::{
    ErrorKind, Event, Message, OpenRefusal, Operation, Phase, Processor, SourceId, SourceTerms, SourceView,
};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Open { terms, .. } => model.open_source(terms, given),
            Self::BeginPull { source, .. } => Answer::Room(model.begin_pull(source)),
            Self::EndPull { source, .. } => {
                if let Some(source) = model.inlet.source(source) {
                    source.failures = 0;
                }
                Answer::Was(model.end_pull(source))
            }
            Self::StopPulling { source, .. } => Answer::Was(model.stop_pulling(source)),
            Self::Deliver { source, offer, deliveries, .. } => {
                Answer::Arrived(model.deliver(source, offer, deliveries, given))
            }
            Self::Bury { source, deliveries, text, .. } => {
                Answer::Buried(model.bury(source, deliveries, text, given))
            }
            Self::NextVerdict { source, .. } => Answer::Verdict(model.next_verdict(source)),
            Self::Confirmed { delivery, .. } => Answer::Was(model.confirmed(delivery)),
            Self::Unconfirmed { delivery, .. } => Answer::Was(model.unconfirmed(delivery)),
            Self::Stale { source, count, .. } => Answer::Was(model.stale(source, count)),
            Self::NextRenewal { source, .. } => Answer::Renewal(model.next_renewal(source)),
            Self::Failed { source, operation, text, .. } => {
                Answer::LeftAlone(model.source_failed(source, operation, text))
            }
            Self::Wait { source, waiter } => Answer::Waits(model.wait_source(source, waiter)),
            Self::Close { source, .. } => Answer::Closed(model.close_source(source)),
            Self::GiveUp { source, budget } => {
                Answer::Was((0..budget).any(|_| !model.give_up_verdict(source)))
            }
        }
    }
}

impl Model {
    fn open_source(&mut self, terms: SourceTerms, given: &Answer) -> Answer {
        let used: u32 = self.inlet.sources.iter().map(|source| source.terms.credit).sum();
        let refusal = if self.phase != Phase::Open {
            OpenRefusal::Closed
        } else if self.limits.sources.sources == 0 {
            OpenRefusal::NoSources
        } else if used + terms.credit > self.limits.credit() {
            OpenRefusal::Credit
        } else if self.inlet.len() >= self.most(self.limits.sources.sources, Class::Sources) {
            OpenRefusal::Full
        } else if let Answer::Source(Ok(id)) = *given {
            if self.inlet.sources.iter().any(|source| source.id == id) {
                self.complain("a source's id was given out twice");
            }
            let slot = self.inlet.take_slot(OF_SOURCES);
            self.inlet.sources.push(Source {
                id,
                slot,
                terms,
                waiter: None,
                pull: None,
                failures: 0,
                down_until: None,
                renew_at: None,
                is_renewing: false,
                is_finished: false,
                is_closed: false,
            });
            return Answer::Source(Ok(id));
        } else {
            self.complain("there is room for a source, and it was refused");
            return *given;
        };
        Answer::Source(Err(refusal))
    }

    /// The room for a pull.
    fn room_to_pull(&self, id: SourceId) -> Option<NonZeroU32> {
        let source = self.inlet.sources.iter().find(|source| source.id == id && !source.is_closed)?;
        let is_over = self.phase != Phase::Open || source.is_finished;
        if is_over || source.pull.is_some() || source.down_until.is_some() {
            return None;
        }
        let held = match self.has(Flaw::ForgetsUnconfirmed) {
            true => self.inlet.count(id, |delivery| delivery.stage == Held::Unsettled),
            false => self.inlet.count(id, |_| true),
        };
        NonZeroU32::new(source.terms.credit.saturating_sub(held))
    }

    fn begin_pull(&mut self, id: SourceId) -> Option<NonZeroU32> {
        let room = self.room_to_pull(id)?;
        self.inlet.source(id)?.pull = Some(Pull { room: room.get(), delivered: 0, redelivered: 0 });
        Some(room)
    }

    fn stop_pulling(&mut self, id: SourceId) -> bool {
        let Some(source) = self.inlet.source(id).filter(|source| !source.is_finished) else { return false };
        source.is_finished = true;
        self.wake_source(id);
        true
    }

    fn end_pull(&mut self, id: SourceId) -> bool {
        let Some(pull) = self.inlet.source(id).and_then(|source| source.pull.take()) else { return false };
        self.wake_source(id);
        let Pull { delivered: deliveries, redelivered, .. } = pull;
        if deliveries > 0 {
            self.publish(|_| Event::Pulled { source: id, deliveries, redelivered });
        }
        true
    }

    pub(super) fn wake_source(&mut self, id: SourceId) {
        let waits = self.inlet.sources.iter().any(|source| source.id == id && source.waiter.is_some());
        if waits && !self.inlet.to_wake.contains(&id) {
            self.inlet.to_wake.push_back(id);
        }
    }

    pub(super) fn wake_all_sources(&mut self) {
        self.inlet.by_slot().into_iter().for_each(|id| self.wake_source(id));
    }

    pub(super) fn take_source_wake(&mut self) -> Option<Done> {
        let id = self.inlet.to_wake.pop_front()?;
        let source = self.inlet.sources.iter_mut().find(|source| source.id == id)?;
        source.waiter.take().map(Done::Wake)
    }

    pub(super) fn forget_if_closed(&mut self, id: SourceId) {
        let is_closed = self.inlet.sources.iter().any(|source| source.id == id && source.is_closed);
        if is_closed && self.inlet.count(id, |_| true) == 0 {
            self.forget_source(id);
        }
    }

    fn forget_source(&mut self, id: SourceId) {
        let Some(at) = self.inlet.sources.iter().position(|source| source.id == id) else { return };
        let Source { slot, .. } = self.inlet.sources.remove(at);
        self.inlet.give_slot_back(OF_SOURCES, slot);
        self.inlet.to_wake.retain(|other| *other != id);
        self.disarm(Owner::Source(id));
    }

    fn stale(&mut self, id: SourceId, count: u32) -> bool {
        let exists = self.inlet.source(id).is_some();
        if exists && count > 0 {
            self.totals.stale += u64::from(count);
            self.publish(|_| Event::Stale { source: id, count });
        }
        exists
    }

    fn source_failed(&mut self, id: SourceId, operation: Operation, text: u32) -> Option<Duration> {
        self.inlet.source(id)?;
        if operation == Operation::Pull {
            self.end_pull(id);
        }
        one(&mut self.totals.source_errors);
        self.source_error(id, Message::of(&text));
        self.publish(|_| Event::SourceFailed { source: id, operation });
        if operation == Operation::Renew {
            return None;
        }
        let now = self.now;
        let source = self.inlet.sources.iter_mut().find(|source| source.id == id)?;
        source.failures = source.failures.saturating_add(1);
        let (terms, failures) = (source.terms, source.failures);
        let delay = terms.backoff.delay(failures, terms.jitter, &mut self.rng);
        source.down_until = Some(now.saturating_add(delay));
        self.arm_source(id);
        Some(delay)
    }

    fn source_error(&mut self, id: SourceId, message: Message) {
        self.error(ErrorKind::Source, None, None, 0, message);
        if let Some(error) = &mut self.last_error {
            error.source = Some(id);
        }
    }

    pub(super) fn arm_source(&mut self, id: SourceId) {
        self.timers.disarm(Owner::Source(id));
        let Some(source) = self.inlet.source(id) else { return };
        let at = [source.down_until, source.renew_at].into_iter().flatten().min();
        self.arm(at, Owner::Source(id));
    }

    pub(super) fn fire_source(&mut self, id: SourceId) {
        let (now, held) = (self.now, self.inlet.first(id, Held::Unsettled).is_some());
        let Some(source) = self.inlet.source(id) else { return };
        source.down_until = source.down_until.filter(|until| *until > now);
        if source.renew_at.is_some_and(|at| at <= now) {
            source.renew_at = source.next_round(now).filter(|_| held);
            source.is_renewing = held;
            let of_source = self.inlet.deliveries.iter_mut().filter(|delivery| delivery.source == id);
            of_source.for_each(|delivery| delivery.is_renewed = false);
        }
        self.wake_source(id);
        self.arm_source(id);
    }

    /// Whether the host of a source has something to do.
    fn source_has_work(&self, source: &Source) -> bool {
        let owes = self.inlet.first(source.id, Held::Owed).is_some();
        let is_over = source.pull.is_none() && self.inlet.unconfirmed_of(source.id) == 0;
        source.is_renewing
            || (owes && self.inlet.first(source.id, Held::Leaving).is_none() && source.down_until.is_none())
            || self.room_to_pull(source.id).is_some()
            || ((self.phase != Phase::Open || source.is_finished) && is_over)
    }

    fn wait_source(&mut self, id: SourceId, waiter: u32) -> Result<Option<u32>, u32> {
        let open = self.inlet.sources.iter().find(|source| source.id == id && !source.is_closed);
        if open.is_none_or(|source| self.source_has_work(source)) {
            return Err(waiter);
        }
        Ok(self.inlet.source(id).and_then(|source| source.waiter.replace(waiter)))
    }

    fn close_source(&mut self, id: SourceId) -> Option<Option<u32>> {
        // It ends the pull without a word.
        let source = self.inlet.source(id)?;
        source.pull = None;
        source.is_closed = true;
        let waiter = source.waiter.take();
        self.inlet.to_wake.retain(|other| *other != id);
        self.disarm(Owner::Source(id));
        self.forget_if_closed(id);
        Some(waiter)
    }

    /// Gives up one verdict of a closed source. Whether there was one.
    fn give_up_verdict(&mut self, id: SourceId) -> bool {
        if !self.inlet.sources.iter().any(|source| source.id == id && source.is_closed) {
            return false;
        }
        let next = self.inlet.first(id, Held::Owed).or_else(|| self.inlet.first(id, Held::Leaving));
        next.map(|delivery| self.finish_delivery(delivery)).is_some()
    }

    /// The end removes the sources. Returns the next waiter to wake.
    pub(super) fn end_sources(&mut self) -> Option<Done> {
        while let Some(id) = self.inlet.by_slot().first().copied() {
            self.remains.sources += 1;
            let source = self.inlet.sources.iter().find(|source| source.id == id);
            let waiter = source.and_then(|source| source.waiter);
            self.forget_source(id);
            if let Some(waiter) = waiter {
                return Some(Done::Wake(waiter));
            }
        }
        None
    }

    pub(super) fn compare_sources(&self, machine: &Processor<Kit>, found: &mut Comparison) {
        for source in &self.inlet.sources {
            let id = source.id;
            let count = |stage| self.inlet.count(id, |delivery| delivery.stage == stage);
            let view = SourceView {
                credit: source.terms.credit,
                pulling: source.pull.as_ref().map(|pull| pull.room),
                held: count(Held::Unsettled),
                owed: count(Held::Owed),
                leaving: count(Held::Leaving),
                resting: count(Held::Confirmed),
                failures: source.failures,
                is_down: source.down_until.is_some(),
            };
            let is_over = (self.phase != Phase::Open || source.is_finished)
                && source.pull.is_none()
                && self.inlet.unconfirmed_of(id) == 0;
            found.of("source", &(!source.is_closed).then_some(view), &machine.source(id));
            found.of("source is over", &(source.is_closed || is_over), &machine.is_source_over(id));
            let waits = source.waiter.is_some() && !self.inlet.to_wake.contains(&id);
            found.of("a source waits in vain", &false, &(waits && self.source_has_work(source)));
            let most = source.terms.credit;
            let all = self.inlet.count(id, |_| true) + source.pull.as_ref().map_or(0, |pull| pull.room);
            found.of("no more than the credit", &true, &(all <= most));
            let stranger = SourceId::from_bits(super::getters::strange(id.to_bits()));
            found.of("a strange source", &None, &stranger.and_then(|id| machine.source(id)));
        }
    }
}
