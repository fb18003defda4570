//! The life of a delivery, from stage to stage.

use super::source::Source;
use super::{Entry, SourceTerms, Sources, Stage, Verdict};
use crate::ids::{DeliveryId, SourceId};
use crate::{Instant, Message};

impl<W> Sources<W> {
    /// Takes in a delivery, during a pull that has room for it. It has neither a task nor a verdict yet.
    pub(crate) fn admit(&mut self, id: SourceId, is_redelivered: bool) -> Option<DeliveryId> {
        let index = self.sources.index_of(id);
        let source = self.sources.get_mut(id).filter(|source| !source.is_closed)?;
        let pull = source.pull.as_mut().filter(|pull| pull.room > 0)?;
        let entry =
            Entry { source: index, stage: Stage::Held, task: None, round: source.round, verdict: None };
        let Ok(delivery) = self.deliveries.insert(entry) else {
            debug_assert!(false, "there is a slot for each place of the credit");
            return None;
        };
        pull.room = pull.room.saturating_sub(1);
        pull.delivered = pull.delivered.saturating_add(1);
        pull.redelivered = pull.redelivered.saturating_add(u32::from(is_redelivered));
        source.deliveries = source.deliveries.saturating_add(1);
        source.held.push_back(&mut self.links, self.deliveries.index_of(delivery));
        self.pulling = self.pulling.saturating_sub(1);
        self.unconfirmed = self.unconfirmed.saturating_add(1);
        self.accounts.1.enter();
        Some(delivery)
    }

    /// A delivery has its task in this slot: it is held until that settles. Returns the slot of its source, whose timer may
    /// have to be armed.
    pub(crate) fn hold(&mut self, delivery: DeliveryId, task: u32, now: Instant) -> Option<u32> {
        let entry = self.deliveries.get_mut(delivery)?;
        entry.task = Some(task);
        self.sources.at_mut(entry.source)?.begin_renewals(now);
        Some(entry.source)
    }

    /// The terms of the source of a delivery.
    pub(crate) fn terms_of(&self, delivery: DeliveryId) -> Option<SourceTerms> {
        let entry = self.deliveries.get(delivery)?;
        self.sources.at(entry.source).map(|source| source.terms)
    }

    /// The slot of the task of the delivery in slot `index`, if it is not settled.
    pub(crate) fn task_of(&self, index: u32) -> Option<u32> {
        self.deliveries.at(index).filter(|entry| entry.stage == Stage::Held)?.task
    }

    /// Notes the verdict that a delivery will have when its task settles.
    pub(crate) fn plan(&mut self, delivery: DeliveryId, verdict: Verdict) {
        if let Some(entry) = self.deliveries.get_mut(delivery).filter(|entry| entry.stage == Stage::Held) {
            entry.verdict = Some(verdict);
        }
    }

    /// The verdict that was noted for a delivery.
    pub(crate) fn planned(&self, delivery: DeliveryId) -> Option<Verdict> {
        self.deliveries.get(delivery)?.verdict
    }

    /// The task of a delivery is settled. Returns its source; `None` if nobody will ask for the verdict.
    pub(crate) fn judge(&mut self, delivery: DeliveryId, verdict: Verdict) -> Option<SourceId> {
        let index = self.deliveries.index_of(delivery);
        let entry = self.deliveries.get_mut(delivery).filter(|entry| entry.stage == Stage::Held)?;
        let source = self.sources.at_mut(entry.source)?;
        source.held.remove(&mut self.links, index);
        entry.verdict = Some(verdict);
        if source.is_closed {
            self.finish(index);
            return None;
        }
        entry.stage = Stage::Owed;
        source.owed.push_back(&mut self.links, index);
        let source = entry.source;
        self.wake(source);
        self.sources.id_at(source)
    }

