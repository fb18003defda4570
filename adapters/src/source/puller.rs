//! Moves deliveries and verdicts between an engine and the machine.
//!
//! One future does it all: at most one pull, one batch of verdicts and one of renewals are under way in it. What is
//! allowed and what is owed is the machine's to say; here are only the receipts.

use std::collections::HashMap;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use plimsoll_core::{
    Arrival, DeliveryId, Lane, Limits, Message, Operation, SourceId, Terms, Unique, Verdict,
};

use super::slot::Slot;
use super::{Abilities, Delivery, Pull, Pulled, Settling, Source};
use crate::carried::Carried;
use crate::engine::machine::{MOST_A_HOLD, Shared};
use crate::trace::Origin;
use crate::work::{AnyWork, SendWork};

/// An open source, which is closed when this is dropped.
struct Open<W: AnyWork> {
    shared: Arc<Shared<W>>,
    id: SourceId,
}

impl<W: AnyWork> Drop for Open<W> {
    fn drop(&mut self) {
        let now = self.shared.now();
        let waker = self.shared.act(|machine| machine.close_source(now, self.id));
        self.shared.discard(waker);
        while !self.shared.act(|machine| machine.give_up(self.id, MOST_A_HOLD)) {}
    }
}

pub(super) struct Puller<W: AnyWork, S: Source> {
    open: Open<W>,
    engine: Arc<S>,
    /// The receipts of what is held or owed. Those of verdicts under way travel with them.
    receipts: HashMap<DeliveryId, S::Receipt>,
    /// Verdicts on what came beyond what was asked for.
    surplus: Vec<Settling<S::Receipt>>,
    abilities: Abilities,
    pull: Pull<W::Meta>,
    /// The terms of its tasks, but for identity and key.
    terms: Terms,
    /// The lane of a delivery without a key.
    lane: Option<Lane>,
    /// What lanes of deliveries with a key are like, where there may be lanes.
    keyed: Option<Lane>,
    has_keys: bool,
}

/// What is under way has come to this.
enum Step<P, S, R> {
    Pulled(P),
    Settled(S),
    Renewed(R),
    /// The machine has something to do.
    Look,
}

type Receipts<S> = Vec<<S as Source>::Receipt>;
type Inbox<S> = Vec<Delivery<<S as Source>::Job, <S as Source>::Receipt>>;
type Batch<S> = Vec<Settling<<S as Source>::Receipt>>;

impl<W: SendWork, S: Source<Job = W::Job>> Puller<W, S> {
    /// For an open source. `terms` are those of its tasks.
    pub(super) fn new(
        shared: Arc<Shared<W>>,
        id: SourceId,
        engine: S,
        pull: Pull<W::Meta>,
        terms: Terms,
        limits: &Limits,
    ) -> Self {
        let credit = pull.credit_within(limits) as usize;
        Self {
            open: Open { shared, id },
            abilities: engine.abilities(),
            engine: Arc::new(engine),
            receipts: HashMap::with_capacity(credit.saturating_mul(2)),
            surplus: Vec::new(),
            pull,
            terms,
            lane: pull.options.lane,
            keyed: (limits.lanes.lanes > 0).then(|| pull.options.lane.unwrap_or(Lane::new(0).concurrency(1))),
            has_keys: limits.dedup.is_some(),
        }
    }

    /// Pulls until the source is over. Returns how many verdicts were not confirmed.
    pub(super) async fn run(mut self) -> u32 {
        let mut pulling = pin!(Slot::empty());
        let mut settling = pin!(Slot::empty());
        let mut renewing = pin!(Slot::empty());
        // Each travels with its operation, and comes back for the next one.
        let (mut inbox, mut batch, mut held): (Inbox<S>, Batch<S>, Receipts<S>) = Default::default();
        let mut tells_surplus_only = false;
        // Whether the machine has said last that there is something to do, and there was nothing.
        let mut in_vain = false;
        loop {
            if pulling.as_ref().is_empty() {
                if let Some(room) = self.begin_pull() {
                    let engine = self.engine.clone();
                    pulling.as_mut().begin(pull(engine, room, self.pull.wait, core::mem::take(&mut inbox)));
                    in_vain = false;
                }
            }
            if settling.as_ref().is_empty() {
                self.collect_verdicts(&mut batch);
                if !batch.is_empty() {
                    let told: Vec<_> = batch.iter().filter_map(|settling| settling.delivery).collect();
                    tells_surplus_only = told.is_empty();
                    settling.as_mut().begin(settle(self.engine.clone(), core::mem::take(&mut batch), told));
                    in_vain = false;
                }
            }
            self.collect_renewals(&mut held);
            if renewing.as_ref().is_empty() && !held.is_empty() {
                renewing.as_mut().begin(extend(self.engine.clone(), core::mem::take(&mut held)));
                in_vain = false;
            }
            let rests =
                pulling.as_ref().is_empty() && settling.as_ref().is_empty() && renewing.as_ref().is_empty();
            if rests && self.is_over() {
                break;
            }
            let step = poll_fn(|cx| {
                if let Poll::Ready(settled) = settling.as_mut().poll(cx) {
                    return Poll::Ready(Step::Settled(settled));
                }
                if let Poll::Ready(renewed) = renewing.as_mut().poll(cx) {
                    return Poll::Ready(Step::Renewed(renewed));
                }
                if let Poll::Ready(pulled) = pulling.as_mut().poll(cx) {
                    return Poll::Ready(Step::Pulled(pulled));
                }
                // Of that the machine knows nothing: it would have verdicts to take.
                if tells_surplus_only { Poll::Pending } else { self.wait(cx, rests, in_vain) }
            });
            let step = step.await;
            in_vain = matches!(step, Step::Look);
            match step {
                Step::Pulled((result, deliveries)) => inbox = self.take_in(result, deliveries),
                Step::Settled((result, left, told)) => {
                    tells_surplus_only = false;
                    batch = self.confirm(result, left, &told);
                }
                Step::Renewed(result) => self.note_renewal(result),
                Step::Look => {}
            }
        }
        self.engine.close().await;
        u32::try_from(self.receipts.len()).unwrap_or(u32::MAX)
    }

