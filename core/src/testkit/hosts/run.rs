//! Runs a script on a host, on a simulated clock.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::Host;
use super::errand::Case;
use super::finding::{Broken, Promise, broken, broken_if};
use super::script::{End, Script, Step};
use super::task::{Ending, Task};
use super::tracked::{Tracked, has_place};
use crate::{
    BuildError, ByOutcome, Census, Drain, Instant, Limits, OutcomeKind, Phase, Stage, Terms, Totals, Wake,
};

/// How many turns without need a host may want one after the other, and how many it may have at one instant.
const NEEDLESS: u32 = 8;
const MOST_TURNS: u32 = 10_000;

/// What a script has made happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The totals of the machine at its end, or when it was dropped.
    pub totals: Totals,
    /// How many turns the host had.
    pub turns: u64,
    /// How many of them changed nothing.
    pub needless: u64,
}

/// A host in the middle of a script.
pub(super) struct Run<H: Host> {
    host: H,
    pub(super) now: Instant,
    /// The steps that were begun.
    pub(super) step: usize,
    /// Tasks of which anything can be seen, and every task.
    tasks: Vec<Tracked>,
    cases: Vec<Arc<Case>>,
    admitted: u64,
    told: [u64; OutcomeKind::COUNT],
    /// How many reports may have been late.
    late: u64,
    last_value: u32,
    needless_in_a_row: u32,
    summary: Summary,
}

/// All that a turn can change.
#[derive(PartialEq)]
struct Seen {
    totals: Totals,
    census: Census,
    wake: Wake,
    calls: u64,
    jobs: u64,
}

impl<H: Host> Run<H> {
    pub(super) fn new(
        make: impl FnOnce(Limits, Instant) -> Result<H, BuildError>,
        script: &Script,
    ) -> Result<Self, Broken> {
        let host = make(script.limits(), Instant::ZERO).map_err(|error| Broken {
            promise: Promise::Commands,
            what: alloc::format!("the host was not built: {error}"),
        })?;
        Ok(Self {
            host,
            now: Instant::ZERO,
            step: 0,
            tasks: Vec::new(),
            cases: Vec::new(),
            admitted: 0,
            told: [0; OutcomeKind::COUNT],
            late: 0,
            last_value: 0,
            needless_in_a_row: 0,
            summary: Summary::default(),
        })
    }

    /// All steps.
    pub(super) fn run(&mut self, script: &Script) -> Result<(), Broken> {
        self.settle()?;
        for step in script.steps() {
            self.take(step)?;
            self.step += 1;
        }
        Ok(())
    }

