//! The end of a machine.

use alloc::vec::Vec;
use core::time::Duration;

use super::{AMPLE, Fault, Oracle};
use crate::testkit::calls::{Call, attempts, effects, gate, subscribers, tasks, time};
use crate::{Drain, Phase, Wake};

/// How often a host is woken at most before a graceful drain reaches its deadline.
const MOST_WAKES: u32 = 1_000;

impl Oracle {
    /// Ends the machine. A graceful drain ends by time alone.
    fn end(&mut self, mode: Drain) -> Result<(), Fault> {
        let now = self.now();
        self.call(gate::Call::Drain { now, mode })?;
        self.compare()?;
        self.settle(false)?;
        for _ in 0..MOST_WAKES {
            if self.host.machine().phase() == Phase::Drained {
                break;
            }
            self.reach()?;
            self.settle(false)?;
        }
        self.compare()
    }

    /// Releases the handles and reads the events that the end kept.
    fn take_what_is_kept(&mut self) -> Result<(), Fault> {
        let now = self.now();
        for _ in 0..self.memory.shown.len() / 2 {
            self.give_back(0, 0)?;
        }
        self.settle(false)?;
        for task in self.memory.ids.tasks.all.clone() {
            let call = if self.host.machine().census().handles % 2 == 0 {
                tasks::Call::TryClaim { task }
            } else {
                tasks::Call::Release { now, task }
            };
            self.call(call)?;
        }
        for task in self.memory.shown.iter().map(|settled| settled.task).collect::<Vec<_>>() {
            self.call(tasks::Call::Release { now, task })?;
            self.give_back(0, 0)?;
        }
        for id in self.memory.ids.subscribers.all.clone() {
            while self.call(subscribers::Call::NextEvent { id })? != subscribers::Answer::Event(None).into() {
                self.call(effects::Call::Poll)?;
            }
        }
        self.compare()
    }

    /// Ends the machine, without help of the host, and checks that nothing is left.
    pub(in crate::testkit) fn finish(&mut self, mode: Drain) -> Result<(), Fault> {
        for _ in 0..3 {
            self.settle(false)?;
            self.compare()?;
            self.reach()?;
        }
        self.end(mode)?;
        self.take_what_is_kept()?;
        let now = self.now();
        for (attempt, job) in core::mem::take(&mut self.memory.running) {
            let error = self.token();
            self.call(attempts::Call::Failed { now, attempt, error, job: Some(job), delay: None, text: 0 })?;
        }
        self.clock = self.clock.saturating_add(Duration::from_secs(1_000_000));
        let call = Call::from(time::Call::Advance { now: self.clock, budget: AMPLE });
        let answer = self.call(call.clone())?;
        self.compare()?;
        let (machine, books) = (self.host.machine(), self.host.books());
        let rests = machine.phase() == Phase::Drained
            && machine.census().is_empty()
            && machine.next_wake() == Wake::Never
            && answer == time::Answer::Advanced { used: 0, more: false }.into();
        if !rests {
            return Err(self.fault(&call, "the end is not an end", &"", &(machine, answer)));
        }
        if books.inside() > 0 {
            return Err(self.fault(&call, "values are left in the machine", &0, &books.inside()));
        }
        Ok(())
    }
}
