//! The admission of tasks, and the answers to their submission.

use alloc::vec::Vec;
use core::time::Duration;

use super::task::Told;
use super::{Model, Stage, Task, after};
use crate::testkit::calls::submissions::{Answer, Call, Offer, Offered, Why};
use crate::testkit::flaws::Flaw;
use crate::testkit::order::Way;
use crate::{Event, Instant, Phase, Refusal, TaskId};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        let Answer::Task(given) = *given;
        Answer::Task(match *self {
            Self::Submit { offer, .. } => model.submit(offer, given),
            Self::TrySubmit { offer, .. } => model.try_submit(offer, given),
        })
    }
}

impl Model {
    fn submit(&mut self, offer: Offer, given: Offered) -> Offered {
        let refusal = self.terms_refusal(offer).or_else(|| self.room_refusal(offer));
        self.offered(offer, refusal, given, Why::Submit)
    }

    /// A task that there is no room for was not offered.
    fn try_submit(&mut self, offer: Offer, given: Offered) -> Offered {
        let refusal = self.terms_refusal(offer);
        if refusal.is_none() {
            let full = self.room_refusal(offer).and_then(|reason| self.make_room(reason, offer, false));
            if let Some(reason) = full {
                return Err((Why::Submit(reason), offer.returned()));
            }
        }
        self.offered(offer, refusal, given, Why::Submit)
    }

    pub(super) fn terms_refusal(&self, offer: Offer) -> Option<Refusal> {
        if self.phase != Phase::Open {
            return Some(Refusal::Closed);
        }
        if offer.order.retry().total() > self.limits.attempts {
            return Some(Refusal::Attempts);
        }
        match offer.order.way() {
            Way::Handle if self.unclaimed_room() == 0 => Some(Refusal::Unclaimed),
            Way::Retain if self.limits.results.entries == 0 => Some(Refusal::NotRetained),
            _ if !offer.order.delay().is_zero() && !self.has_delayed_room() => Some(Refusal::Delayed),
            _ => self.refusal_of_parts(offer),
        }
    }

    /// Why a task is refused by the monitor, the keys or the lanes.
    pub(super) fn refusal_of_parts(&self, offer: Offer) -> Option<Refusal> {
        if offer.order.needs_monitor() && !self.limits.monitor {
            return Some(Refusal::NotMonitored);
        }
        let by_key = self.key_refusal(offer.order.unique());
        by_key.or_else(|| self.lane_refusal(offer.order.lane(), !offer.order.delay().is_zero()))
    }

    /// Whether fewer tasks are delayed than may be, and tasks that fell due into a full queue left room.
    fn has_delayed_room(&self) -> bool {
        let all = self.count(|task| task.is_waiting() || task.placed) + self.permits();
        let most = self.limits.queue + self.limits.concurrency + self.limits.delayed + self.inlet.unsettled();
        self.delayed() < self.limits.delayed && (all < most || self.has(Flaw::ForgetsOverflow))
    }

    pub(super) fn room_refusal(&self, offer: Offer) -> Option<Refusal> {
        if offer.order.delay().is_zero() && (self.has_waiter() || self.queue_room() == 0) {
            return Some(Refusal::Full);
        }
        (self.slot_room() == 0).then_some(Refusal::Backlog)
    }

    pub(super) fn offered(
        &mut self,
        offer: Offer,
        refusal: Option<Refusal>,
        given: Offered,
        why: impl FnOnce(Refusal) -> Why,
    ) -> Offered {
        match self.admit(offer, refusal, given.ok()) {
            Err(reason) => Err((why(reason), offer.returned())),
            Ok(()) => Ok(self.id_of(offer.meta)),
        }
    }

    /// Counts an offer, and admits it unless there is a reason to refuse it.
    pub(super) fn admit(
        &mut self,
        offer: Offer,
        refusal: Option<Refusal>,
        id: Option<TaskId>,
    ) -> Result<(), Refusal> {
        super::one(&mut self.totals.offered);
        if let Some(reason) = refusal.and_then(|reason| self.make_room(reason, offer, false)) {
            self.refuse(offer.meta, reason);
            return Err(reason);
        }
        self.take_in(offer, id);
        Ok(())
    }

    pub(super) fn refuse(&mut self, meta: u32, reason: Refusal) {
        super::one(&mut self.totals.refused);
        super::one(self.refusals.entry(reason.name()).or_default());
        self.publish(|_| Event::Refused { meta, reason });
    }

    pub(super) fn take_in(&mut self, offer: Offer, id: Option<TaskId>) {
        let Offer { job, meta, callback, order } = offer;
        super::one(&mut self.totals.admitted);
        let older = self.replaced_by(order.unique());
        let slot = self.free_slots.pop().unwrap_or(self.fresh_slot);
        self.fresh_slot = self.fresh_slot.max(slot + 1);
        self.tasks.push(Task {
            meta,
            id: None,
            slot,
            order,
            priority: order.priority(),
            row_began: self.now,
            ready_at: None,
            is_behind: false,
            has_left_key: false,
            delivery: None,
            way: order.way(),
            callback,
            admitted_at: self.now,
            close_by: order.timeouts().schedule_to_close.and_then(|d| after(self.now, d)),
            stage: Stage::Delayed { until: after(self.now, order.delay()) },
            attempts: 0,
            starts: 0,
            attempt: None,
            placed: false,
            job: Some(job),
            value: None,
            kind: None,
            settled_at: Instant::ZERO,
            retained_at: Instant::ZERO,
            held: false,
            out: false,
            waited: Duration::ZERO,
            ran: Duration::ZERO,
            reason: None,
            released: false,
            waiter: None,
            stop: false,
            told: Told::default(),
            parting: Vec::new(),
        });
        self.name(meta, id);
        self.enter_lane(order.lane());
        self.note_highest();
        self.enter_key(meta, older);
        if order.delay().is_zero() && !self.task(meta).is_some_and(|task| task.is_behind) {
            self.queue(meta);
        } else {
            self.rearm(meta);
        }
        self.publish(|model| Event::Admitted { task: model.id_of(meta), meta });
        self.note_highest();
    }
}
