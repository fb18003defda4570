//! The end of the machine.

use core::time::Duration;

use super::{Model, Owner, Parting, Stage, Task};
use crate::testkit::calls::effects::Done;
use crate::testkit::flaws::Flaw;
use crate::testkit::order::Way;
use crate::{CancelReason, Drain, Event, Phase};

impl Model {
    pub(super) fn drain(&mut self, mode: Drain) {
        if self.phase == Phase::Drained {
            return;
        }
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
            self.disarm(Owner::Health);
            self.disarm(Owner::Sweep);
            self.sweep_due = false;
            self.intervals = [false; 2];
            self.wake_all_sources();
            self.inlet.handing_back = (self.inlet.unconfirmed() > 0).then_some(0);
            self.publish(|_| Event::Draining);
        }
        match mode {
            Drain::Graceful(within) => self.drain_within(within),
            Drain::Cancel => self.end_now(false),
            Drain::Abort => self.end_now(true),
        }
    }

    /// The earlier deadline wins.
    fn drain_within(&mut self, within: Duration) {
        if self.ending {
            return;
        }
        let at = self.now.saturating_add(within);
        let earlier = self.timers.iter().any(|timer| timer.owner == Owner::Drain && timer.at <= at);
        if !earlier {
            self.disarm(Owner::Drain);
            self.arm(Some(at), Owner::Drain);
        }
    }

    pub(super) fn end_now(&mut self, discards: bool) {
        let discards = discards || self.has(Flaw::KeepsNothing);
        self.disarm(Owner::Drain);
        self.disarm(Owner::Gate);
        self.ending = true;
        self.inlet.handing_back = None;
        self.cache.is_closed = true;
        if discards && !self.discards {
            self.walked = 0;
            self.walked_again = 0;
        }
        self.discards |= discards;
    }

    /// Whether all admitted tasks are settled.
    pub(super) fn is_quiet(&self) -> bool {
        self.count(|task| task.is_waiting() || task.is_running()) == 0
    }

    pub(super) fn end_goes_on(&self) -> bool {
        if self.phase != Phase::Draining {
            return false;
        }
        match (self.ending, self.is_walked()) {
            (false, _) => self.inlet.handing_back.is_some() || (self.is_quiet() && self.inlet.is_settled()),
            (true, false) => true,
            (true, true) => self.count(Task::is_orphan) > 0 && !self.has_effect(),
        }
    }

    fn is_walked(&self) -> bool {
        self.ending && self.walked >= self.walk_length()
    }

    /// How many slots, lanes and deliveries the first walk visits.
    fn walk_length(&self) -> u32 {
        self.limits.task_slots() + self.lane_numbers() + self.limits.credit()
    }

    /// Visits as many slots as the budget allows. Returns how many.
    pub(super) fn walk(&mut self, budget: u32) -> u32 {
        if budget == 0 || !self.end_goes_on() {
            return 0;
        }
        if let Some(start) = self.inlet.handing_back {
            return self.hand_back(start, budget);
        }
        if !self.ending {
            self.end_now(false);
        }
        let steps = budget.min(self.walk_length() - self.walked);
        // If nothing is left to settle or to discard, one step covers all slots that are left.
        let retained = self.count(|task| task.way == Way::Retain && task.held);
        let nothing_left = if self.discards {
            self.tasks.is_empty()
        } else {
            self.is_quiet() && self.kept.is_empty() && retained == 0
        } && self.keyed_lanes() == 0
            && self.inlet.unconfirmed() == 0;
        for _ in 0..steps {
            let slot = self.walked;
            self.walked += 1;
            match slot.checked_sub(self.limits.task_slots()) {
                Some(number) if number < self.lane_numbers() => self.end_lane(number),
                Some(number) => self.end_delivery(number - self.lane_numbers()),
                None => {}
            }
            self.in_slot(slot).into_iter().for_each(|meta| self.give_up(meta));
        }
        if nothing_left {
            self.walked = self.walk_length();
        }
        let mut used = steps;
        while used < budget && self.is_walked() && self.end_goes_on() {
            used += 1;
            let slot = self.walked_again;
            self.walked_again += 1;
            self.in_slot(slot).into_iter().for_each(|meta| self.abandon(meta));
        }
        used
    }

    fn in_slot(&self, slot: u32) -> Option<u32> {
        self.tasks.iter().find(|task| task.slot == slot).map(|task| task.meta)
    }

    /// Settles a task, or discards an outcome that the end does not keep.
    fn give_up(&mut self, meta: u32) {
        let Some(task) = self.task(meta) else { return };
        let is_kept = task.way == Way::Handle && !self.discards;
        if task.stage != Stage::Over {
            self.remains.cancelled += 1;
            self.settle_cancelled(meta, Some(CancelReason::ENDED));
        } else if !(task.released
            || is_kept
            || task.owes_to(Parting::Settle)
            || task.owes_to(Parting::Discard))
        {
            let waits = task.held && task.waiter.is_some();
            self.kept.retain(|&other| other != meta);
            self.part(meta, Parting::Discard);
            if waits {
                self.part(meta, Parting::Wake);
            }
        }
    }

    /// Abandons an attempt that still runs.
    pub(super) fn abandon(&mut self, meta: u32) {
        let Some(task) = self.at(meta).filter(|task| task.is_orphan()) else { return };
        task.placed = false;
        self.leave_lane(meta);
        self.leave_key(meta);
        self.remains.abandoned += 1;
        self.forget_if_over(meta);
    }

    pub(super) fn has_last_effect(&self) -> bool {
        self.is_walked() && (self.count(Task::is_orphan) == 0 || self.cache.len() > 0)
    }

    /// Waiters for room are sent away, then emitters are detached, then schedules end.
    pub(super) fn send_away(&mut self) -> Option<Done> {
        while let Some(permit) = self.send_away_any() {
            self.remains.waiters += 1;
            if let Some(waiter) = permit.waiter {
                return Some(Done::Wake(waiter));
            }
        }
        let Some(id) = self.emitters.first().map(|emitter| emitter.id) else {
            return self.end_oldest_schedule().map(Done::Unschedule);
        };
        self.remains.detached += 1;
        self.detach(id).map(Done::Detach)
    }

    /// The last effects: cache entries, waiters for events, the end.
    pub(super) fn last_effect(&mut self) -> Option<Done> {
        if self.phase != Phase::Draining || !self.is_walked() {
            return None;
        }
        if let Some((key, token, value)) = self.cache.pop() {
            self.remains.cached += 1;
            return Some(Done::Uncache(key, token, value));
        }
        if self.count(Task::is_orphan) > 0 {
            return None;
        }
        if let Some(wake) = self.end_sources() {
            return Some(wake);
        }
        while self.discards && self.ring.len() > 0 {
            self.remains.subscribers += 1;
            if let Some(waiter) = self.ring.remove_any().flatten() {
                return Some(Done::Wake(waiter));
            }
        }
        self.ring.close();
        if let Some(waiter) = self.ring.wake() {
            return Some(Done::Wake(waiter));
        }
        self.phase = Phase::Drained;
        self.remains.kept = self.count(|task| task.way == Way::Handle && task.is_kept());
        self.remains.subscribers += super::size(0..self.ring.len());
        self.remains.totals = self.totals;
        Some(Done::Drained)
    }
}
