//! Runs scripts on the machine and on the model in lock step.

mod live;
mod steps;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::answer::{Answer, Done, Settled, Started};
use super::call::{Call, Offer};
use super::host::Host;
use super::model::{Comparison, Difference, Model, Probes};
use super::order::{Order, Way};
use super::script::{Script, Setup, Step};
use super::{AMPLE, Flaw};
use crate::{
    AttemptId, BuildError, Drain, Instant, PermitId, Phase, SleepId, SourceId, SubscriberId, TaskId, Totals,
    Wake,
};

/// How often a host is woken at most before a graceful drain reaches its deadline.
const MOST_WAKES: u32 = 1_000;

/// How many of the last steps are repeated after all work is finished.
const MOST_AGAIN: usize = 40;

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

/// Runs a script on the machine and on the model, and compares the two.
///
/// # Errors
/// The first difference.
pub fn check(script: &Script) -> Result<Summary, Fault> {
    run(script, None).map(|oracle| oracle.summary())
}

/// Like [`check`], with a model that is wrong on purpose.
///
/// # Errors
/// The first difference. There should be one.
pub fn check_flawed(script: &Script, flaw: Flaw) -> Result<Summary, Fault> {
    run(script, Some(flaw)).map(|oracle| oracle.summary())
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

fn run(script: &Script, flaw: Option<Flaw>) -> Result<Oracle, Fault> {
    let mut oracle = Oracle::new(&script.setup, flaw)?;
    oracle.run(script)?;
    Ok(oracle)
}

/// A machine, its model, and the memory of a host.
#[derive(Debug)]
pub struct Oracle {
    host: Host,
    model: Model,
    flaw: Option<Flaw>,
    probes: Probes,
    clock: Instant,
    has_long_batches: bool,
    /// How far the time of the next call lies back.
    regress: Duration,
    step: usize,
    calls: u64,
    /// The number of the last token, and of the last task.
    tokens: u32,
    metas: u32,
    tasks: Vec<TaskId>,
    permits: Vec<PermitId>,
    sleeps: Vec<SleepId>,
    sources: Vec<SourceId>,
    subscribers: Vec<SubscriberId>,
    attempts: Vec<AttemptId>,
    /// Attempts that the host runs, each with its job.
    running: Vec<(AttemptId, u32)>,
    /// Attempts that were asked to stop.
    stopping: Vec<AttemptId>,
    /// Outcomes that the host is observing.
    shown: Vec<Settled>,
    trace: Option<Vec<(Call, Answer)>>,
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
            has_long_batches: setup.has_long_queue(),
            regress: Duration::ZERO,
            step: 0,
            calls: 0,
            tokens: 0,
            metas: 0,
            tasks: Vec::new(),
            permits: Vec::new(),
            sleeps: Vec::new(),
            sources: Vec::new(),
            subscribers: Vec::new(),
            attempts: Vec::new(),
            running: Vec::new(),
            stopping: Vec::new(),
            shown: Vec::new(),
            trace: None,
        })
    }

    /// Runs all steps, finishes all work, repeats the last steps, then ends the machine.
    ///
    /// # Errors
    /// The first difference.
    pub fn run(&mut self, script: &Script) -> Result<(), Fault> {
        self.compare()?;
        if script.setup.observes() {
            self.call(Call::Observe { on: true })?;
        }
        if script.setup.has_long_queue() {
            self.step(Step::Attach)?;
        }
        for &step in &script.steps {
            self.step(step)?;
            self.compare()?;
            self.step += 1;
        }
        self.work_off()?;
        // So that the end has tasks to end.
        for &step in script.steps.iter().skip(script.steps.len().saturating_sub(MOST_AGAIN)) {
            self.step(step)?;
        }
        self.finish(script.setup.end())
    }

    /// The host, for inspection.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    fn summary(&self) -> Summary {
        let totals = self.host.machine().totals();
        Summary { totals, calls: self.calls, values: u64::from(self.tokens) }
    }

    /// Makes a call and compares the answers.
    fn call(&mut self, call: Call) -> Result<Answer, Fault> {
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
        self.learn(&given);
        Ok(given)
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
    fn compare(&self) -> Result<(), Fault> {
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

    /// Remembers the ids in an answer.
    fn learn(&mut self, answer: &Answer) {
        match *answer {
            Answer::Task(Ok(id)) => self.tasks.push(id),
            Answer::Permit(Ok(id)) | Answer::Waiter(Ok(id)) => self.permits.push(id),
            Answer::Sleep(Ok(id)) => self.sleeps.push(id),
            Answer::Source(Ok(id)) => self.sources.push(id),
            Answer::Subscriber(Ok(id)) => self.subscribers.push(id),
            Answer::Started(Some(Started { task, attempt, job, .. })) => {
                if !self.tasks.contains(&task) {
                    self.tasks.push(task);
                }
                self.attempts.push(attempt);
                self.running.push((attempt, job));
            }
            Answer::Effect(Some(Done::Stop(stop))) => self.stopping.push(stop.attempt),
            Answer::Effect(Some(Done::Observe(settled))) => {
                if !self.tasks.contains(&settled.task) {
                    self.tasks.push(settled.task);
                }
                self.shown.push(settled);
            }
            _ => {}
        }
    }

    fn token(&mut self) -> u32 {
        self.tokens += 1;
        self.tokens
    }

    fn offer(&mut self, order: Order) -> Offer {
        self.metas += 1;
        let callback = (order.way() == Way::Callback).then(|| self.token());
        Offer { job: self.token(), meta: self.metas, callback, order }
    }

    /// The time that the next call passes in.
    fn now(&mut self) -> Instant {
        let back = core::mem::take(&mut self.regress);
        Instant::ZERO.saturating_add(self.clock.saturating_since(Instant::ZERO).saturating_sub(back))
    }

    /// Ends the machine. A graceful drain ends by time alone.
    fn end(&mut self, mode: Drain) -> Result<(), Fault> {
        let now = self.now();
        self.call(Call::Drain { now, mode })?;
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
        for _ in 0..self.shown.len() / 2 {
            self.give_back(0, 0)?;
        }
        self.settle(false)?;
        for task in self.tasks.clone() {
            let call = if self.host.machine().census().handles % 2 == 0 {
                Call::TryClaim { task }
            } else {
                Call::Release { now, task }
            };
            self.call(call)?;
        }
        for task in self.shown.iter().map(|settled| settled.task).collect::<Vec<_>>() {
            self.call(Call::Release { now, task })?;
            self.give_back(0, 0)?;
        }
        for id in self.subscribers.clone() {
            while self.call(Call::NextEvent { id })? != Answer::Event(None) {
                self.call(Call::Poll)?;
            }
        }
        self.compare()
    }

    /// Ends the machine, without help of the host, and checks that nothing is left.
    fn finish(&mut self, mode: Drain) -> Result<(), Fault> {
        for _ in 0..3 {
            self.settle(false)?;
            self.compare()?;
            self.reach()?;
        }
        self.end(mode)?;
        self.take_what_is_kept()?;
        let now = self.now();
        for (attempt, job) in core::mem::take(&mut self.running) {
            let error = self.token();
            self.call(Call::Failed { now, attempt, error, job: Some(job), delay: None, text: 0 })?;
        }
        self.clock = self.clock.saturating_add(Duration::from_secs(1_000_000));
        let call = Call::Advance { now: self.clock, budget: AMPLE };
        let answer = self.call(call.clone())?;
        self.compare()?;
        let (machine, books) = (self.host.machine(), self.host.books());
        let rests = machine.phase() == Phase::Drained
            && machine.census().is_empty()
            && machine.next_wake() == Wake::Never
            && answer == Answer::Progress { used: 0, more: false };
        if !rests {
            return Err(self.fault(&call, "the end is not an end", &"", &(machine, answer)));
        }
        if books.inside() > 0 {
            return Err(self.fault(&call, "values are left in the machine", &0, &books.inside()));
        }
        Ok(())
    }
}
