//! What submitters do to the queue, to the starts, and with schedules.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use plimsoll::{HoldRefusal, Priority, PriorityRefusal, Scope};

use crate::actors::Actor;
use crate::dice::{chance, micros};
use crate::names::{Action, Check};
use crate::parts::LANES;
use crate::submit::Held;
use crate::world::{Submits, World, lock};

impl Actor {
    pub fn set_priority(&mut self, held: &[Held]) {
        let retained = lock(&self.world.retained).last().map(|(task, _)| *task);
        let Some(task) = self.dice.choice(held).map(|held| held.handle.id()).or(retained) else { return };
        let priority = Priority::new(self.dice.u8(0..8));
        match self.world.submitter().set_priority(task, priority) {
            Ok(()) | Err(PriorityRefusal::NotFound | PriorityRefusal::NotWaiting) => {}
            Err(other) => self.world.find(Check::Outcome, format!("a priority is refused: {other:?}")),
        }
    }

    pub fn clear(&mut self) {
        let scope = match self.dice.u32(0..4) {
            0 => Scope::All,
            1 => Scope::Class(Priority::new(self.dice.u8(0..8))),
            _ => Scope::Lane(self.dice.u64(LANES)),
        };
        // Told before it is so.
        self.world.clears.fetch_add(1, SeqCst);
        let cleared = self.world.submitter().clear(scope);
        self.world.cleared.fetch_add(cleared, SeqCst);
    }

    pub async fn hold(&mut self) {
        let submitter = self.world.submitter();
        submitter.hold(micros(&mut self.dice, 2_000));
        if chance(&mut self.dice, 30) {
            self.place.sleep(micros(&mut self.dice, 500)).await;
            submitter.hold(Duration::ZERO);
        }
    }

    pub fn hold_lane(&mut self) {
        let (lane, time) = (self.dice.u64(LANES), micros(&mut self.dice, 2_000));
        match self.world.submitter().hold_lane(lane, time) {
            Ok(()) if !self.world.parts.has_lanes() => self.world.find(Check::Lanes, "there are no lanes"),
            Err(HoldRefusal::Closed) if self.world.is_ending() => {}
            Ok(()) | Err(HoldRefusal::Lanes) => {}
            Err(other) => self.world.find(Check::Lanes, format!("a hold is refused: {other:?}")),
        }
    }

    /// Pauses a class, often one that other submitters pause too, and resumes it a moment later.
    pub async fn pause_class(&mut self) {
        let is_usual = chance(&mut self.dice, 60);
        let priority = if is_usual { Priority::NORMAL } else { Priority::new(self.dice.u8(0..8)) };
        let resumed = ResumedClass(self.world.submitter(), priority);
        resumed.0.pause_class(priority);
        self.place.sleep(micros(&mut self.dice, 1_000)).await;
    }

    /// Begins a schedule, lets it go on for a while, and ends it, or does not.
    pub async fn schedule(&mut self) {
        let world = self.world.clone();
        let Some(begun) = world.schedule(&mut self.dice) else { return };
        self.place.sleep(micros(&mut self.dice, 6_000)).await;
        begun.check(&world);
        let (handle, submitter) = (begun.handle, world.submitter());
        let id = handle.id();
        let has_ended = match self.dice.u32(0..4) {
            0 => return drop(handle),
            1 => submitter.unschedule(id) && !handle.end(),
            _ => handle.end() && !submitter.unschedule(id),
        };
        Action::EndSchedule.count();
        if !has_ended && !world.is_ending() {
            world.find(Check::Schedules, "a schedule does not end once, and only once");
        }
    }
}

/// Resumes a class, also when its submitter goes with the runtime.
struct ResumedClass<'a>(&'a Submits, Priority);

impl Drop for ResumedClass<'_> {
    fn drop(&mut self) {
        self.0.resume_class(self.1);
    }
}

impl World {
    /// Without submitters no class is paused, for the last call of each for a class has resumed it.
    pub fn check_classes(&self) {
        let paused = (0..8).find(|class| self.submitter().is_class_paused(Priority::new(*class)));
        if let Some(class) = paused {
            self.find(Check::Classes, format!("class {class} is paused after the last resume"));
        }
    }
}