    fn take(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Submit { task, times } => {
                for _ in 0..times {
                    self.submit(task)?;
                }
                self.settle()
            }
            Step::Cancel { nth } => self.cancel(nth),
            Step::End { nth, ending, noticed } => {
                self.end_handler(nth, ending);
                if noticed { self.settle() } else { Ok(()) }
            }
            Step::Pass { by, late } => self.pass(by, late),
            Step::Turn => {
                self.note();
                self.turn();
                self.settle_on()
            }
        }
    }

    fn submit(&mut self, task: Task) -> Result<(), Broken> {
        let number = u32::try_from(self.cases.len()).unwrap_or(u32::MAX);
        let (case, errand) = Case::new(number, task.is_deaf);
        self.cases.push(case.clone());
        let id = self.host.submit(self.now, errand, &task.terms());
        let Totals { offered, admitted, .. } = self.host.machine().totals();
        self.admitted += u64::from(id.is_some());
        broken_if!(
            admitted != self.admitted || offered < admitted,
            Commands,
            "{} tasks were taken in, and the machine has admitted {admitted}",
            self.admitted
        );
        match id {
            Some(id) => self.tasks.push(Tracked::new(id, case)),
            None => {
                let kept = case.jobs() + case.replies();
                broken_if!(
                    kept > 0,
                    Commands,
                    "task {number} was refused, and its job or its callback is kept"
                );
                broken_if!(
                    case.calls() > 0,
                    Commands,
                    "task {number} was refused, and its callback was called"
                );
            }
        }
        self.check_wake()
    }

    fn cancel(&mut self, nth: u8) -> Result<(), Broken> {
        let host = &self.host;
        let stage = |task: &Tracked| host.machine().view(task.id).map(|view| view.stage);
        let is_open = |stage| !matches!(stage, Stage::Orphaned { .. } | Stage::Settled { .. });
        let open = self.tasks.iter().enumerate().filter(|(_, task)| stage(task).is_some_and(is_open));
        let Some(at) = choose(open.map(|(at, _)| at).collect(), nth) else { return Ok(()) };
        let Some(task) = self.tasks.get_mut(at) else { return Ok(()) };
        task.is_cancelled = true;
        let (id, number) = (task.id, task.case.number);
        self.host.cancel(self.now, id);
        let still_open = self.host.machine().view(id).is_some_and(|view| is_open(view.stage));
        broken_if!(still_open, Commands, "task {number} was cancelled, and the machine was not told");
        self.check_wake()?;
        self.settle()
    }

    /// The handler of one of the attempts that run comes to an end, unless it has already.
    fn end_handler(&mut self, nth: u8, ending: Ending) {
        let ending = if ending == Ending::Panicked && !H::PANICS { Ending::Failed } else { ending };
        let machine = self.host.machine();
        let runs = |task: &Tracked| {
            let is_placed = machine.view(task.id).is_none_or(|view| has_place(view.stage));
            is_placed && task.case.jobs() > 0 && !task.case.has_ended()
        };
        let running = self.tasks.iter().enumerate().filter(|(_, task)| runs(task));
        let Some(at) = choose(running.map(|(at, _)| at).collect(), nth) else { return };
        self.last_value += 1;
        if let Some(task) = self.tasks.get_mut(at) {
            task.ended = Some((ending, self.last_value));
            task.case.end(ending, self.last_value);
        }
    }

    /// Lets time pass. The host has the turns that it wants, each of them this late.
    fn pass(&mut self, by: Duration, late: Duration) -> Result<(), Broken> {
        let until = self.now.saturating_add(by);
        for _ in 0..MOST_TURNS {
            let Some(at) = self.wake().filter(|at| *at <= until) else {
                self.now = self.now.max(until);
                return Ok(());
            };
            let machine_waits = instant(self.host.machine().next_wake(), self.now).is_none_or(|own| own > at);
            self.now = self.now.max(at).saturating_add(late);
            let before = self.seen();
            self.settle()?;
            let is_needless = machine_waits && late.is_zero() && self.seen() == before;
            self.needless_in_a_row = if is_needless { self.needless_in_a_row + 1 } else { 0 };
            broken_if!(
                self.needless_in_a_row > NEEDLESS,
                Rest,
                "{} turns in a row came at times that the host chose, and changed nothing; the \
                 machine says {:?}",
                self.needless_in_a_row,
                self.host.machine().next_wake()
            );
        }
        broken!(Rest, "the host wanted {MOST_TURNS} turns within {by:?}")
    }

    /// Gives the host the turns that it needs now, and looks at what it has done.
    fn settle(&mut self) -> Result<(), Broken> {
        self.note();
        self.settle_on()
    }

    fn settle_on(&mut self) -> Result<(), Broken> {
        let (mut turns, mut idle) = (0_u32, 0);
        loop {
            let is_asked = self.wake().is_some_and(|at| at <= self.now);
            let news = self.tasks.iter().any(|task| task.case.has_ended() || task.is_about_to_stop());
            // The host need not know by itself that a handler has ended, or obeys. Then a turn or two have to do.
            if !(is_asked || news && turns < 2) {
                break;
            }
            let before = self.seen();
            self.turn();
            turns += 1;
            idle = if self.seen() == before { idle + 1 } else { 0 };
            let wake = self.host.machine().next_wake();
            broken_if!(
                is_asked && idle > NEEDLESS || turns > MOST_TURNS,
                Rest,
                "the host wants a turn at once again and again, and {idle} have changed nothing: the machine \
                 says {wake:?}"
            );
        }
        self.check()
    }

    fn note(&mut self) {
        for task in &mut self.tasks {
            task.note(self.host.machine());
            self.late += u64::from(task.may_be_late());
        }
    }

    fn turn(&mut self) {
        let before = self.seen();
        self.host.turn(self.now);
        self.summary.turns += 1;
        self.summary.needless += u64::from(self.seen() == before);
    }

    /// Whether all promises are kept.
    fn check(&mut self) -> Result<(), Broken> {
        self.check_wake()?;
        let machine = self.host.machine();
        let late = machine.totals().late;
        broken_if!(
            late > self.late,
            Reports,
            "{late} reports were late, {} of them since the task had ended before: an end was reported twice, \
             or too late",
            self.late
        );
        for task in &mut self.tasks {
            task.check(machine)?;
            let kind = task.count();
            let told = kind.and_then(|kind| OutcomeKind::ALL.iter().position(|one| *one == kind));
            if let Some(told) = told.and_then(|at| self.told.get_mut(at)) {
                *told += 1;
            }
        }
        let settled: ByOutcome = machine.totals().settled;
        for (kind, told) in OutcomeKind::ALL.into_iter().zip(self.told) {
            let settled = settled.get(kind);
            broken_if!(
                settled != told,
                Callbacks,
                "the machine has settled {settled} tasks as {kind}, and callbacks were told of {told}"
            );
        }
        self.tasks.retain(|task| !task.is_gone(machine));
        Ok(())
    }

    /// The host wants its next turn no later than the machine needs it.
    fn check_wake(&self) -> Result<(), Broken> {
        let needed = self.host.machine().next_wake();
        let Some(at) = instant(needed, self.now) else { return Ok(()) };
        let wanted = self.host.wake();
        let is_missed = instant(wanted, self.now).is_none_or(|wanted| wanted > at);
        broken_if!(is_missed, Wakes, "the machine needs a turn: {needed:?}; the host wants one: {wanted:?}");
        Ok(())
    }

    /// Ends the host. Nothing may be left of it.
    pub(super) fn end(mut self, script: &Script) -> (Instant, Result<Summary, Broken>) {
        let ended = match script.end() {
            End::Drop => Ok(()),
            End::Drain(mode) => self.drain(mode),
        };
        self.summary.totals = self.host.machine().totals();
        let Self { host, cases, now, summary, .. } = self;
        drop(host);
        (now, ended.and_then(|()| nothing_is_left(&cases)).map(|()| summary))
    }

    fn drain(&mut self, mode: Drain) -> Result<(), Broken> {
        self.host.drain(self.now, mode);
        let is_open = self.host.machine().phase() == Phase::Open;
        broken_if!(is_open, End, "the host was drained, and the machine was not told");
        self.check_wake()?;
        self.settle()?;
        for _ in 0..MOST_TURNS {
            if self.host.machine().phase() == Phase::Drained {
                break;
            }
            self.end_handler(0, Ending::Completed);
            self.settle()?;
            if let Some(at) = self.wake() {
                self.now = self.now.max(at);
                self.settle()?;
            }
        }
        let phase = self.host.machine().phase();
        broken_if!(phase != Phase::Drained, End, "the host was drained, and its machine is still {phase}");
        // What nobody could stop comes to its end, too late.
        for _ in 0..self.tasks.len() {
            self.end_handler(0, Ending::Completed);
        }
        self.settle()?;
        self.check_empty()
    }

    fn check_empty(&mut self) -> Result<(), Broken> {
        let census = self.host.machine().census();
        broken_if!(!census.is_empty(), End, "the end has come, and the machine holds {census:?}");
        let wake = self.host.wake();
        broken_if!(wake != Wake::Never, End, "the end has come, and the host wants a turn: {wake:?}");
        let (case, errand) = Case::new(u32::MAX, false);
        let admitted = self.host.submit(self.now, errand, &Terms::new()).is_some();
        broken_if!(admitted, End, "the end has come, and a task was taken in");
        self.cases.push(case);
        let cases = self.cases.iter().filter(|case| case.jobs() + case.replies() > 0);
        let numbers: Vec<u32> = cases.map(|case| case.number).collect();
        broken_if!(
            !numbers.is_empty(),
            End,
            "the end has come, and the host keeps what it had of tasks {numbers:?}"
        );
        Ok(())
    }

    /// When the host wants its next turn.
    fn wake(&self) -> Option<Instant> {
        instant(self.host.wake(), self.now)
    }

    fn seen(&self) -> Seen {
        let machine = self.host.machine();
        let sum = |count: fn(&Case) -> u32| self.tasks.iter().map(|task| u64::from(count(&task.case))).sum();
        Seen {
            totals: machine.totals(),
            census: machine.census(),
            wake: machine.next_wake(),
            calls: sum(Case::calls),
            jobs: sum(Case::jobs),
        }
    }
}

/// Everything went with the host.
fn nothing_is_left(cases: &[Arc<Case>]) -> Result<(), Broken> {
    for case in cases {
        let (number, jobs, replies, calls) = (case.number, case.jobs(), case.replies(), case.calls());
        broken_if!(
            jobs + replies > 0,
            End,
            "the host was dropped, and {jobs} jobs and {replies} callbacks of task {number} were not"
        );
        broken_if!(calls > 1, Callbacks, "the callback of task {number} was called {calls} times");
    }
    Ok(())
}

/// The one that a byte chooses.
fn choose(among: Vec<usize>, nth: u8) -> Option<usize> {
    let at = usize::from(nth).checked_rem(among.len())?;
    among.get(at).copied()
}

/// When that is; now, if it has passed.
fn instant(wake: Wake, now: Instant) -> Option<Instant> {
    match wake {
        Wake::Now(_) => Some(now),
        Wake::At(at, _) => Some(at.max(now)),
        Wake::Never => None,
    }
}
