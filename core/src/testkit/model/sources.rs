//! Sources and their deliveries.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use super::comparison::Comparison;
use super::{Model, Owner, after, one, size};
use crate::testkit::calls::effects::Done;
use crate::testkit::calls::sources::{Answer, Arrived, Call};
use crate::testkit::calls::submissions::Offer;
use crate::testkit::flaws::{Class, Flaw};
use crate::testkit::token::Kit;
use crate::{
    CancelReason, Death, DeliveryId, ErrorKind, Event, Instant, Message, OpenRefusal, Operation, OutcomeKind,
    Phase, Processor, Refusal, SourceId, SourceTerms, SourceView, Verdict,
};

/// All sources, and all deliveries that take a place.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    sources: Vec<Source>,
    deliveries: Vec<Delivery>,
    /// Sources whose waiter is to be woken.
    to_wake: VecDeque<SourceId>,
    /// Free slots of deliveries and of sources, each with the one freed last at the end, and the numbers of slots ever used.
    free_slots: [Vec<u32>; 2],
    fresh_slot: [u32; 2],
    /// How often a delivery has come to another stage.
    moves: u64,
    /// While a drain hands back: the next slot.
    pub(super) handing_back: Option<u32>,
}

#[derive(Debug)]
struct Source {
    id: SourceId,
    slot: u32,
    terms: SourceTerms,
    waiter: Option<u32>,
    pull: Option<Pull>,
    failures: u32,
    down_until: Option<Instant>,
    renew_at: Option<Instant>,
    is_renewing: bool,
    is_finished: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Pull {
    room: u32,
    delivered: u32,
    redelivered: u32,
}

#[derive(Debug)]
struct Delivery {
    id: DeliveryId,
    source: SourceId,
    slot: u32,
    /// Its place among all that ever came to a stage.
    place: u64,
    stage: Held,
    /// The metadata of its task, as long as that has a slot.
    task: Option<u32>,
    /// Whether it was renewed in the round under way, or came later.
    is_renewed: bool,
    verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Unsettled,
    Owed,
    Leaving,
    Confirmed,
}

const HANDED_BACK: Verdict = Verdict::Again { after: Duration::ZERO, counted: false };

/// The kinds of slots.
const OF_DELIVERIES: usize = 0;
const OF_SOURCES: usize = 1;

impl Inlet {
    fn take_slot(&mut self, kind: usize) -> u32 {
        let (Some(free), Some(fresh)) = (self.free_slots.get_mut(kind), self.fresh_slot.get_mut(kind)) else {
            return 0;
        };
        free.pop().unwrap_or_else(|| core::mem::replace(fresh, *fresh + 1))
    }

    fn give_slot_back(&mut self, kind: usize, slot: u32) {
        self.free_slots.get_mut(kind).into_iter().for_each(|free| free.push(slot));
    }

    /// All sources, by slot.
    fn by_slot(&self) -> Vec<SourceId> {
        let mut all: Vec<_> = self.sources.iter().map(|source| (source.slot, source.id)).collect();
        all.sort_unstable_by_key(|(slot, _)| *slot);
        all.into_iter().map(|(_, id)| id).collect()
    }

    fn next_place(&mut self) -> u64 {
        self.moves += 1;
        self.moves
    }

