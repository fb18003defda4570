//! Deliveries: how they become tasks, and what their engine hears of how these ended.

use core::time::Duration;

use super::Processor;
use crate::ids::{DeliveryId, SourceId};
use crate::lifecycle::State;
use crate::sources::{Arrival, Death, Delivery, Verdict};
use crate::task::{Claimant, Task};
use crate::{CancelReason, Event, Instant, Message, Offer, OutcomeKind, Plan, Refusal, Retry, Terms};

/// After how long an engine is to deliver again what found no place here the first time: its lane was full, or a task with its
/// key was under way. Each time doubles it, this often at most: an engine may count such deliveries, too.
const LATER: Duration = Duration::from_secs(1);
const DOUBLED: u32 = 6;

impl<P: Plan> Processor<P> {
    /// Takes in what a source has delivered during a pull. It takes one of the places that the pull has set aside, and needs
    /// no room in the queue: it waits there whatever the queue's length, and counts in it as long as it does. It is never shed.
    ///
    /// It is a task on these terms, with the earlier deliveries as its earlier attempts, and no route: its outcome leaves by
    /// [`Effect::Settle`](crate::Effect::Settle) without a callback, and its verdict by
    /// [`next_verdict`](Self::next_verdict). If it can't be a task, it is handed back, and the machine owes a verdict for it
    /// all the same:
    ///
    /// | why | verdict |
    /// |---|---|
    /// | delivered too often | [`Dead`](Verdict::Dead) |
    /// | a task with its key has completed, and the key is remembered | [`Done`](Verdict::Done) |
    /// | the machine is draining | [`Again`](Verdict::Again) at once, not counted |
    /// | any other [`Refusal`] | `Again` after a second, twice that if it was delivered twice, up to 64 s; not counted |
    ///
    /// May change: as [`submit`](Self::submit), and verdicts.
    pub fn deliver(
        &mut self,
        now: Instant,
        source: SourceId,
        delivery: Delivery<P>,
        terms: &Terms,
    ) -> Arrival<P> {
        let now = self.observe_time(now);
        let admitted = self.admit_delivery(source, delivery.deliveries);
        let (Some(id), Some(of_source)) = (admitted, self.sources.terms(source)) else {
            return Arrival::Refused(delivery);
        };
        let Delivery { job, meta, deliveries } = delivery;
        let earlier = deliveries.saturating_sub(1);
        if earlier >= of_source.deliveries {
            let verdict = Verdict::Dead { why: Death::TooOften, message: Message::EMPTY };
            self.judge(id, verdict);
            return Arrival::Judged { delivery: id, reason: None, back: Delivery { job, meta, deliveries } };
        }
        self.totals.offered = self.totals.offered.wrapping_add(1);
        let offer = Offer::new(job, meta);
        let admitted = match self.arrival_refusal(terms) {
            Some(reason) => Err(self.refuse(reason, offer)),
            None => self.take_in(now, offer, terms),
        };
        match admitted {
            Ok(task) => {
                self.hold_delivery(id, self.tasks.index_of(task), earlier);
                Arrival::Admitted { delivery: id, task }
            }
            Err(refused) => {
                let (reason, offer) = refused.into_parts();
                self.judge(id, self.verdict_on_arrival(reason, terms, earlier));
                let back = Delivery { job: offer.job, meta: offer.meta, deliveries };
                Arrival::Judged { delivery: id, reason: Some(reason), back }
            }
        }
    }

    /// Takes in what a source has delivered during a pull, and what has no job: it can't be decoded. It is
    /// [`Dead`](Verdict::Dead), with this text. `None` if the source does not exist any more, or has delivered more than it
    /// was asked for.
    ///
    /// May change: verdicts, effects, events.
    pub fn bury(
        &mut self,
        now: Instant,
        source: SourceId,
        deliveries: u32,
        message: Message,
    ) -> Option<DeliveryId> {
        self.observe_time(now);
        let id = self.admit_delivery(source, deliveries)?;
        self.judge(id, Verdict::Dead { why: Death::Undecodable, message });
        Some(id)
    }

    /// Takes in a delivery and counts it.
    fn admit_delivery(&mut self, source: SourceId, deliveries: u32) -> Option<DeliveryId> {
        if self.ending.is_ending() {
            return None;
        }
        let delivery = self.sources.admit(source, deliveries > 1)?;
        self.totals.pulled = self.totals.pulled.wrapping_add(1);
        self.totals.redelivered = self.totals.redelivered.wrapping_add(u64::from(deliveries > 1));
        Some(delivery)
    }

    /// The task of a delivery is in slot `index`. It counts as tried as often as it was delivered earlier.
    fn hold_delivery(&mut self, delivery: DeliveryId, index: u32, earlier: u32) {
        self.admission.enter_delivery();
        if let Some(task) = self.tasks.at_mut(index) {
            task.claimant = Claimant::Delivery(delivery);
            task.attempts = earlier.min(Retry::UNLIMITED - 2);
        }
        if let Some(source) = self.sources.hold(delivery, index, self.now) {
            self.arm_source(source);
        }
    }

