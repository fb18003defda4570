//! What the model keeps of sources and their deliveries.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::{after, size};
use crate::{DeliveryId, Instant, SourceId, SourceTerms, Verdict};

/// All sources, and all deliveries that take a place.
#[derive(Debug, Default)]
pub(super) struct Inlet {
    pub(super) sources: Vec<Source>,
    pub(super) deliveries: Vec<Delivery>,
    /// Sources whose waiter is to be woken.
    pub(super) to_wake: VecDeque<SourceId>,
    /// Free slots of deliveries and of sources, each with the one freed last at the end, and the numbers of slots ever used.
    pub(super) free_slots: [Vec<u32>; 2],
    pub(super) fresh_slot: [u32; 2],
    /// How often a delivery has come to another stage.
    pub(super) moves: u64,
    /// While a drain hands back: the next slot.
    pub(super) handing_back: Option<u32>,
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: SourceId,
    pub(super) slot: u32,
    pub(super) terms: SourceTerms,
    pub(super) waiter: Option<u32>,
    pub(super) pull: Option<Pull>,
    pub(super) failures: u32,
    pub(super) down_until: Option<Instant>,
    pub(super) renew_at: Option<Instant>,
    pub(super) is_renewing: bool,
    pub(super) is_finished: bool,
    pub(super) is_closed: bool,
}

#[derive(Debug)]
pub(super) struct Pull {
    pub(super) room: u32,
    pub(super) delivered: u32,
    pub(super) redelivered: u32,
}

#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) id: DeliveryId,
    pub(super) source: SourceId,
    pub(super) slot: u32,
    /// Its place among all that ever came to a stage.
    pub(super) place: u64,
    pub(super) stage: Held,
    /// The metadata of its task, as long as that has a slot.
    pub(super) task: Option<u32>,
    /// Whether it was renewed in the round under way, or came later.
    pub(super) is_renewed: bool,
    pub(super) verdict: Option<Verdict>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    Unsettled,
    Owed,
    Leaving,
    Confirmed,
}

pub(super) const HANDED_BACK: Verdict = Verdict::Again { after: Duration::ZERO, counted: false };

/// The kinds of slots.
pub(super) const OF_DELIVERIES: usize = 0;
pub(super) const OF_SOURCES: usize = 1;

impl Inlet {
    pub(super) fn take_slot(&mut self, kind: usize) -> u32 {
        let (Some(free), Some(fresh)) = (self.free_slots.get_mut(kind), self.fresh_slot.get_mut(kind)) else {
            return 0;
        };
        free.pop().unwrap_or_else(|| core::mem::replace(fresh, *fresh + 1))
    }

    pub(super) fn give_slot_back(&mut self, kind: usize, slot: u32) {
        self.free_slots.get_mut(kind).into_iter().for_each(|free| free.push(slot));
    }

    /// All sources, by slot.
    pub(super) fn by_slot(&self) -> Vec<SourceId> {
        let mut all: Vec<_> = self.sources.iter().map(|source| (source.slot, source.id)).collect();
        all.sort_unstable_by_key(|(slot, _)| *slot);
        all.into_iter().map(|(_, id)| id).collect()
    }

    pub(super) fn next_place(&mut self) -> u64 {
        self.moves += 1;
        self.moves
    }

    pub(super) fn source(&mut self, id: SourceId) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.id == id && !source.is_closed)
    }

    pub(super) fn delivery(&mut self, id: DeliveryId) -> Option<&mut Delivery> {
        self.deliveries.iter_mut().find(|delivery| delivery.id == id)
    }

    pub(super) fn count(&self, source: SourceId, which: impl Fn(&Delivery) -> bool) -> u32 {
        size(self.deliveries.iter().filter(|delivery| delivery.source == source && which(delivery)))
    }

    pub(super) fn unconfirmed_of(&self, source: SourceId) -> u32 {
        self.count(source, |delivery| delivery.stage != Held::Confirmed)
    }

    /// The oldest delivery of a source in this stage.
    pub(super) fn first(&self, source: SourceId, stage: Held) -> Option<DeliveryId> {
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

impl Source {
    pub(super) fn next_round(&self, now: Instant) -> Option<Instant> {
        after(now, Duration::from_nanos(self.terms.lease / 3)).filter(|_| self.terms.lease > 0)
    }
}
