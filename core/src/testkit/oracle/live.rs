//! Liveness: with a host that behaves, every task that was admitted is settled.

use core::time::Duration;

use super::{Fault, Oracle};
use crate::testkit::call::Call;
use crate::testkit::{AMPLE, Flaw};
use crate::{Reason, Wake};

impl Oracle {
    /// Has everything worked off that was admitted, without a drain: nothing is paused, every effect is taken, every attempt
    /// is reported as completed, and there is as much time as it takes.
    ///
    /// That comes to an end in a number of calls that is known before:
    /// - two that let starts happen, and one report for each attempt that the host has;
    /// - four for each unsettled task: its delay, its backoff or its deadline comes; the sweep that was due by then is asked for;
    ///   a start takes it, or settles it because it is too late; its attempt is reported, and is its last one;
    /// - four for each task that has a slot: its `Stop`, its `Observe`, which is given back, and its outcome;
    /// - one for each waiter: for room, in a sleep, for events; each is woken at most once, for nobody waits again;
    /// - where the script has begun the end, one for each source and for each entry of the cache, and three for the end itself;
    /// - one sweep that was due before.
    ///
    /// A task that is delayed for ever, and has no deadline, stays.
    pub(super) fn work_off(&mut self) -> Result<(), Fault> {
        self.regress = Duration::ZERO;
        let census = self.host.machine().census();
        let of_tasks = 4 * census.unsettled() + 4 * u64::from(census.tasks);
        let waiters = u64::from(census.waiters) + u64::from(census.sleeps) + u64::from(census.subscribers);
        let of_end = u64::from(census.sources) + u64::from(census.cached) + 3;
        let most = self.calls + 2 + self.running.len() as u64 + of_tasks + waiters + of_end + 1;
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
        let (is_paused, has_none) = (machine.is_paused(), machine.concurrency() == 0);
        // No more than it takes, for each of the two could make up for the other.
        if has_none {
            self.call(Call::SetConcurrency { now, to: 1 })?;
        }
        if is_paused {
            self.call(Call::Resume { now })?;
        }
        Ok(())
    }

    /// One call of a host that behaves; `false` when there is nothing that it could do.
    fn work(&mut self) -> Result<bool, Fault> {
        let (now, wake) = (self.clock, self.host.machine().next_wake());
        match wake {
            Wake::Now(Reason::Effect) => self.call(Call::Poll)?,
            Wake::Now(Reason::Start) => self.start()?,
            Wake::Now(_) => self.advance(AMPLE)?,
            Wake::At(..) | Wake::Never => {
                if !self.shown.is_empty() {
                    return self.give_back(0, 0).map(|()| true);
                }
                let reported = self.running.pop().filter(|_| self.flaw != Some(Flaw::ReportsNothing));
                if let Some((attempt, _)) = reported {
                    self.stopping.retain(|other| *other != attempt);
                    let output = self.token();
                    return self.call(Call::Completed { now, attempt, output }).map(|_| true);
                }
                // Intervals and sleeps may come much more often: what is due in between is handled with it.
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
