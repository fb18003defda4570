//! Liveness: with a host that behaves, every task that was admitted is settled.

use alloc::vec::Vec;
use core::time::Duration;

use super::{AMPLE, Fault, Oracle};
use crate::testkit::calls::{attempts, classes, effects, gate};
use crate::testkit::flaws::Flaw;
use crate::{Priority, Reason, Wake};

impl Oracle {
    /// Finishes all admitted work, without a drain: the machine is not paused, every effect is taken, every attempt is
    /// reported as completed, and time moves on as far as needed.
    ///
    /// The number of calls that this takes is known before:
    /// - two that allow starts, one for each class that is paused, one if a pause has not reached all lanes, and one report
    ///   for each attempt that the host runs;
    /// - six for each unsettled task: its delay, its backoff or its deadline passes; a sweep that is due by then is
    ///   requested; a start takes the task, or settles it because it is too late; it shuts the task's lane and the gate
    ///   for a time; its attempt, the last one, is reported;
    /// - four for each task in a slot: its `Stop`, its `Observe`, giving that back, and its outcome;
    /// - one for each waiter, for room, in a sleep, for events or of a source: each is woken at most once, because none waits again;
    /// - if the script has begun the end, one for each emitter, each schedule and each cache entry, and four for the end
    ///   itself, which hands deliveries back first;
    /// - one sweep that was due already, one for each lane and one for the gate if they are shut already;
    /// - one for each schedule that is due, now and each time when time moves on: at most three times for each unsettled
    ///   task, whose delay passes and whose lane and gate open, and for the lanes and the gate that are shut already.
    ///
    /// A task that is delayed for ever without a deadline stays.
    pub(in crate::testkit) fn work_off(&mut self) -> Result<(), Fault> {
        self.regress = Duration::ZERO;
        let census = self.host.machine().census();
        let of_tasks = 6 * census.unsettled() + 4 * u64::from(census.tasks);
        let waiters = [census.waiters, census.sleeps, census.subscribers, census.sources];
        let waiters: u64 = waiters.into_iter().map(u64::from).sum();
        let of_end = u64::from(census.emitters) + u64::from(census.schedules) + u64::from(census.cached) + 4;
        let shut = u64::from(census.lanes) + 1;
        let due = u64::from(census.schedules) * (2 + 3 * census.unsettled() + shut);
        let of_others = waiters + of_end + shut + due;
        let paused = self.paused_classes().count() as u64;
        let most = self.calls + 3 + paused + self.memory.running.len() as u64 + of_tasks + of_others + 1;
        if self.flaw != Some(Flaw::StaysPaused) {
            self.let_starts_happen()?;
        }
        while self.model.unsettled() > self.model.delayed_for_ever() {
            if self.calls >= most || !self.work()? {
                let what = "a task is never settled, although the host does all it can";
                return Err(self.fault(&"the last step", what, &most, self.host.machine()));
            }
        }
        self.compare()
    }

    fn let_starts_happen(&mut self) -> Result<(), Fault> {
        let (now, machine) = (self.clock, self.host.machine());
        let paused: Vec<Priority> = self.paused_classes().collect();
        let (is_paused, has_none) = (machine.is_paused(), machine.concurrency() == 0);
        // Only the calls that are needed: an extra one could hide a fault of the other.
        if has_none {
            self.call(gate::Call::SetConcurrency { now, to: 1 })?;
        }
        if is_paused {
            self.call(gate::Call::Resume { now })?;
        }
        for priority in paused {
            self.call(classes::Call::ResumeClass { now, priority, budget: AMPLE })?;
        }
        if self.memory.pause_goes_on {
            self.call(classes::Call::ResumeClass { now, priority: Priority::NORMAL, budget: AMPLE })?;
        }
        Ok(())
    }

    fn paused_classes(&self) -> impl Iterator<Item = Priority> {
        let machine = self.host.machine();
        (0..=7).map(Priority::new).filter(|priority| machine.is_class_paused(*priority))
    }

    /// One call of a host that behaves; `false` if there is none to make.
    fn work(&mut self) -> Result<bool, Fault> {
        let (now, wake) = (self.clock, self.host.machine().next_wake());
        match wake {
            Wake::Now(Reason::Effect) => self.call(effects::Call::Poll)?,
            Wake::Now(Reason::Start) => self.start()?,
            Wake::Now(_) => self.advance(AMPLE)?,
            Wake::At(..) | Wake::Never => {
                if !self.memory.shown.is_empty() {
                    return self.give_back(0, 0).map(|()| true);
                }
                let reported = self.memory.take_newest().filter(|_| self.flaw != Some(Flaw::ReportsNothing));
                if let Some(attempt) = reported {
                    let output = self.token();
                    return self.call(attempts::Call::Completed { now, attempt, output }).map(|_| true);
                }
                // Intervals and sleeps can fire much more often: those that are due on the way are handled together.
                let Some(next) = self.model.next_of_tasks().filter(|_| self.flaw != Some(Flaw::GivesNoTime))
                else {
                    return Ok(false);
                };
                self.clock = self.clock.max(next);
                self.advance(AMPLE)?
            }
        };
        Ok(true)
    }
}
