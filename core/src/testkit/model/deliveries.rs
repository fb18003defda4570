//! What was pulled, from its arrival to the confirmation of its verdict.

use core::time::Duration;

use super::inlet::{Delivery, HANDED_BACK, Held, OF_DELIVERIES};
use super::{Model, one, size};
use crate::testkit::calls::sources::{Answer, Arrived};
use crate::testkit::calls::submissions::Offer;
use crate::testkit::flaws::Flaw;
use crate::{
    CancelReason, Death, DeliveryId, Event, Message, OutcomeKind, Phase, Refusal, SourceId, Verdict,
};

impl Model {
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

    pub(super) fn deliver(
        &mut self,
        source: SourceId,
        offer: Offer,
        deliveries: u32,
        given: &Answer,
    ) -> Arrived {
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

    pub(super) fn bury(
        &mut self,
        source: SourceId,
        deliveries: u32,
        text: u32,
        given: &Answer,
    ) -> Option<DeliveryId> {
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

    pub(super) fn next_verdict(&mut self, id: SourceId) -> Option<(DeliveryId, Verdict)> {
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

    pub(super) fn confirmed(&mut self, id: DeliveryId) -> bool {
        let Some(source) = self.leaving(id) else { return false };
        if let Some(source) = self.inlet.sources.iter_mut().find(|other| other.id == source) {
            source.failures = 0;
        }
        one(&mut self.totals.confirmed);
        self.finish_delivery(id);
        true
    }

    pub(super) fn unconfirmed(&mut self, id: DeliveryId) -> bool {
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
    pub(super) fn finish_delivery(&mut self, id: DeliveryId) {
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

    pub(super) fn next_renewal(&mut self, id: SourceId) -> Option<DeliveryId> {
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
}