    fn source(&mut self, id: SourceId) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.id == id && !source.is_closed)
    }

    fn delivery(&mut self, id: DeliveryId) -> Option<&mut Delivery> {
        self.deliveries.iter_mut().find(|delivery| delivery.id == id)
    }

    fn count(&self, source: SourceId, which: impl Fn(&Delivery) -> bool) -> u32 {
        size(self.deliveries.iter().filter(|delivery| delivery.source == source && which(delivery)))
    }

    fn unconfirmed_of(&self, source: SourceId) -> u32 {
        self.count(source, |delivery| delivery.stage != Held::Confirmed)
    }

    /// The oldest delivery of a source in this stage.
    fn first(&self, source: SourceId, stage: Held) -> Option<DeliveryId> {
        let of_source = self.deliveries.iter().filter(|other| other.source == source && other.stage == stage);
        of_source.min_by_key(|delivery| delivery.place).map(|delivery| delivery.id)
    }

    pub(super) fn len(&self) -> u32 {
        size(self.sources.iter())
    }

    pub(super) fn deliveries(&self) -> u32 {
        size(self.deliveries.iter())
    }

    pub(super) fn pulling(&self) -> u32 {
        self.sources.iter().filter_map(|source| source.pull.as_ref()).map(|pull| pull.room).sum()
    }

    pub(super) fn unconfirmed(&self) -> u32 {
        size(self.deliveries.iter().filter(|delivery| delivery.stage != Held::Confirmed))
    }

    pub(super) fn down(&self) -> u32 {
        size(self.sources.iter().filter(|source| source.down_until.is_some()))
    }

    /// Deliveries whose task has a slot.
    pub(super) fn with_task(&self) -> u32 {
        size(self.deliveries.iter().filter(|delivery| delivery.task.is_some()))
    }

    /// Deliveries whose task is not settled.
    pub(super) fn unsettled(&self) -> u32 {
        let is_unsettled =
            |delivery: &&Delivery| delivery.task.is_some() && delivery.stage == Held::Unsettled;
        size(self.deliveries.iter().filter(is_unsettled))
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unconfirmed() == 0 && self.sources.iter().all(|source| source.pull.is_none())
    }

    pub(super) fn has_wake(&self) -> bool {
        !self.to_wake.is_empty()
    }
}

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

    fn wake_source(&mut self, id: SourceId) {
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

    /// Gives a delivery a place, if there is one.
    fn admit_delivery(
        &mut self,
        id: SourceId,
        deliveries: u32,
        given: Option<DeliveryId>,
    ) -> Option<DeliveryId> {
        let takes_any = !self.ending;
        let pull = self.inlet.source(id)?.pull.as_mut().filter(|pull| pull.room > 0 && takes_any)?;
        pull.room -= 1;
        pull.delivered += 1;
        pull.redelivered += u32::from(deliveries > 1);
        one(&mut self.totals.pulled);
        self.totals.redelivered += u64::from(deliveries > 1);
        let Some(delivery) = given else {
            self.complain("there was a place for a delivery, and it was refused");
            return None;
        };
        if self.inlet.delivery(delivery).is_some() {
            self.complain("a delivery's id was given out twice");
        }
        let slot = self.inlet.take_slot(OF_DELIVERIES);
        let place = self.inlet.next_place();
        self.inlet.deliveries.push(Delivery {
            id: delivery,
            source: id,
            slot,
            place,
            stage: Held::Unsettled,
            task: None,
            is_renewed: true,
            verdict: None,
        });
        Some(delivery)
    }

    fn deliver(&mut self, source: SourceId, offer: Offer, deliveries: u32, given: &Answer) -> Arrived {
        let (given, given_task) = match *given {
            Answer::Arrived(Arrived::Admitted { delivery, task }) => (Some(delivery), Some(task)),
            Answer::Arrived(Arrived::Judged { delivery, .. }) => (Some(delivery), None),
            _ => (None, None),
        };
        let Some(delivery) = self.admit_delivery(source, deliveries, given) else {
            return Arrived::Refused(offer.job);
        };
        let most = self.inlet.source(source).map_or(0, |source| source.terms.deliveries);
        if deliveries.max(1) > most {
            self.judge_delivery(
                delivery,
                Verdict::Dead { why: Death::TooOften, message: Message::default() },
            );
            return Arrived::Judged { delivery, reason: None, back: offer.job };
        }
        one(&mut self.totals.offered);
        if let Some(reason) = self.arrival_refusal(offer) {
            self.refuse(offer.meta, reason);
            let known = offer.order.unique().is_some_and(|unique| self.has_task_with_key(unique.key()));
            let verdict = match reason {
                Refusal::Closed => HANDED_BACK,
                Refusal::Duplicate if !known => Verdict::Done,
                _ => {
                    let doubled = 1 << deliveries.saturating_sub(1).min(6);
                    Verdict::Again { after: Duration::from_secs(doubled), counted: false }
                }
            };
            self.judge_delivery(delivery, verdict);
            return Arrived::Judged { delivery, reason: Some(reason), back: offer.job };
        }
        self.take_in(offer, given_task);
        if let Some(task) = self.at(offer.meta) {
            task.delivery = Some(delivery);
            task.attempts = deliveries.saturating_sub(1).min(crate::Retry::UNLIMITED - 2);
        }
        if let Some(held) = self.inlet.delivery(delivery) {
            held.task = Some(offer.meta);
        }
        let now = self.now;
        if let Some(source) = self.inlet.source(source) {
            source.renew_at = source.renew_at.or(source.next_round(now));
        }
        self.arm_source(source);
        Arrived::Admitted { delivery, task: self.id_of(offer.meta) }
    }

    fn arrival_refusal(&self, offer: Offer) -> Option<Refusal> {
        if self.phase != Phase::Open {
            return Some(Refusal::Closed);
        }
        if offer.order.retry().total() > self.limits.attempts {
            return Some(Refusal::Attempts);
        }
        let is_full = self.limits.task_slots() <= size(self.tasks.iter()) + self.retired;
        self.refusal_of_parts(offer).or_else(|| is_full.then_some(Refusal::Backlog))
    }

    fn bury(&mut self, source: SourceId, deliveries: u32, text: u32, given: &Answer) -> Option<DeliveryId> {
        let given = if let Answer::Buried(given) = *given { given } else { None };
        let delivery = self.admit_delivery(source, deliveries, given)?;
        self.judge_delivery(delivery, Verdict::Dead { why: Death::Undecodable, message: Message::of(&text) });
        Some(delivery)
    }

    /// The task of a delivery has settled, or can't be.
    fn judge_delivery(&mut self, id: DeliveryId, verdict: Verdict) {
        let place = self.inlet.next_place();
        let Some(delivery) = self.inlet.delivery(id) else { return };
        let source = delivery.source;
        delivery.verdict = Some(verdict);
        delivery.place = place;
        delivery.stage = Held::Owed;
        if self.inlet.source(source).is_none() {
            return self.finish_delivery(id);
        }
        self.wake_source(source);
        if let Verdict::Dead { why, .. } = verdict {
            one(&mut self.totals.dead);
            self.publish(|_| Event::Dead { source, delivery: id, why });
        }
    }

    /// The task with this metadata has settled: its engine is owed a verdict, if it was delivered.
    pub(super) fn owe_verdict(&mut self, meta: u32, kind: OutcomeKind) {
        let Some(delivery) = self.task(meta).and_then(|task| task.delivery) else { return };
        let planned = self.inlet.delivery(delivery).and_then(|delivery| delivery.verdict);
        let verdict = planned.unwrap_or_else(|| self.verdict(meta, kind));
        self.judge_delivery(delivery, verdict);
    }

    fn verdict(&mut self, meta: u32, kind: OutcomeKind) -> Verdict {
        let dead = |why| Verdict::Dead { why, message: Message::default() };
        let Some(task) = self.task(meta) else { return HANDED_BACK };
        let (starts, attempts, retry) = (task.starts, task.attempts, task.order.retry());
        match kind {
            OutcomeKind::Completed => Verdict::Done,
            OutcomeKind::Failed => dead(Death::Failed),
            OutcomeKind::Panicked => dead(Death::Panicked),
            OutcomeKind::Cancelled if self.phase == Phase::Open => dead(Death::Cancelled),
            OutcomeKind::TimedOut if starts > 0 && retry.retries_timeouts() && retry.allows(attempts) => {
                Verdict::Again { after: retry.delay(attempts, &mut self.rng), counted: true }
            }
            OutcomeKind::TimedOut if starts > 0 && !self.has(Flaw::HandsBackWhatTimedOut) => {
                dead(Death::TimedOut)
            }
            _ => HANDED_BACK,
        }
    }

    pub(super) fn is_delivered(&self, meta: u32) -> bool {
        self.task(meta).is_some_and(|task| task.delivery.is_some())
    }

    /// Whether a task that is to be tried again is left to its engine.
    pub(super) fn leave_to_engine(&mut self, meta: u32, after: Duration, counted: bool, must: bool) -> bool {
        let Some(id) = self.task(meta).and_then(|task| task.delivery) else { return false };
        let Some(source) = self.inlet.delivery(id).map(|delivery| delivery.source) else { return false };
        let terms = self.inlet.sources.iter().find(|other| other.id == source).map(|other| other.terms);
        let is_able = terms.is_some_and(|terms| terms.delays && (counted || terms.uncounted));
        if let Some(delivery) = self.inlet.delivery(id).filter(|_| is_able || must) {
            delivery.verdict = Some(Verdict::Again { after, counted });
        }
        is_able || must
    }

    /// The text of an error of a task goes with its verdict, if the host does not have that yet.
    pub(super) fn explain(&mut self, meta: u32, text: Message) {
        let Some(id) = self.task(meta).and_then(|task| task.delivery) else { return };
        let owed = self.inlet.delivery(id).filter(|delivery| delivery.stage == Held::Owed);
        if let Some(Verdict::Dead { message, .. }) = owed.and_then(|delivery| delivery.verdict.as_mut()) {
            *message = text;
        }
    }

    fn next_verdict(&mut self, id: SourceId) -> Option<(DeliveryId, Verdict)> {
        let ignores = self.has(Flaw::IgnoresEngineErrors);
        self.inlet.source(id).filter(|source| ignores || source.down_until.is_none())?;
        let first = self.inlet.first(id, Held::Owed)?;
        let place = self.inlet.next_place();
        let delivery = self.inlet.delivery(first)?;
        delivery.stage = Held::Leaving;
        delivery.place = place;
        Some((first, delivery.verdict?))
    }

    fn leaving(&mut self, id: DeliveryId) -> Option<SourceId> {
        self.inlet
            .delivery(id)
            .filter(|delivery| delivery.stage == Held::Leaving)
            .map(|delivery| delivery.source)
    }

    fn confirmed(&mut self, id: DeliveryId) -> bool {
        let Some(source) = self.leaving(id) else { return false };
        if let Some(source) = self.inlet.sources.iter_mut().find(|other| other.id == source) {
            source.failures = 0;
        }
        one(&mut self.totals.confirmed);
        self.finish_delivery(id);
        true
    }

    fn unconfirmed(&mut self, id: DeliveryId) -> bool {
        let Some(source) = self.leaving(id) else { return false };
        if self.inlet.source(source).is_none() || self.has(Flaw::ForgetsVerdicts) {
            self.finish_delivery(id);
            return true;
        }
        let place = self.inlet.next_place();
        if let Some(delivery) = self.inlet.delivery(id) {
            delivery.stage = Held::Owed;
            delivery.place = place;
        }
        self.wake_source(source);
        true
    }

    /// A verdict is confirmed, or nobody will ask for it.
    fn finish_delivery(&mut self, id: DeliveryId) {
        let Some(delivery) = self.inlet.delivery(id) else { return };
        delivery.stage = Held::Confirmed;
        let (source, has_task) = (delivery.source, delivery.task.is_some());
        if has_task {
            self.wake_source(source);
        } else {
            self.free_delivery(id);
        }
    }

    /// A task has left its slot.
    pub(super) fn leave_delivery(&mut self, id: Option<DeliveryId>) {
        let Some(delivery) = id.and_then(|id| self.inlet.delivery(id)) else { return };
        delivery.task = None;
        let (id, is_over) = (delivery.id, delivery.stage == Held::Confirmed);
        if is_over {
            self.free_delivery(id);
        }
    }

    fn free_delivery(&mut self, id: DeliveryId) {
        let Some(at) = self.inlet.deliveries.iter().position(|delivery| delivery.id == id) else { return };
        let Delivery { source, slot, .. } = self.inlet.deliveries.remove(at);
        self.inlet.give_slot_back(OF_DELIVERIES, slot);
        self.wake_source(source);
        self.forget_if_closed(source);
    }

    fn forget_if_closed(&mut self, id: SourceId) {
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

    fn next_renewal(&mut self, id: SourceId) -> Option<DeliveryId> {
        self.inlet.source(id).filter(|source| source.is_renewing)?;
        let place = self.inlet.next_place();
        let is_next = |delivery: &&mut Delivery| {
            delivery.source == id && delivery.stage == Held::Unsettled && !delivery.is_renewed
        };
        let next = self.inlet.deliveries.iter_mut().filter(is_next).min_by_key(|delivery| delivery.place);
        let Some(next) = next else {
            self.inlet.source(id)?.is_renewing = false;
            return None;
        };
        next.is_renewed = true;
        next.place = place;
        Some(next.id)
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

    fn arm_source(&mut self, id: SourceId) {
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

    /// A drain hands back what has not begun. Returns the number of slots that it looked at.
    pub(super) fn hand_back(&mut self, start: u32, budget: u32) -> u32 {
        let all = self.limits.credit();
        let end = start.saturating_add(budget).min(all);
        for slot in start..end {
            let of_slot = self.inlet.deliveries.iter().find(|delivery| delivery.slot == slot);
            let unsettled = of_slot.filter(|delivery| delivery.stage == Held::Unsettled);
            let Some(meta) = unsettled.and_then(|delivery| delivery.task) else { continue };
            if self.task(meta).is_some_and(|task| task.is_waiting() && task.starts == 0) {
                self.settle_cancelled(meta, Some(CancelReason::ENDED));
            }
        }
        self.inlet.handing_back = (end < all).then_some(end);
        end.saturating_sub(start)
    }

    /// The end gives up the delivery in this slot.
    pub(super) fn end_delivery(&mut self, slot: u32) {
        let of_slot = self.inlet.deliveries.iter().find(|delivery| delivery.slot == slot);
        let unconfirmed = of_slot.filter(|delivery| delivery.stage != Held::Confirmed);
        if let Some(id) = unconfirmed.map(|delivery| delivery.id) {
            self.remains.deliveries += 1;
            self.finish_delivery(id);
        }
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

impl Source {
    fn next_round(&self, now: Instant) -> Option<Instant> {
        after(now, Duration::from_nanos(self.terms.lease / 3)).filter(|_| self.terms.lease > 0)
    }
}
