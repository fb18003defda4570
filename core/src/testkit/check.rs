//! Runs scripts on the machine and on the model in lock step.

use alloc::vec::Vec;

use super::calls::{Answer, Call, observer};
use super::flaws::Flaw;
use super::oracle::{Fault, Oracle, Summary};
use super::script::Script;
use super::steps::{Step, emitters, schedules, sources};

/// How many of the last steps are repeated after all work is finished.
const MOST_AGAIN: usize = 40;

/// Runs a script on the machine and on the model, and compares the two.
///
/// # Errors
/// The first difference.
pub fn check(script: &Script) -> Result<Summary, Fault> {
    run(script, None)
}

/// Like [`check`], with a model that is wrong on purpose.
///
/// # Errors
/// The first difference. There should be one.
pub fn check_flawed(script: &Script, flaw: Flaw) -> Result<Summary, Fault> {
    run(script, Some(flaw))
}

/// All calls of a script with their answers, in order.
///
/// # Errors
/// The first difference.
pub fn trace(script: &Script) -> Result<Vec<(Call, Answer)>, Fault> {
    let mut oracle = Oracle::new(&script.setup, None)?;
    oracle.trace = Some(Vec::new());
    oracle.run(script)?;
    Ok(oracle.trace.unwrap_or_default())
}

fn run(script: &Script, flaw: Option<Flaw>) -> Result<Summary, Fault> {
    let mut oracle = Oracle::new(&script.setup, flaw)?;
    oracle.run(script)?;
    Ok(oracle.summary())
}

impl Oracle {
    /// Runs all steps, finishes all work, repeats the last steps, then ends the machine.
    ///
    /// # Errors
    /// The first difference.
    pub fn run(&mut self, script: &Script) -> Result<(), Fault> {
        self.compare()?;
        if script.setup.observes() {
            self.call(observer::Call::Observe { on: true })?;
        }
        if script.setup.has_long_queue() {
            Step::from(emitters::Step::Attach).take(self)?;
        }
        if let Some(terms) = script.setup.first_schedule() {
            Step::from(schedules::Step::Schedule { terms }).take(self)?;
        }
        if let Some(terms) = script.setup.first_source() {
            Step::from(sources::Step::Open { terms }).take(self)?;
        }
        for &step in &script.steps {
            step.take(self)?;
            self.compare()?;
            self.step += 1;
        }
        self.work_off()?;
        // So that the end has tasks to end.
        for &step in script.steps.iter().skip(script.steps.len().saturating_sub(MOST_AGAIN)) {
            step.take(self)?;
        }
        self.finish(script.setup.end())
    }
}
