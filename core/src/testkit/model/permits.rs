//! Permits, and the line of waiters for one.

use core::num::NonZeroU32;

use super::{Model, size};
use crate::testkit::calls::effects::Done;
use crate::testkit::calls::permits::{Answer, Call, Room};
use crate::testkit::calls::submissions::{Offer, Why};
use crate::testkit::flaws::{Class, Flaw};
use crate::{PermitId, PermitRefusal, Phase, Refusal, ReserveRefusal, WaitRefusal};

/// A permit, or a waiter for one.
#[derive(Debug)]
pub(super) struct Permit {
    id: PermitId,
    pub(super) waiter: Option<u32>,
    count: u32,
    turn: Turn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    InLine,
    Granted,
    Denied,
}

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        match *self {
            Self::SubmitReserved { permit, offer, .. } => model.submit_reserved(permit, offer, given),
            Self::Reserve { count, .. } => model.reserve(count, given),
            Self::WaitForRoom { waiter, count, .. } => model.wait_for_room(waiter, count, given),
            Self::Rewait { id, waiter } => model.rewait(id, waiter),
            Self::GiveBack { id, count, .. } => model.give_back(id, count),
            Self::Leave { id, .. } => Answer::Left(model.leave(id)),
        }
    }
}

impl Model {
    /// How many places permits hold.
    pub(super) fn permits(&self) -> u32 {
        self.line.iter().filter(|permit| permit.turn == Turn::Granted).map(|permit| permit.count).sum()
    }

    pub(super) fn has_waiter(&self) -> bool {
        self.line.iter().any(|permit| permit.turn == Turn::InLine)
    }

    /// How many more tasks may be routed to handles.
    pub(super) fn unclaimed_room(&self) -> u32 {
        let permits = if self.has(Flaw::PermitsTakeNoHandles) { 0 } else { self.permits() };
        self.limits.unclaimed_slots().saturating_sub(self.handles() + permits)
    }

    /// Whether the first in line can be called.
    pub(super) fn can_call_first(&self) -> bool {
        let first = self.line.iter().find(|permit| permit.turn == Turn::InLine);
        let ignores = self.has(Flaw::GrantsRoomForOne);
        self.phase == Phase::Open
            && first.is_some_and(|first| {
                let count = if ignores { 1 } else { first.count };
                count <= self.queue_room() && count <= self.slot_room()
            })
    }

    pub(super) fn call_first(&mut self) -> Option<Done> {
        if !self.can_call_first() {
            return None;
        }
        let room = self.unclaimed_room();
        let first = self.line.iter_mut().find(|permit| permit.turn == Turn::InLine)?;
        first.turn = if first.count <= room { Turn::Granted } else { Turn::Denied };
        first.waiter.take().map(Done::Wake)
    }

    fn is_too_many(&self, count: NonZeroU32) -> bool {
        let (room, unclaimed) = (self.limits.queue + self.limits.concurrency, self.limits.unclaimed_slots());
        count.get() > room || count.get() > unclaimed
    }

    fn reserve(&mut self, count: NonZeroU32, given: &Answer) -> Answer {
        let all = size(self.line.iter());
        let refusal = if self.phase != Phase::Open {
            ReserveRefusal::Closed
        } else if self.is_too_many(count) {
            ReserveRefusal::TooMany
        } else if self.has_waiter() || self.queue_room() < count.get() {
            ReserveRefusal::Full
        } else if self.slot_room() < count.get() {
            ReserveRefusal::Backlog
        } else if self.unclaimed_room() < count.get() {
            ReserveRefusal::Unclaimed
        } else if all >= self.most(self.limits.waiters, Class::Waiters) {
            ReserveRefusal::Waiters
        } else if let Answer::Permit(Ok(id)) = *given {
            self.join(id, None, count, Turn::Granted);
            return Answer::Permit(Ok(id));
        } else {
            self.complain("there was room, and none was reserved");
            return *given;
        };
        Answer::Permit(Err(refusal))
    }