    /// Why what was delivered can't be a task.
    fn arrival_refusal(&self, terms: &Terms) -> Option<Refusal> {
        if !self.is_open() {
            return Some(Refusal::Closed);
        }
        if terms.tries.total() > self.limits.attempts {
            return Some(Refusal::Attempts);
        }
        let refusal = if terms.has_extras { self.refusal_of_extras(terms) } else { None };
        // Only a slot whose generations are used up can be missing.
        refusal.or_else(|| (self.tasks.free() == 0).then_some(Refusal::Backlog))
    }

    /// The verdict on what can't be a task for this reason.
    fn verdict_on_arrival(&self, reason: Refusal, terms: &Terms, earlier: u32) -> Verdict {
        let has_task = |terms: &Terms| terms.unique.is_some_and(|key| self.task_with_key(key.key).is_some());
        match reason {
            Refusal::Closed => Verdict::Again { after: Duration::ZERO, counted: false },
            Refusal::Duplicate if !has_task(terms) => Verdict::Done,
            _ => Verdict::Again { after: LATER * (1 << earlier.min(DOUBLED)), counted: false },
        }
    }

    /// Owes the engine a verdict.
    fn judge(&mut self, delivery: DeliveryId, verdict: Verdict) {
        let Some(source) = self.sources.judge(delivery, verdict) else { return };
        if let Verdict::Dead { why, .. } = verdict {
            self.totals.dead = self.totals.dead.wrapping_add(1);
            self.publish(|| Event::Dead { source, delivery, why });
        }
    }

    /// Whether a source has delivered the task in slot `index`.
    pub(super) fn is_delivered(&self, index: u32) -> bool {
        self.tasks.at(index).is_some_and(|task| matches!(task.claimant, Claimant::Delivery(_)))
    }

    /// Leaves the task in slot `index`, which is to be tried again, to the engine that delivered it, if its source says so
    /// or `cannot_wait` here. Returns whether it did; the task is to be settled then.
    pub(super) fn leave_to_engine(
        &mut self,
        index: u32,
        after: Duration,
        counted: bool,
        cannot_wait: bool,
    ) -> bool {
        let Some(Claimant::Delivery(delivery)) = self.tasks.at(index).map(|task| &task.claimant) else {
            return false;
        };
        let delivery = *delivery;
        let Some(terms) = self.sources.terms_of(delivery) else { return false };
        let is_able = terms.delays && (counted || terms.uncounted);
        if is_able || cannot_wait {
            self.sources.plan(delivery, Verdict::Again { after, counted });
        }
        is_able || cannot_wait
    }

    /// The task of a delivery, in slot `index`, has settled in this way: owes the engine the verdict.
    #[cold]
    pub(super) fn owe_verdict(&mut self, index: u32, delivery: DeliveryId, kind: OutcomeKind) {
        self.admission.settle_delivery();
        let verdict = self.sources.planned(delivery).unwrap_or_else(|| self.verdict(index, kind));
        self.judge(delivery, verdict);
    }

    /// Hands the delivery in slot `index` back to its engine, because the machine drains and its task has not begun.
    pub(super) fn hand_back(&mut self, index: u32) {
        let Some(task) = self.sources.task_of(index) else { return };
        let waits = |task: &Task<P>| matches!(task.state, State::Delayed | State::Queued) && task.starts == 0;
        if self.tasks.at(task).is_some_and(waits) {
            self.end_cancelled(task, Some(CancelReason::ENDED), false);
        }
    }

    /// The task of a delivery has left its slot.
    #[cold]
    pub(super) fn leave_slot_of(&mut self, delivery: DeliveryId) {
        self.admission.leave_delivery();
        self.sources.leave_task(delivery);
    }

    /// The verdict for a task that has settled in this way and was not left to the engine.
    fn verdict(&mut self, index: u32, kind: OutcomeKind) -> Verdict {
        let dead = |why| Verdict::Dead { why, message: Message::EMPTY };
        let handed_back = Verdict::Again { after: Duration::ZERO, counted: false };
        let Some(task) = self.tasks.at(index) else { return handed_back };
        let (has_begun, tries, attempts, backoff) =
            (task.starts > 0, task.tries, task.attempts, task.backoff_or_reason.backoff());
        match kind {
            OutcomeKind::Completed => Verdict::Done,
            OutcomeKind::Failed => dead(Death::Failed),
            OutcomeKind::Panicked => dead(Death::Panicked),
            OutcomeKind::Expired | OutcomeKind::Shed => handed_back,
            OutcomeKind::Cancelled if !self.is_open() => handed_back,
            OutcomeKind::Cancelled => dead(Death::Cancelled),
            OutcomeKind::TimedOut if !has_begun => handed_back,
            OutcomeKind::TimedOut => match backoff {
                Some(backoff) if tries.on_timeout() && tries.allow(attempts) => Verdict::Again {
                    after: backoff.delay(attempts, tries.jitter(), &mut self.rng),
                    counted: true,
                },
                _ => dead(Death::TimedOut),
            },
        }
    }
}
