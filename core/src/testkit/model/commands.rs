//! The answers to commands.

use alloc::vec::Vec;
use core::time::Duration;

use super::stores::SourceModel;
use super::{Model, Parting, Stage, Task, after, size};
use crate::testkit::answer::{Answer, Claimed, Detached, Returned, Settled, Why};
use crate::testkit::call::{Call, Offer};
use crate::testkit::order::Way;
use crate::testkit::{Class, Flaw};
use crate::{
    AttachRefusal, CancelError, CancelReason, Cancelled, ErrorKind, Event, Fed, FeedRefusal, Instant,
    Message, Phase, Refusal, SourceId, SubscribeRefusal, TaskId,
};

impl Model {
    pub(super) fn command(&mut self, call: &Call, given: &Answer) -> Answer {
        match *call {
            Call::Submit { offer, .. } => {
                let refusal = self.terms_refusal(offer).or_else(|| self.room_refusal(offer));
                self.offered(offer, refusal, given, Why::Submit)
            }
            Call::TrySubmit { offer, .. } => match (self.terms_refusal(offer), self.room_refusal(offer)) {
                (None, Some(reason)) => Answer::Task(Err((Why::Submit(reason), (offer.job, offer.callback)))),
                (refusal, _) => self.offered(offer, refusal, given, Why::Submit),
            },
            Call::SubmitReserved { permit, offer, .. } => self.submit_reserved(permit, offer, given),
            Call::Reserve { count, .. } => self.reserve(count, given),
            Call::WaitForRoom { waiter, count, .. } => self.wait_for_room(waiter, count, given),
            Call::Rewait { id, waiter } => self.rewait(id, waiter),
            Call::GiveBack { id, count, .. } => self.give_back(id, count),
            Call::Leave { id, .. } => Answer::Left(self.leave(id)),
            Call::Cancel { task, reason, .. } => Answer::Cancelled(self.cancel(task, reason)),
            Call::Claim { task, waiter, .. } => Answer::Claimed(self.claim(task, waiter)),
            Call::TryClaim { task } => Answer::Result(self.try_claim(task)),
            Call::Release { task, .. } => self.release_handle(task),
            Call::TakeResult { task, .. } => self.take_result(task),
            Call::Sleep { attempt, until, waiter, .. } => self.sleep(attempt, until, waiter, given),
            Call::Resleep { id, waiter, .. } => self.resleep(id, waiter),
            Call::EndSleep { id } => Answer::Left(self.end_sleep(id)),
            Call::Attach { guard, .. } => self.attach(guard, given),
            Call::Detach { source, .. } => Answer::Detached(self.detach(source)),
            Call::Feed { source, offer, .. } => self.feed(source, offer, given),
            Call::FeedBatch { source, ref offers, .. } => self.feed_batch(source, offers),
            Call::FeedError { source, text, .. } => self.feed_error(source, text),
            Call::Subscribe => self.subscribe(given),
            Call::Unsubscribe { id } => Answer::Left(self.ring.unsubscribe(id)),
            Call::NextEvent { id } => self.next_event(id, given),
            Call::WaitEvent { id, waiter } => Answer::Waits(self.ring.wait(id, waiter)),
            Call::Observe { on } => {
                self.observes = on;
                Answer::Nothing
            }
            Call::Observed { task, kind, value, job, .. } => {
                Answer::Observed(self.observed(task, kind, (value, job)))
            }
            Call::Pause { .. } => {
                self.paused = true;
                Answer::Nothing
            }
            Call::Resume { .. } => {
                self.paused = false;
                Answer::Nothing
            }
            Call::SetConcurrency { to, .. } => {
                self.concurrency = to.min(self.limits.concurrency);
                Answer::Concurrency(self.concurrency)
            }
            Call::Drain { mode, .. } => self.drain(mode),
            Call::Began { attempt, at, .. } => Answer::Runs(self.began(attempt, at)),
            Call::Completed { attempt, output, .. } => self.completed(attempt, output),
            Call::Failed { attempt, error, job, delay, text, .. } => {
                self.failed(attempt, error, job, delay, text)
            }
            Call::Panicked { attempt, panic, job, text, .. } => self.panicked(attempt, panic, job, text),
            Call::Stopped { attempt, job, .. } => self.stopped(attempt, job),
            Call::Snoozed { attempt, job, delay, .. } => self.snoozed(attempt, job, delay),
            Call::LatePanic => {
                super::one(&mut self.totals.late_panics);
                Answer::Nothing
            }
            Call::Advance { budget, .. } => self.advance(budget),
            Call::Sweep { budget, .. } => self.sweep(budget, given),
            Call::Poll => self.poll(given),
            Call::StartNext { .. } => self.start_next(given),
            Call::CacheInsert { now, key, token, value } => {
                let (how, out) = self.cache.insert(&self.limits.cache, now, (key, token, value));
                Answer::Inserted(how, out)
            }
            Call::CacheGet { now, key, counted } => {
                Answer::Value(self.cache.get(&self.limits.cache, now, key, counted))
            }
            Call::CacheRemove { key } => Answer::Removed(self.cache.remove(key)),
            Call::CachePop => Answer::Removed(self.cache.pop()),
        }
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
            _ => None,
        }
    }

    /// Whether fewer tasks are delayed than may be, and tasks that fell due into a full queue left room.
    fn has_delayed_room(&self) -> bool {
        let all = self.count(|task| task.is_waiting() || task.placed) + self.permits();
        let most = self.limits.queue + self.limits.concurrency + self.limits.delayed;
        self.delayed() < self.limits.delayed && (all < most || self.has(Flaw::ForgetsOverflow))
    }

    /// Tasks with a handle that was neither claimed nor released.
    pub(super) fn handles(&self) -> u32 {
        self.count(|task| task.way == Way::Handle && !task.released)
    }

    fn room_refusal(&self, offer: Offer) -> Option<Refusal> {
        if offer.order.delay().is_zero() && (self.has_waiter() || self.queue_room() == 0) {
            return Some(Refusal::Full);
        }
        (self.slot_room() == 0).then_some(Refusal::Backlog)
    }

    pub(super) fn offered<W>(
        &mut self,
        offer: Offer,
        refusal: Option<Refusal>,
        given: &Answer,
        why: W,
    ) -> Answer
    where
        W: FnOnce(Refusal) -> Why,
    {
        let id = match *given {
            Answer::Task(Ok(id)) => Some(id),
            _ => None,
        };
        match self.admit(offer, refusal, id) {
            Err(reason) => Answer::Task(Err((why(reason), (offer.job, offer.callback)))),
            Ok(()) => Answer::Task(Ok(self.id_of(offer.meta))),
        }
    }

    /// Counts an offer, and admits it unless there is a reason to refuse it.
    fn admit(&mut self, offer: Offer, refusal: Option<Refusal>, id: Option<TaskId>) -> Result<(), Refusal> {
        let Offer { job, meta, callback, order } = offer;
        super::one(&mut self.totals.offered);
        if let Some(reason) = refusal {
            super::one(&mut self.totals.refused);
            self.publish(|_| Event::Refused { meta, reason });
            return Err(reason);
        }
        super::one(&mut self.totals.admitted);
        let slot = self.free_slots.pop().unwrap_or(self.fresh_slot);
        self.fresh_slot = self.fresh_slot.max(slot + 1);
        self.tasks.push(Task {
            meta,
            id: None,
            slot,
            order,
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
            parting: Vec::new(),
        });
        self.name(meta, id);
        if order.delay().is_zero() {
            self.queue(meta);
        } else {
            self.rearm(meta);
        }
        self.publish(|model| Event::Admitted { task: model.id_of(meta), meta });
        Ok(())
    }

    fn cancel(&mut self, id: TaskId, reason: Option<CancelReason>) -> Result<Cancelled, CancelError> {
        let task = self.named(id).ok_or(CancelError::NotFound)?;
        let (meta, runs) = (task.meta, task.is_running());
        if task.stage == Stage::Over {
            return Err(CancelError::Settled);
        }
        self.settle_cancelled(meta, reason);
        Ok(if runs { Cancelled::Stopping } else { Cancelled::Settled })
    }

    fn claim(&mut self, id: TaskId, waiter: u32) -> Claimed {
        let Some(task) = self.named(id).filter(|task| task.way == Way::Handle && !task.released) else {
            return Claimed::Gone(waiter);
        };
        let meta = task.meta;
        let is_held = task.held && !self.has(Flaw::ClaimsUnseen);
        if is_held && task.owes_to(Parting::Discard) {
            return Claimed::Gone(waiter);
        }
        if !task.is_kept() || is_held {
            let old = self.at(meta).and_then(|task| task.waiter.replace(waiter));
            return Claimed::Pending(old);
        }
        self.release(meta, Some(id)).map_or(Claimed::Gone(waiter), |settled| Claimed::Ready(settled, waiter))
    }

    fn try_claim(&mut self, id: TaskId) -> Option<Settled> {
        let task = self.named(id).filter(|task| task.way == Way::Handle && task.is_kept() && !task.held)?;
        let meta = task.meta;
        self.release(meta, Some(id))
    }

    fn release_handle(&mut self, id: TaskId) -> Answer {
        let nothing = Answer::Released { waiter: None, settlement: None };
        let Some(task) = self.named(id).filter(|task| task.way == Way::Handle && !task.released) else {
            return nothing;
        };
        let (meta, is_kept, is_held) = (task.meta, task.is_kept(), task.held);
        if is_kept && !is_held {
            return Answer::Released { waiter: None, settlement: self.release(meta, Some(id)) };
        }
        let Some(task) = self.at(meta) else { return nothing };
        task.way = Way::Nowhere;
        let waiter = task.waiter.take();
        if is_held {
            self.release_held(meta);
        }
        Answer::Released { waiter, settlement: None }
    }

    fn take_result(&mut self, id: TaskId) -> Answer {
        let Some(task) = self.named(id) else { return Answer::Result(None) };
        let age = self.now.saturating_since(task.retained_at);
        let too_old = self.limits.results.ttl.is_some_and(|ttl| age >= ttl);
        if !self.kept.contains(&task.meta) || too_old {
            return Answer::Result(None);
        }
        let meta = task.meta;
        Answer::Result(self.release(meta, Some(id)))
    }

    fn attach(&mut self, guard: [u32; 3], given: &Answer) -> Answer {
        if self.phase != Phase::Open {
            return Answer::Source(Err((AttachRefusal::Closed, guard)));
        }
        if size(self.sources.iter()) >= self.most(self.limits.sources, Class::Sources) {
            return Answer::Source(Err((AttachRefusal::Full, guard)));
        }
        let Answer::Source(Ok(id)) = *given else {
            self.complain("there is room for a source, and it was refused");
            return given.clone();
        };
        self.sources.push(SourceModel { id, guard, fed: Fed::default() });
        self.publish(|_| Event::Attached { source: id });
        Answer::Source(Ok(id))
    }

    pub(super) fn detach(&mut self, id: SourceId) -> Option<Detached> {
        let at = self.sources.iter().position(|source| source.id == id)?;
        let SourceModel { id, guard, fed } = self.sources.remove(at);
        self.publish(|_| Event::Detached { source: id });
        Some(Detached { source: id, guard, fed })
    }

    fn source(&mut self, id: SourceId) -> Option<&mut SourceModel> {
        self.sources.iter_mut().find(|source| source.id == id)
    }

    fn feed(&mut self, source: SourceId, offer: Offer, given: &Answer) -> Answer {
        let id = match *given {
            Answer::Task(Ok(id)) => Some(id),
            _ => None,
        };
        match self.fed(source, offer, id) {
            Ok(()) => Answer::Task(Ok(self.id_of(offer.meta))),
            Err(reason) => Answer::Task(Err((Why::Feed(reason), (offer.job, offer.callback)))),
        }
    }

    fn fed(&mut self, source: SourceId, offer: Offer, id: Option<TaskId>) -> Result<(), FeedRefusal> {
        if self.source(source).is_none() {
            return Err(FeedRefusal::Detached);
        }
        let refusal = self.terms_refusal(offer).or_else(|| self.room_refusal(offer));
        let admitted = self.admit(offer, refusal, id);
        if let Some(source) = self.source(source) {
            super::one(if admitted.is_ok() { &mut source.fed.admitted } else { &mut source.fed.refused });
        }
        admitted.map_err(FeedRefusal::Task)
    }

    fn feed_batch(&mut self, source: SourceId, offers: &[Option<Offer>]) -> Answer {
        let mut left: Vec<Option<Returned>> =
            offers.iter().map(|offer| offer.map(|offer| (offer.job, offer.callback))).collect();
        let (mut admitted, mut looked_at, mut refused) = (0, 0, None);
        let first = offers
            .iter()
            .flatten()
            .next()
            .map(|offer| offer.order)
            .filter(|_| self.has(Flaw::TakesTermsOfFirst));
        let most = if self.has(Flaw::CutsBatches) { 16 } else { usize::MAX };
        for (place, offer) in left.iter_mut().zip(offers).take(most) {
            let Some(offer) = *offer else { continue };
            let offer = Offer { order: first.unwrap_or(offer.order), ..offer };
            if let Err(reason) = self.fed(source, offer, None) {
                refused = refused.or(Some(reason));
                looked_at += 1;
                let for_its_terms =
                    [Refusal::Attempts, Refusal::NotRetained, Refusal::Unclaimed, Refusal::Delayed];
                if for_its_terms.iter().any(|own| reason == FeedRefusal::Task(*own)) {
                    continue;
                }
                break;
            }
            admitted += 1;
            *place = None;
        }
        // All tasks that are handed back were refused. Those that were looked at are counted already.
        let behind = left.iter().flatten().skip(looked_at).count() as u64;
        if let Some(source) = self.source(source) {
            source.fed.refused += behind;
            self.totals.offered += behind;
            self.totals.refused += behind;
        }
        Answer::Batch { admitted, refused, left }
    }

    fn feed_error(&mut self, id: SourceId, text: u32) -> Answer {
        let Some(source) = self.source(id) else { return Answer::Taken(false) };
        super::one(&mut source.fed.errors);
        super::one(&mut self.totals.source_errors);
        self.error(ErrorKind::Source, None, Some(id), 0, Message::of(&text));
        self.publish(|_| Event::SourceFailed { source: id });
        Answer::Taken(true)
    }

    fn subscribe(&mut self, given: &Answer) -> Answer {
        if self.ending {
            return Answer::Subscriber(Err(SubscribeRefusal::Closed));
        }
        if self.ring.len() >= self.most(self.limits.subscribers, Class::Subscribers) as usize {
            return Answer::Subscriber(Err(SubscribeRefusal::Full));
        }
        let Answer::Subscriber(Ok(id)) = *given else {
            self.complain("there is room for a subscriber, and it was refused");
            return given.clone();
        };
        self.ring.subscribe(id);
        Answer::Subscriber(Ok(id))
    }
}

impl Model {
    /// Whether the model has the flaw of serving the newest task first.
    pub(super) fn serves_newest(&self) -> bool {
        self.has(Flaw::ServesNewest)
    }
}
