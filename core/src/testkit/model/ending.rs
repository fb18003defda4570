//! The end.

use core::time::Duration;

use super::{Model, Owner, Parting, Stage};
use crate::testkit::call::{Answer, Done};
use crate::testkit::script::Way;
use crate::{Event, OutcomeKind, Phase};

impl Model {
    pub(super) fn drain(&mut self, within: Option<Duration>) -> Answer {
        if self.phase == Phase::Drained {
            return Answer::Nothing;
        }
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
            self.disarm(Owner::Health);
            self.disarm(Owner::Sweep);
            self.sweep_due = false;
            self.intervals = [false; 2];
            self.publish(|_| Event::Draining);
        }
        match within {
            None => self.abort(),
            Some(within) => self.drain_within(within),
        }
        Answer::Nothing
    }

    /// The earlier deadline wins.
    fn drain_within(&mut self, within: Duration) {
        if self.aborting {
            return;
        }
        let at = self.now.saturating_add(within);
        let earlier = self.timers.iter().any(|timer| timer.owner == Owner::Drain && timer.at <= at);
        if !earlier {
            self.disarm(Owner::Drain);
            self.arm(Some(at), Owner::Drain);
        }
    }

    pub(super) fn abort(&mut self) {
        self.disarm(Owner::Drain);
        self.aborting = true;
        self.cache.is_closed = true;
    }

    fn is_quiet(&self) -> bool {
        let busy = self.count(|task| task.is_waiting() || task.is_running() || task.is_orphan());
        busy == 0 && self.handles() == 0 && self.outbox.is_empty()
    }

    pub(super) fn end_goes_on(&self) -> bool {
        self.phase == Phase::Draining && if self.aborting { !self.is_walked() } else { self.is_quiet() }
    }

    pub(super) fn is_walked(&self) -> bool {
        self.aborting && self.walked >= self.limits.task_slots()
    }

    /// Looks at as many slots as the budget allows: how many.
    pub(super) fn walk(&mut self, budget: u32) -> u32 {
        if budget == 0 || !self.end_goes_on() {
            return 0;
        }
        if !self.aborting {
            self.abort();
        }
        let steps = budget.min(self.limits.task_slots() - self.walked);
        if self.tasks.is_empty() {
            self.walked = self.limits.task_slots();
            return steps;
        }
        for _ in 0..steps {
            let slot = self.walked;
            self.walked += 1;
            if let Some(meta) = self.tasks.iter().find(|task| task.slot == slot).map(|task| task.meta) {
                self.give_up(meta);
            }
        }
        steps
    }

    fn give_up(&mut self, meta: u32) {
        let Some(task) = self.task(meta) else { return };
        if task.stage != Stage::Over {
            self.remains.cancelled += 1;
            self.settle(meta, OutcomeKind::Cancelled, None);
        } else if task.released {
            self.forget_if_over(meta);
        } else if matches!(task.way, Way::Handle | Way::Retain) && !task.parting.contains(&Parting::Discard) {
            self.kept.retain(|&other| other != meta);
            self.part(meta, Parting::Discard);
        }
    }

    /// Those in line are sent away, then sources are detached.
    pub(super) fn send_away(&mut self) -> Option<Done> {
        self.line.sort_by_key(|waiting| waiting.granted);
        while !self.line.is_empty() {
            self.remains.waiters += 1;
            if let Some(waiter) = self.line.remove(0).waiter {
                return Some(Done::Wake(waiter));
            }
        }
        let id = self.sources.first()?.id;
        self.remains.detached += 1;
        self.detach(id).map(Done::Detach)
    }

    /// When all else is out: subscribers, the cache, the end.
    pub(super) fn last_effect(&mut self) -> Option<Done> {
        if self.phase != Phase::Draining || !self.is_walked() {
            return None;
        }
        while let Some(waiter) = self.ring.remove_any() {
            self.remains.subscribers += 1;
            if let Some(waiter) = waiter {
                return Some(Done::Wake(waiter));
            }
        }
        if let Some((key, token, value)) = self.cache.pop() {
            self.remains.cached += 1;
            return Some(Done::Uncache(key, token, value));
        }
        self.phase = Phase::Drained;
        self.remains.totals = self.totals;
        Some(Done::Drained(self.remains))
    }
}