    /// Adds the text of the last error to the verdict of a delivery, if it is dead and the host does not have it yet.
    pub(crate) fn explain(&mut self, delivery: DeliveryId, text: &Message) {
        let entry = self.deliveries.get_mut(delivery).filter(|entry| entry.stage == Stage::Owed);
        if let Some(Verdict::Dead { message, .. }) = entry.and_then(|entry| entry.verdict.as_mut()) {
            *message = *text;
        }
    }

    /// Takes the next verdict for the engine.
    pub(crate) fn next_verdict(&mut self, id: SourceId) -> Option<(DeliveryId, Verdict)> {
        let source = self.sources.get_mut(id).filter(|source| !source.is_closed && !source.is_down())?;
        let index = source.owed.pop_front(&mut self.links)?;
        source.leaving.push_back(&mut self.links, index);
        let (delivery, entry) = self.deliveries.entry(index)?;
        entry.stage = Stage::Leaving;
        Some((delivery, entry.verdict?))
    }

    /// The engine has confirmed a verdict. Returns whether that was waited for.
    pub(crate) fn confirm(&mut self, delivery: DeliveryId) -> bool {
        let Some(index) = self.take_back(delivery) else { return false };
        if let Some(source) = self.deliveries.at(index).and_then(|entry| self.sources.at_mut(entry.source)) {
            source.failures = 0;
        }
        self.finish(index);
        true
    }

    /// The engine has not confirmed a verdict: it waits for the host again. Returns whether that was waited for.
    pub(crate) fn owe_again(&mut self, delivery: DeliveryId) -> bool {
        let Some(index) = self.take_back(delivery) else { return false };
        let Some(entry) = self.deliveries.at_mut(index) else { return false };
        let of = entry.source;
        match self.sources.at_mut(of) {
            Some(source) if !source.is_closed => {
                entry.stage = Stage::Owed;
                source.owed.push_back(&mut self.links, index);
                self.wake(of);
            }
            _ => self.finish(index),
        }
        true
    }

    /// Takes a delivery whose verdict the host has out of the list of those.
    fn take_back(&mut self, delivery: DeliveryId) -> Option<u32> {
        let index = self.deliveries.index_of(delivery);
        let entry = self.deliveries.get(delivery).filter(|entry| entry.stage == Stage::Leaving)?;
        self.sources.at_mut(entry.source)?.leaving.remove(&mut self.links, index);
        Some(index)
    }

    /// The delivery in slot `index`, which is in no list any more, is confirmed, or nobody will ask for its verdict.
    pub(super) fn finish(&mut self, index: u32) {
        let Some(entry) = self.deliveries.at_mut(index) else { return };
        entry.stage = Stage::Confirmed;
        let (source, has_task) = (entry.source, entry.task.is_some());
        self.unconfirmed = self.unconfirmed.saturating_sub(1);
        if has_task {
            // It may have been the last one.
            self.wake(source);
        } else {
            self.free(index);
        }
    }

    /// The task of a delivery has left its slot.
    pub(crate) fn leave_task(&mut self, delivery: DeliveryId) {
        let index = self.deliveries.index_of(delivery);
        let Some(entry) = self.deliveries.get_mut(delivery) else { return };
        entry.task = None;
        if entry.stage == Stage::Confirmed {
            self.free(index);
        }
    }

    /// Frees the slot of a delivery, and with the last one of a closed source that source.
    fn free(&mut self, index: u32) {
        let Some(Entry { source: of, .. }) = self.deliveries.take(index, 0) else { return };
        let Some(source) = self.sources.at_mut(of) else { return };
        source.deliveries = source.deliveries.saturating_sub(1);
        self.accounts.1.leave();
        self.wake(of);
        self.free_if_closed(of);
    }

    pub(super) fn free_if_closed(&mut self, index: u32) {
        let is_over = |source: &&Source<W>| source.is_closed && source.deliveries == 0;
        if self.sources.at(index).filter(is_over).is_some() {
            self.remove(index);
        }
    }
}