    fn wait_for_room(&mut self, waiter: u32, count: NonZeroU32, given: &Answer) -> Answer {
        let all = size(self.line.iter());
        let refusal = if self.phase != Phase::Open {
            WaitRefusal::Closed
        } else if self.is_too_many(count) {
            WaitRefusal::TooMany
        } else if all >= self.most(self.limits.waiters, Class::Waiters) {
            WaitRefusal::Waiters
        } else if let Answer::Waiter(Ok(id)) = *given {
            self.join(id, Some(waiter), count, Turn::InLine);
            return Answer::Waiter(Ok(id));
        } else {
            self.complain("the line is not full, and a waiter was refused");
            return *given;
        };
        Answer::Waiter(Err((refusal, waiter)))
    }

    fn join(&mut self, id: PermitId, waiter: Option<u32>, count: NonZeroU32, turn: Turn) {
        if self.line.iter().any(|permit| permit.id == id) {
            self.complain("a permit's id was given out twice");
        }
        self.line.push(Permit { id, waiter, count: count.get(), turn });
    }

    fn rewait(&mut self, id: PermitId, waiter: u32) -> Answer {
        let Some(permit) = self.line.iter_mut().find(|permit| permit.id == id) else {
            return Answer::Room(Room::Gone(waiter));
        };
        Answer::Room(match permit.turn {
            Turn::Granted => Room::Granted(waiter),
            Turn::InLine => Room::Waiting(permit.waiter.replace(waiter)),
            Turn::Denied => {
                self.line.retain(|permit| permit.id != id);
                Room::Unclaimed(waiter)
            }
        })
    }

    fn granted(&mut self, id: PermitId) -> Option<&mut Permit> {
        self.line.iter_mut().find(|permit| permit.id == id && permit.turn == Turn::Granted)
    }

    /// The terms are checked as if the place had been given back before.
    fn submit_reserved(&mut self, id: PermitId, offer: Offer, given: &Answer) -> Answer {
        let Answer::Task(given) = *given else { return *given };
        let uses = if self.has(Flaw::UsesTwoPlaces) { 2 } else { 1 };
        let why = |reason| Why::Permit(PermitRefusal::Task(reason));
        let is_open = self.phase == Phase::Open;
        let Some(permit) = self.granted(id) else {
            if !is_open {
                return Answer::Task(self.offered(offer, Some(Refusal::Closed), given, why));
            }
            return Answer::Task(Err((Why::Permit(PermitRefusal::NotGranted), offer.returned())));
        };
        let count = permit.count;
        permit.count = count - 1;
        let refusal = self.terms_refusal(offer);
        let refusal = refusal.and_then(|reason| self.make_room(reason, offer, true));
        if let Some(permit) = self.granted(id) {
            permit.count = if refusal.is_none() { count.saturating_sub(uses) } else { count };
        }
        self.line.retain(|permit| permit.count > 0);
        Answer::Task(self.offered(offer, refusal, given, why))
    }

    fn give_back(&mut self, id: PermitId, count: u32) -> Answer {
        let Some(permit) = self.granted(id) else { return Answer::GivenBack(0) };
        let given = count.min(permit.count);
        permit.count -= given;
        self.line.retain(|permit| permit.count > 0);
        Answer::GivenBack(given)
    }

    fn leave(&mut self, id: PermitId) -> Option<Option<u32>> {
        let gives_one = self.has(Flaw::LeavesOnePlace);
        let place = self.line.iter().position(|permit| permit.id == id)?;
        match self.line.get_mut(place) {
            Some(permit) if gives_one && permit.turn == Turn::Granted && permit.count > 1 => {
                permit.count -= 1;
                Some(None)
            }
            _ => Some(self.line.remove(place).waiter),
        }
    }

    /// Sends the next waiter in line away, and takes the permits after the last one.
    pub(super) fn send_away_any(&mut self) -> Option<Permit> {
        self.line.sort_by_key(|permit| permit.turn != Turn::InLine);
        if self.line.is_empty() { None } else { Some(self.line.remove(0)) }
    }
}