    /// Begins a pull, if there is a place for anything.
    fn begin_pull(&mut self) -> Option<NonZeroU32> {
        let now = self.open.shared.now();
        let room = self.open.shared.act(|machine| machine.begin_pull(now, self.open.id))?;
        NonZeroU32::new(room.get().min(self.abilities.most.max(1)))
    }

    /// Takes in what a pull has brought, and ends it.
    fn take_in(&mut self, result: Result<Pulled, S::Error>, mut deliveries: Inbox<S>) -> Inbox<S> {
        for delivery in deliveries.drain(..) {
            self.deliver(delivery);
        }
        let (shared, id, now) = (&self.open.shared, self.open.id, self.open.shared.now());
        match result {
            Ok(pulled) => shared.act(|machine| {
                machine.end_pull(now, id);
                if pulled == Pulled::End {
                    machine.stop_pulling(now, id);
                }
            }),
            Err(error) => self.fail(Operation::Pull, &error),
        }
        deliveries
    }

    fn deliver(&mut self, delivery: Delivery<S::Job, S::Receipt>) {
        let terms = self.terms_of(&delivery);
        let Delivery { job, receipt, deliveries, .. } = delivery;
        let (shared, source, meta) = (&self.open.shared, self.open.id, self.pull.options.meta);
        let now = shared.now();
        let known = match job {
            Ok(job) => {
                let delivery =
                    plimsoll_core::Delivery::new(Carried::new(job, Origin::source(now)), meta, deliveries);
                match shared.act(|machine| machine.deliver(now, source, delivery, &terms)) {
                    Arrival::Admitted { delivery, .. } => Some(delivery),
                    Arrival::Judged { delivery, back, .. } => {
                        shared.discard(back);
                        Some(delivery)
                    }
                    Arrival::Refused(back) => {
                        shared.discard(back);
                        None
                    }
                    _ => None,
                }
            }
            Err(why) => shared.act(|machine| machine.bury(now, source, deliveries, why)),
        };
        match known {
            Some(delivery) => drop(self.receipts.insert(delivery, receipt)),
            None => {
                let verdict = Verdict::Again { after: Duration::ZERO, counted: false };
                self.surplus.push(Settling::new(receipt, verdict));
            }
        }
    }

    fn terms_of(&self, delivery: &Delivery<S::Job, S::Receipt>) -> Terms {
        let keyed = self.keyed.zip(delivery.key).map(|(lane, key)| lane.with_key(key));
        let lane = keyed.or(self.lane);
        let id = delivery.id.filter(|_| self.has_keys);
        let terms = lane.map_or(self.terms, |lane| self.terms.lane(lane));
        id.map_or(terms, |id| terms.unique(Unique::new(id).window(self.pull.window)))
    }

    /// Takes the verdicts that are owed, up to as many as one hold of the lock allows.
    fn collect_verdicts(&mut self, batch: &mut Batch<S>) {
        let (shared, source) = (&self.open.shared, self.open.id);
        let now = shared.now();
        if !shared.read(|machine| machine.source(source)).is_some_and(|view| view.is_down) {
            batch.append(&mut self.surplus);
        }
        let mut owed = [None; MOST_A_HOLD as usize];
        shared.act(|machine| {
            for place in &mut owed {
                *place = machine.next_verdict(now, source);
                if place.is_none() {
                    break;
                }
            }
        });
        for (delivery, verdict) in owed.into_iter().flatten() {
            if let Some(receipt) = self.receipts.get(&delivery) {
                batch.push(Settling { receipt: receipt.clone(), verdict, delivery: Some(delivery) });
            }
        }
    }

