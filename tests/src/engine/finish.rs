//! The end of every script: nothing may be left.

use std::time::Duration;

use plimsoll::Drain;

use super::choice::ms;
use super::held::Held;
use super::plan::Deed;
use super::script::Action;
use super::stage::lock;
use super::token::Kind;
use super::world::{Fault, World};

impl World {
    /// Ends the processor in one of four ways, then gives back all that is held.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        match self.setup.ending() {
            0 => self.step(&Action::Do(Deed::DropOwner))?,
            1 => {
                self.step(&Action::Shutdown(Drain::Graceful(ms(50))))?;
                self.stage.resume_classes();
                self.step(&Action::Do(Deed::Resume))?;
                let until = self.sim.now().saturating_add(ms(60));
                while self.sim.now() < until {
                    self.step(&Action::Advance(until.saturating_since(self.sim.now())))?;
                }
            }
            2 => self.step(&Action::Do(Deed::KillRuntime))?,
            _ => self.step(&Action::Shutdown(Drain::Abort))?,
        }
        self.step(&Action::Advance(Duration::ZERO))?;
        self.step(&Action::PollShutdown)?;
        self.step(&Action::Idle)?;
        self.claim_all()?;
        self.step(&Action::Do(Deed::DropOwner))?;
        self.step(&Action::Idle)?;
        self.claim_all()?;
        self.give_back()
    }

    /// After the end everything that is held is ready.
    fn claim_all(&mut self) -> Result<(), Fault> {
        for _ in 0..self.held.len() {
            let before = self.held.len();
            // A subscriber may have as many to read as there are kept.
            for _ in 0..=self.setup.events() {
                self.poll(0, Deed::Nothing)?;
                let is_over = self.held.len() < before;
                if is_over || !self.held.last().is_some_and(Held::may_have_more) {
                    break;
                }
            }
            if self.held.len() == before {
                self.held.rotate_right(1);
            }
        }
        self.check()
    }

    fn give_back(&mut self) -> Result<(), Fault> {
        self.held.clear();
        self.watch = None;
        self.flag = None;
        drop(std::mem::take(&mut *lock(&self.stage.contexts)));
        drop(std::mem::take(&mut *lock(&self.stage.wakers)));
        drop(std::mem::take(&mut *lock(&self.stage.gates)));
        self.step(&Action::Idle)?;
        let census = self.stage.desk().census();
        if !census.is_empty() {
            return Err(format!("something is left when nobody holds anything: {census:?}"));
        }
        for kind in Kind::ALL {
            let live = self.stage.counts.of(kind);
            if live != 0 {
                return Err(format!("{live} {kind:?}s are left"));
            }
        }
        self.summary.tasks = self.stage.book().tasks.len() as u64;
        self.summary.reached = lock(&self.stage.reached).clone();
        self.summary.nanos = self.stage.now().as_nanos();
        lock(&self.stage.sim).take();
        Ok(())
    }
}
