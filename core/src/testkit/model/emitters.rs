//! The emitters, and the answers to what they feed in.

use alloc::vec::Vec;

use super::{Model, one, size};
use crate::testkit::calls::emitters::{Answer, Call, Detached};
use crate::testkit::calls::submissions::{Offer, Returned, Why};
use crate::testkit::flaws::{Class, Flaw};
use crate::{AttachRefusal, EmitterId, ErrorKind, Event, Fed, FeedRefusal, Message, Phase, Refusal, TaskId};

#[derive(Debug)]
pub(super) struct EmitterModel {
    pub(super) id: EmitterId,
    pub(super) guard: [u32; 3],
    pub(super) fed: Fed,
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Attach { guard, .. } => model.attach(guard, given),
            Self::Detach { emitter, .. } => Answer::Detached(model.detach(emitter)),
            Self::Feed { emitter, offer, .. } => model.feed(emitter, offer, given),
            Self::FeedBatch { emitter, ref offers, .. } => model.feed_batch(emitter, offers),
            Self::FeedError { emitter, text, .. } => model.feed_error(emitter, text),
        }
    }
}

impl Model {
    fn attach(&mut self, guard: [u32; 3], given: &Answer) -> Answer {
        if self.phase != Phase::Open {
            return Answer::Emitter(Err((AttachRefusal::Closed, guard)));
        }
        if size(self.emitters.iter()) >= self.most(self.limits.emitters, Class::Emitters) {
            return Answer::Emitter(Err((AttachRefusal::Full, guard)));
        }
        let Answer::Emitter(Ok(id)) = *given else {
            self.complain("there is room for an emitter, and it was refused");
            return given.clone();
        };
        self.emitters.push(EmitterModel { id, guard, fed: Fed::default() });
        self.publish(|_| Event::Attached { emitter: id });
        Answer::Emitter(Ok(id))
    }

    pub(super) fn detach(&mut self, id: EmitterId) -> Option<Detached> {
        let at = self.emitters.iter().position(|emitter| emitter.id == id)?;
        let EmitterModel { id, guard, fed } = self.emitters.remove(at);
        self.publish(|_| Event::Detached { emitter: id });
        Some(Detached { emitter: id, guard, fed })
    }

    fn emitter(&mut self, id: EmitterId) -> Option<&mut EmitterModel> {
        self.emitters.iter_mut().find(|emitter| emitter.id == id)
    }

    fn feed(&mut self, emitter: EmitterId, offer: Offer, given: &Answer) -> Answer {
        let id = match *given {
            Answer::Task(Ok(id)) => Some(id),
            _ => None,
        };
        Answer::Task(match self.fed(emitter, offer, id) {
            Ok(()) => Ok(self.id_of(offer.meta)),
            Err(reason) => Err((Why::Feed(reason), offer.returned())),
        })
    }

    fn fed(&mut self, emitter: EmitterId, offer: Offer, id: Option<TaskId>) -> Result<(), FeedRefusal> {
        if self.emitter(emitter).is_none() {
            return Err(FeedRefusal::Detached);
        }
        let refusal = self.terms_refusal(offer).or_else(|| self.room_refusal(offer));
        let admitted = self.admit(offer, refusal, id);
        if let Some(emitter) = self.emitter(emitter) {
            one(if admitted.is_ok() { &mut emitter.fed.admitted } else { &mut emitter.fed.refused });
        }
        admitted.map_err(FeedRefusal::Task)
    }

    fn feed_batch(&mut self, emitter: EmitterId, offers: &[Option<Offer>]) -> Answer {
        let mut left: Vec<Option<Returned>> = offers.iter().map(|offer| offer.map(Offer::returned)).collect();
        let (mut admitted, mut looked_at, mut refused, mut stopped_by) = (0, 0, None, None);
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
            if let Err(reason) = self.fed(emitter, offer, None) {
                refused = refused.or(Some(reason));
                looked_at += 1;
                let is_for_its_terms = matches!(
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
                );
                if is_for_its_terms {
                    continue;
                }
                stopped_by = Some(reason);
                break;
            }
            admitted += 1;
            *place = None;
        }
        // All tasks that are handed back were refused. Those that were looked at are counted already.
        let behind = left.iter().flatten().skip(looked_at).count() as u64;
        if let Some(emitter) = self.emitter(emitter) {
            emitter.fed.refused += behind;
            self.totals.offered += behind;
            self.totals.refused += behind;
            if let Some(FeedRefusal::Task(reason)) = stopped_by {
                *self.refusals.entry(reason.name()).or_default() += behind;
            }
        }
        Answer::Batch { admitted, refused, left }
    }

    fn feed_error(&mut self, id: EmitterId, text: u32) -> Answer {
        let Some(emitter) = self.emitter(id) else { return Answer::Taken(false) };
        one(&mut emitter.fed.errors);
        one(&mut self.totals.emitter_errors);
        self.error(ErrorKind::Emitter, None, Some(id), 0, Message::of(&text));
        self.publish(|_| Event::EmitterFailed { emitter: id });
        Answer::Taken(true)
    }
}
