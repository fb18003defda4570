//! Tasks that leave the queue before their turn.

use super::{Model, Stage, Task};
use crate::testkit::calls::overflow::{Answer, Call};
use crate::testkit::calls::submissions::Offer;
use crate::testkit::flaws::Flaw;
use crate::{CancelReason, OutcomeKind, Overflow, Priority, PriorityRefusal, Refusal, Scope, TaskId};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        match *self {
            Self::Clear { scope, budget, .. } => Answer::Cleared(model.clear(scope, budget)),
            Self::SetPriority { task, priority, .. } => Answer::Priority(model.set_priority(task, priority)),
        }
    }
}

impl Model {
    fn clear(&mut self, scope: Scope, budget: u32) -> u32 {
        let is_in = |task: &Task| match scope {
            Scope::All => true,
            Scope::Class(priority) => task.priority == priority,
            Scope::Lane(key) => task.lane_key() == Some(key),
        };
        for cleared in 0..budget {
            let Some(meta) = self.oldest(is_in) else { return cleared };
            self.settle_cancelled(meta, Some(CancelReason::CLEARED));
        }
        budget
    }

    /// The queued task that arrived first, of those for which this is true.
    fn oldest(&self, which: impl Fn(&Task) -> bool) -> Option<u32> {
        let queued = self.tasks.iter().filter(|task| task.is_queued() && which(task));
        queued.min_by_key(|task| task.place()).map(|task| task.meta)
    }

    fn set_priority(&mut self, id: TaskId, priority: Priority) -> Result<(), PriorityRefusal> {
        let task = self.named(id).ok_or(PriorityRefusal::NotFound)?;
        if !task.is_waiting() {
            return Err(PriorityRefusal::NotWaiting);
        }
        let (meta, is_other) = (task.meta, task.priority != priority);
        let place = self.queued_ever + 1;
        if self.has(Flaw::KeepsPriorities) {
            return Ok(());
        }
        let Some(task) = self.at(meta) else { return Ok(()) };
        task.priority = priority;
        if let (Stage::Queued { since, .. }, true) = (task.stage, is_other) {
            task.stage = Stage::Queued { since, place };
            self.queued_ever = place;
        }
        Ok(())
    }

    /// Sheds a task to make room for this one, which would be refused for this reason. Returns the reason if it is refused
    /// still.
    pub(super) fn make_room(&mut self, reason: Refusal, offer: Offer, has_place: bool) -> Option<Refusal> {
        let lane = offer.order.lane();
        let is_in = |task: &Task| match reason {
            Refusal::Full => true,
            Refusal::LaneFull => task.lane_key() == lane.map(|lane| lane.key()),
            _ => false,
        };
        let victim = match self.limits.overflow {
            Overflow::Refuse => None,
            Overflow::DropOldest if self.has(Flaw::ShedsNewest) => self.newest(is_in),
            Overflow::DropOldest => self.oldest(is_in),
            Overflow::DropLowest => {
                let queued = self.tasks.iter().filter(|task| task.is_queued() && is_in(task));
                let lowest = queued.map(|task| task.priority).min();
                let own = offer.order.priority();
                let gives_way =
                    |lowest: &Priority| *lowest < own || self.has(Flaw::ShedsEqual) && *lowest == own;
                lowest
                    .filter(gives_way)
                    .and_then(|lowest| self.newest(|task| is_in(task) && task.priority == lowest))
            }
        };
        let fits_in_lane = match lane {
            Some(lane) if reason == Refusal::LaneFull => {
                self.room_in(lane).is_some_and(|room| self.queued_in(Some(lane.key())) <= room)
            }
            _ => true,
        };
        let room = self.limits.queue + self.free() + u32::from(self.has(Flaw::OneTooMany));
        let fits = !self.has_waiter() && self.slot_room() > 0 && self.waiting_now() <= room;
        let has_room_after_one = fits_in_lane && (fits || has_place);
        let has_slot = has_place || self.slot_room() > 0;
        let older = self.replaced_by(offer.order.unique()).and_then(|older| self.task(older));
        let takes_its_place = older.is_some_and(|older| match reason {
            Refusal::Full | Refusal::LaneFull if older.is_behind => has_slot && older.delivery.is_none(),
            Refusal::Full | Refusal::LaneFull => older.is_queued() && is_in(older) && has_room_after_one,
            Refusal::Delayed => {
                let is_alike = !older.is_queued() && older.delivery.is_none();
                is_alike && has_slot && self.refusal_of_parts(offer).is_none()
            }
            _ => false,
        });
        if takes_its_place {
            return None;
        }
        let gives_way = |victim: &u32| has_room_after_one && !self.is_delivered(*victim);
        let Some(victim) = victim.filter(gives_way) else { return Some(reason) };
        self.settle(victim, OutcomeKind::Shed, None);
        None
    }

    fn newest(&self, which: impl Fn(&Task) -> bool) -> Option<u32> {
        let queued = self.tasks.iter().filter(|task| task.is_queued() && which(task));
        queued.max_by_key(|task| task.place()).map(|task| task.meta)
    }
}
