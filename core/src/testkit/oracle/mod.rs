//! Makes calls on the machine and on the model in lock step, and compares the two.

mod ending;
mod live;
mod memory;
mod turns;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::calls::{Answer, Call};
use super::flaws::Flaw;
use super::host::Host;
use super::model::{Comparison, Difference, Model, Probes};
use super::setup::Setup;
use crate::{BuildError, Instant, Totals};
use memory::Memory;

/// A budget that no script uses up.
pub(super) const AMPLE: u32 = 1 << 20;

/// A difference between the machine and the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The step, from 0. After the last one all work is finished, then the last steps are repeated, then the machine
    /// ends.
    pub step: usize,
    /// The call.
    pub call: String,
    /// The name of the value that differs.
    pub what: String,
    /// The value that the model expects.
    pub model: String,
    /// The value that the machine has.
    pub machine: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {}, after {}: {}", self.step, self.call, self.what)?;
        writeln!(f, "  model:   {}", self.model)?;
        write!(f, "  machine: {}", self.machine)
    }
}

impl core::error::Error for Fault {}

/// The result of a script.
#[derive(Clone, Copy, Debug, Default)]
pub struct Summary {
    /// The machine's totals.
    pub totals: Totals,
    /// How many calls were made and compared.
    pub calls: u64,
    /// How many values went in, all of which came out.
    pub values: u64,
}

/// A machine, its model, and the memory of a host.
#[derive(Debug)]
pub struct Oracle {
    host: Host,
    model: Model,
    flaw: Option<Flaw>,
    probes: Probes,
    clock: Instant,
    setup: Setup,
    pub(super) has_long_batches: bool,
    /// How far the time of the next call lies back.
    regress: Duration,
    pub(super) step: usize,
    calls: u64,
    /// The number of the last token, and of the last task.
    tokens: u32,
    metas: u32,
    pub(super) memory: Memory,
    pub(super) trace: Option<Vec<(Call, Answer)>>,
}

impl Oracle {
    /// A machine at its start.
    ///
    /// # Errors
    /// If the machine refuses the limits, which are all valid.
    pub fn new(setup: &Setup, flaw: Option<Flaw>) -> Result<Self, Fault> {
        let start = setup.start();
        let refused = |error: BuildError| Fault {
            step: 0,
            call: String::from("new"),
            what: alloc::format!("{error}"),
            model: String::new(),
            machine: String::new(),
        };
        Ok(Self {
            host: Host::new(setup).map_err(refused)?,
            model: Model::new(setup, flaw),
            flaw,
            probes: Probes::new(),
            clock: start,
            setup: *setup,
            has_long_batches: setup.has_long_queue(),
            regress: Duration::ZERO,
            step: 0,
            calls: 0,
            tokens: 0,
            metas: 0,
            memory: Memory::default(),
            trace: None,
        })
    }

    /// The host, for inspection.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    pub(super) fn summary(&self) -> Summary {
        let totals = self.host.machine().totals();
        Summary { totals, calls: self.calls, values: u64::from(self.tokens) }
    }

    /// Makes a call and compares the answers.
    pub(super) fn call(&mut self, call: impl Into<Call>) -> Result<Answer, Fault> {
        let call = call.into();
        self.calls += 1;
        let given = self.host.call(&call);
        let expected = self.model.answer(&call, &given);
        if let Some(what) = self.model.complaint {
            return Err(self.fault(&call, what, &"", &given));
        }
        if given != expected {
            return Err(self.fault(&call, "the answers differ", &expected, &given));
        }
        if self.host.books().lost() > 0 {
            return Err(self.fault(
                &call,
                "a value was dropped in the machine",
                &0,
                &self.host.books().lost(),
            ));
        }
        if let Some(trace) = &mut self.trace {
            trace.push((call, given.clone()));
        }
        self.memory.learn(&given);
        Ok(given)
    }

    /// Makes the call of a step whose arguments exist.
    pub(super) fn call_if(&mut self, call: Option<impl Into<Call>>) -> Result<(), Fault> {
        call.map_or(Ok(()), |call| self.call(call).map(drop))
    }

    fn fault(
        &self,
        call: &dyn fmt::Debug,
        what: &str,
        model: &dyn fmt::Debug,
        machine: &dyn fmt::Debug,
    ) -> Fault {
        Fault {
            step: self.step,
            call: alloc::format!("{call:?}"),
            what: String::from(what),
            model: alloc::format!("{model:?}"),
            machine: alloc::format!("{machine:?}"),
        }
    }

    /// Compares everything that can be seen.
    pub(super) fn compare(&self) -> Result<(), Fault> {
        let (mut found, machine) = (Comparison::default(), self.host.machine());
        self.model.compare(machine, &mut found);
        self.model.compare_getters(machine, &self.probes, &mut found);
        match found.difference {
            None => Ok(()),
            Some(Difference { what, model, machine }) => Err(Fault {
                step: self.step,
                call: String::from("the step"),
                what: String::from(what),
                model,
                machine,
            }),
        }
    }
}
