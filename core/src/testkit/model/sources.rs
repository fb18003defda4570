//! The sources, and the answers to what they feed in.

use alloc::vec::Vec;

use super::{Model, one, size};
use crate::testkit::calls::sources::{Answer, Call, Detached};
use crate::testkit::calls::submissions::{Offer, Returned, Why};
use crate::testkit::flaws::{Class, Flaw};
use crate::{AttachRefusal, ErrorKind, Event, Fed, FeedRefusal, Message, Phase, Refusal, SourceId, TaskId};

#[derive(Debug)]
pub(super) struct SourceModel {
    pub(super) id: SourceId,
    pub(super) guard: [u32; 3],
    pub(super) fed: Fed,
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::Attach { guard, .. } => model.attach(guard, given),
            Self::Detach { source, .. } => Answer::Detached(model.detach(source)),
            Self::Feed { source, offer, .. } => model.feed(source, offer, given),
            Self::FeedBatch { source, ref offers, .. } => model.feed_batch(source, offers),
            Self::FeedError { source, text, .. } => model.feed_error(source, text),
        }
    }
}

impl Model {
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
        Answer::Task(match self.fed(source, offer, id) {
            Ok(()) => Ok(self.id_of(offer.meta)),
            Err(reason) => Err((Why::Feed(reason), offer.returned())),
        })
    }

    fn fed(&mut self, source: SourceId, offer: Offer, id: Option<TaskId>) -> Result<(), FeedRefusal> {
        if self.source(source).is_none() {
            return Err(FeedRefusal::Detached);
        }
        let refusal = self.terms_refusal(offer).or_else(|| self.room_refusal(offer));
        let admitted = self.admit(offer, refusal, id);
        if let Some(source) = self.source(source) {
            one(if admitted.is_ok() { &mut source.fed.admitted } else { &mut source.fed.refused });
        }
        admitted.map_err(FeedRefusal::Task)
    }

    fn feed_batch(&mut self, source: SourceId, offers: &[Option<Offer>]) -> Answer {
        let mut left: Vec<Option<Returned>> = offers.iter().map(|offer| offer.map(Offer::returned)).collect();
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
        one(&mut source.fed.errors);
        one(&mut self.totals.source_errors);
        self.error(ErrorKind::Source, None, Some(id), 0, Message::of(&text));
        self.publish(|_| Event::SourceFailed { source: id });
        Answer::Taken(true)
    }
}
