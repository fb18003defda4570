//! The effects.

use super::{Model, Parting};
use crate::testkit::calls::effects::{Answer, Call, Done};
use crate::testkit::flaws::Flaw;
use crate::{OutcomeKind, Phase, Stop};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, given: &Answer) -> Answer {
        let Answer::Effect(given) = *given;
        Answer::Effect(model.effect(given))
    }
}

impl Model {
    pub(super) fn has_effect(&self) -> bool {
        let in_line = match self.phase {
            Phase::Open => self.can_call_first(),
            Phase::Draining => {
                let is_closing =
                    !self.line.is_empty() || !self.emitters.is_empty() || self.calendar.len() > 0;
                is_closing || self.has_last_effect()
            }
            Phase::Drained => false,
        };
        let is_any_due = self.phase == Phase::Open && self.calendar.is_any_due();
        let has_wake = self.sleeps.has_wake() || self.ring.has_wake() || self.inlet.has_wake();
        in_line || !self.outbox.is_empty() || has_wake || is_any_due || self.sweep_due
    }

    pub(super) fn effect(&mut self, given: Option<Done>) -> Option<Done> {
        if let Some(&meta) = self.outbox.front() {
            return self.task_effect(meta, given);
        }
        if self.sleeps.has_wake() {
            return self.sleeps.wake();
        }
        let in_line = match self.phase {
            Phase::Open => self.call_first(),
            _ => self.send_away(),
        };
        if in_line.is_some() {
            return in_line;
        }
        if let Some(waiter) = self.ring.wake() {
            return Some(Done::Wake(waiter));
        }
        if let Some(wake) = self.take_source_wake() {
            return Some(wake);
        }
        if self.phase == Phase::Open && self.calendar.is_any_due() {
            return self.take_due().map(Done::Due);
        }
        if self.sweep_due {
            self.sweep_due = false;
            return Some(Done::Sweep);
        }
        self.last_effect()
    }

    fn task_effect(&mut self, meta: u32, given: Option<Done>) -> Option<Done> {
        let named = match given {
            Some(Done::Stop(stop)) => Some(stop.task),
            Some(Done::Observe(settled) | Done::Settle(settled) | Done::Discard(settled)) => {
                Some(settled.task)
            }
            _ => None,
        };
        let id = self.name(meta, named.filter(|_| self.task(meta).is_some_and(|task| task.id.is_none())));
        let task = self.at(meta)?;
        if task.stop {
            task.stop = false;
            let stop =
                Stop { task: id?, attempt: task.attempt?, why: task.kind.unwrap_or(OutcomeKind::TimedOut) };
            self.unpost(meta);
            if self.ending && self.has(Flaw::AbandonsAtOnce) {
                self.abandon(meta);
            }
            return Some(Done::Stop(stop));
        }
        if task.parting.contains(&Parting::Settle) {
            return self.release(meta, named).map(Done::Settle);
        }
        if task.parting.contains(&Parting::Wake) {
            task.parting.retain(|parting| *parting != Parting::Wake);
            let waiter = task.waiter.take()?;
            self.unpost(meta);
            return Some(Done::Wake(waiter));
        }
        if task.held {
            return self.held_effect(meta, given);
        }
        self.remains.discarded += u32::from(self.ending);
        self.release(meta, named).map(Done::Discard)
    }
}