    /// The engine has answered to these verdicts. Those that are left it has not confirmed.
    fn confirm(
        &mut self,
        result: Result<u32, S::Error>,
        mut left: Batch<S>,
        told: &[DeliveryId],
    ) -> Batch<S> {
        let (shared, source) = (self.open.shared.clone(), self.open.id);
        let now = shared.now();
        let is_left = |id: &DeliveryId| left.iter().any(|settling| settling.delivery == Some(*id));
        let (unconfirmed, confirmed): (Vec<_>, Vec<_>) = told.iter().copied().partition(is_left);
        shared.act(|machine| {
            for id in confirmed.iter().copied() {
                machine.confirmed(now, id);
            }
            for id in unconfirmed.iter().copied() {
                machine.unconfirmed(now, id);
            }
        });
        confirmed.iter().for_each(|id| drop(self.receipts.remove(id)));
        match result {
            Ok(0) => {}
            Ok(stale) => {
                shared.act(|machine| machine.stale(now, source, stale));
            }
            Err(error) => self.fail(Operation::Settle, &error),
        }
        self.surplus.extend(left.drain(..).filter(|settling| settling.delivery.is_none()));
        left
    }

    /// Collects all that is to be renewed, if it is time for that.
    fn collect_renewals(&self, held: &mut Receipts<S>) {
        let (shared, source) = (&self.open.shared, self.open.id);
        let mut is_first = true;
        loop {
            let now = shared.now();
            let mut due = [None; MOST_A_HOLD as usize];
            shared.act(|machine| {
                for place in &mut due {
                    *place = machine.next_renewal(now, source);
                    if place.is_none() {
                        break;
                    }
                }
            });
            let goes_on = due.iter().all(Option::is_some);
            for delivery in due.into_iter().flatten() {
                // What an earlier round has left behind is in this one, or over.
                if core::mem::take(&mut is_first) {
                    held.clear();
                }
                held.extend(self.receipts.get(&delivery).cloned());
            }
            if !goes_on {
                return;
            }
        }
    }

    fn note_renewal(&self, result: Result<(), S::Error>) {
        if let Err(error) = result {
            self.fail(Operation::Renew, &error);
        }
    }

    fn fail(&self, operation: Operation, error: &S::Error) {
        let (shared, source) = (&self.open.shared, self.open.id);
        let (message, now) = (Message::of(error), shared.now());
        shared.act(|machine| machine.source_failed(now, source, operation, &message));
    }

    /// Whether all is done: nothing is pulled any more, and every verdict is confirmed or given up.
    fn is_over(&mut self) -> bool {
        let (is_over, exists) = self
            .open
            .shared
            .read(|machine| (machine.is_source_over(self.open.id), machine.source(self.open.id).is_some()));
        if !exists {
            // The machine has ended: nobody waits for the engine any more.
            self.surplus.clear();
        }
        is_over && self.surplus.is_empty()
    }

    /// Pending until the machine has something to do for the source. `rests` says that nothing is under way, `in_vain` that the
    /// last answer was that there is something, and there was not: then what is under way has to end first.
    fn wait<P, T, R>(&mut self, cx: &Context<'_>, rests: bool, in_vain: bool) -> Poll<Step<P, T, R>> {
        if self.is_over() {
            return if rests { Poll::Ready(Step::Look) } else { Poll::Pending };
        }
        // Cloned and dropped without the lock: a waker is foreign code.
        let waker = cx.waker().clone();
        match self.open.shared.act(|machine| machine.wait_source(self.open.id, waker)) {
            Ok(replaced) => {
                drop(replaced);
                return Poll::Pending;
            }
            Err(unused) => drop(unused),
        }
        if !in_vain {
            return Poll::Ready(Step::Look);
        }
        if rests {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

async fn pull<S: Source>(
    engine: Arc<S>,
    room: NonZeroU32,
    wait: Duration,
    mut into: Inbox<S>,
) -> (Result<Pulled, S::Error>, Inbox<S>) {
    let result = engine.pull(room, wait, &mut into).await;
    (result, into)
}

async fn settle<S: Source>(
    engine: Arc<S>,
    mut verdicts: Batch<S>,
    told: Vec<DeliveryId>,
) -> (Result<u32, S::Error>, Batch<S>, Vec<DeliveryId>) {
    let result = engine.settle(&mut verdicts).await;
    (result, verdicts, told)
}

async fn extend<S: Source>(engine: Arc<S>, held: Receipts<S>) -> Result<(), S::Error> {
    engine.extend(&held).await
}
