//! Hosts of the core: one that is right, with a timer of its own, and the same with a fault that is planted in it.

use std::mem;
use std::time::Duration;

use plimsoll_core::testkit::hosts::{Errand, Host, Job, Reply, Stepped};
use plimsoll_core::{
    AttemptId, BuildError, Drain, Effect, Instant, Limits, Offer, Outcome, OutcomeKind, Phase, Plan,
    Processor, Reason, Route, Settlement, TaskId, Terms, Wake,
};

pub struct Jobs;

impl Plan for Jobs {
    type Job = Job;
    type Output = u32;
    type Error = u32;
    type Panic = u32;
    type Meta = ();
    type Callback = Reply;
    type Waiter = ();
    type Listener = ();
    type Key = ();
    type Value = ();
}

/// What is wrong with a host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It goes on with what it was asked to stop.
    ForgetsStop,
    /// It drops what it was asked to stop, and does not report that.
    StopsSilently,
    /// It reports that an attempt has stopped, and lets it run to its end.
    ReportsStopEarly,
    /// It calls each callback twice.
    CallsTwice,
    /// It keeps a callback that was called.
    KeepsCallback,
    /// It reports each completion twice.
    ReportsTwice,
    /// It does not report failures.
    ForgetsFailures,
    /// It reports a failure as an attempt that has stopped.
    ReportsFailureAsStop,
    /// It sets its timer after its turns only.
    SetsTimerInTurns,
    /// It sets its timer once, and no earlier.
    SetsTimerLaterOnly,
    /// It wants turns all the time.
    Spins,
    /// It wants a turn each millisecond.
    Polls,
    /// It drops the outcome of tasks that were cancelled.
    LosesCancelled,
    /// It tells callbacks that what has failed has completed.
    TellsTheWrongOutcome,
    /// It runs jobs when they are submitted.
    RunsAtOnce,
    /// It runs one attempt more than it may, from a copy of a job that waits.
    RunsCopies,
    /// It keeps what runs when the end has come.
    KeepsAttempts,
    /// It keeps its timer when the end has come.
    KeepsTimer,
    /// It calls `advance` once, and takes no notice of `more`.
    AdvancesOnce,
    /// It drops effects once it is drained.
    DropsEffects,
    /// It takes one effect a turn, and does not come back for the next.
    TakesOneEffect,
    /// It lets time act before it reports.
    ReportsLast,
    /// It passes no cancel on.
    ForgetsCancel,
    /// It passes no drain on.
    ForgetsDrain,
    /// It calls the callback of what is refused.
    CallsRefused,
    /// It drops an attempt that fails a second time.
    DropsAttempts,
    /// It reports nothing once it is drained.
    EndsDeaf,
    /// It keeps its jobs in a place that outlives it.
    Leaks,
}

/// How a host goes about what it is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manner {
    /// It drops it, in its next turn.
    Drops,
    /// It drops it within the command that has cancelled it.
    DropsAtOnce,
    /// It tells it to stop.
    Tells,
}

impl Manner {
    pub const ALL: [Self; 3] = [Self::Drops, Self::DropsAtOnce, Self::Tells];
}

pub struct Loop {
    machine: Processor<Jobs>,
    in_hand: Vec<(AttemptId, Job)>,
    timer: Wake,
    manner: Manner,
    fault: Option<Fault>,
    /// What a fault has put aside.
    kept: Vec<Job>,
    called: Vec<Reply>,
}

impl Loop {
    pub fn new(
        limits: Limits,
        now: Instant,
        manner: Manner,
        fault: Option<Fault>,
    ) -> Result<Self, BuildError> {
        let machine = Processor::new(limits, now)?;
        let mut host = Self {
            machine,
            in_hand: Vec::new(),
            timer: Wake::Never,
            manner,
            fault,
            kept: Vec::new(),
            called: Vec::new(),
        };
        host.set_timer();
        Ok(host)
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn is_over(&self) -> bool {
        self.machine.phase() == Phase::Drained
    }

    fn set_timer(&mut self) {
        let next = self.machine.next_wake();
        let is_earlier = matches!((self.timer, next), (Wake::At(set, _), Wake::At(at, _)) if at < set);
        if self.is_over() && self.has(Fault::KeepsTimer) {
            self.timer = Wake::At(Instant::MAX, Reason::Timer);
        } else if !(is_earlier && self.has(Fault::SetsTimerLaterOnly)) {
            self.timer = next;
        }
    }

    fn after_command(&mut self, now: Instant) {
        if self.manner == Manner::DropsAtOnce {
            self.take_effects(now);
        }
        if !self.has(Fault::SetsTimerInTurns) {
            self.set_timer();
        }
    }

    fn work(&mut self, now: Instant) {
        if self.has(Fault::EndsDeaf) && self.machine.phase() != Phase::Open {
            return;
        }
        self.kept.retain(|job| job.step() == Stepped::GoesOn);
        for (attempt, job) in mem::take(&mut self.in_hand) {
            match job.step() {
                Stepped::Completed(output) => self.completed(now, attempt, output),
                Stepped::Failed(error) => self.failed(now, attempt, error, job),
                Stepped::Panicked(panic) => {
                    drop(self.machine.panicked(now, attempt, panic, Some(job), &"panicked".into()));
                }
                Stepped::Stopped => drop(self.machine.stopped(now, attempt, Some(job))),
                _ => self.in_hand.push((attempt, job)),
            }
        }
    }

    fn completed(&mut self, now: Instant, attempt: AttemptId, output: u32) {
        let _ = self.machine.completed(now, attempt, output);
        if self.has(Fault::ReportsTwice) {
            let _ = self.machine.completed(now, attempt, output);
        }
    }

    fn failed(&mut self, now: Instant, attempt: AttemptId, error: u32, job: Job) {
        match self.fault {
            Some(Fault::ForgetsFailures) => self.in_hand.push((attempt, job)),
            Some(Fault::DropsAttempts) => {}
            Some(Fault::ReportsFailureAsStop) => drop(self.machine.stopped(now, attempt, Some(job))),
            _ => drop(self.machine.failed(now, attempt, error, Some(job), None, &"failed".into())),
        }
    }

    fn let_time_act(&mut self, now: Instant) {
        while self.machine.advance(now, 64).more && !self.has(Fault::AdvancesOnce) {}
    }

    fn take_effects(&mut self, now: Instant) {
        while let Some(effect) = self.machine.poll_effect() {
            if self.has(Fault::DropsEffects) && self.machine.phase() != Phase::Open {
                continue;
            }
            match effect {
                Effect::Settle(settled) => self.settled(settled),
                Effect::Stop(stop) => self.stop(now, stop.attempt),
                Effect::Drained if !self.has(Fault::KeepsAttempts) && self.manner != Manner::Tells => {
                    self.in_hand.clear()
                }
                _ => {}
            }
            if self.has(Fault::TakesOneEffect) {
                break;
            }
        }
    }

    fn settled(&mut self, settled: Settlement<Jobs>) {
        let Some(reply) = settled.callback else { return };
        let is_cancelled = settled.outcome.kind() == OutcomeKind::Cancelled;
        let outcome = match settled.outcome {
            Outcome::Failed(error) if self.has(Fault::TellsTheWrongOutcome) => Outcome::Completed(error),
            outcome => outcome,
        };
        if !(is_cancelled && self.has(Fault::LosesCancelled)) {
            reply.send(&outcome);
        }
        match self.fault {
            Some(Fault::CallsTwice) => reply.send(&outcome),
            Some(Fault::KeepsCallback) => self.called.push(reply),
            _ => {}
        }
    }

    fn stop(&mut self, now: Instant, attempt: AttemptId) {
        let at = self.in_hand.iter().position(|(id, _)| *id == attempt);
        let Some((id, job)) = at.map(|at| self.in_hand.swap_remove(at)) else { return };
        let is_ending = self.machine.phase() != Phase::Open;
        match self.fault {
            Some(Fault::ForgetsStop) => self.in_hand.push((id, job)),
            Some(Fault::KeepsAttempts) if is_ending => self.in_hand.push((id, job)),
            Some(Fault::StopsSilently) => {}
            Some(Fault::ReportsStopEarly) => {
                let _ = self.machine.stopped(now, id, None);
                self.kept.push(job);
            }
            _ if self.manner == Manner::Tells => {
                job.stop();
                self.in_hand.push((id, job));
            }
            _ => drop(self.machine.stopped(now, id, Some(job))),
        }
    }
}

impl Host for Loop {
    type Plan = Jobs;

    fn machine(&self) -> &Processor<Jobs> {
        &self.machine
    }

    fn submit(&mut self, now: Instant, errand: Errand, terms: &Terms) -> Option<TaskId> {
        let (job, reply) = (errand.job.clone(), errand.reply.clone());
        let offer = Offer::new(errand.job, ()).route(Route::Callback(errand.reply));
        let admitted = self.machine.submit(now, offer, terms).ok();
        match self.fault {
            Some(Fault::RunsAtOnce) if admitted.is_some() => drop(job.step()),
            Some(Fault::RunsCopies) if admitted.is_some() && self.in_hand.len() > 1 => self.kept.push(job),
            Some(Fault::Leaks) if admitted.is_some() => mem::forget(job),
            Some(Fault::CallsRefused) if admitted.is_none() => reply.send(&Outcome::Shed),
            _ => {}
        }
        self.after_command(now);
        admitted
    }

    fn cancel(&mut self, now: Instant, task: TaskId) {
        if !self.has(Fault::ForgetsCancel) {
            let _ = self.machine.cancel(now, task);
        }
        self.after_command(now);
    }

    fn drain(&mut self, now: Instant, mode: Drain) {
        if !self.has(Fault::ForgetsDrain) {
            self.machine.drain(now, mode);
        }
        self.after_command(now);
    }

    fn wake(&self) -> Wake {
        match self.fault {
            Some(Fault::Spins) => Wake::Now(Reason::Timer),
            Some(Fault::Polls) if self.machine.phase() == Phase::Open => {
                let soon = self.machine.now().saturating_add(Duration::from_micros(500));
                match self.timer {
                    Wake::Never => Wake::At(soon, Reason::Timer),
                    Wake::At(at, reason) => Wake::At(at.min(soon), reason),
                    now => now,
                }
            }
            _ => self.timer,
        }
    }

    fn turn(&mut self, now: Instant) {
        if self.has(Fault::ReportsLast) {
            self.let_time_act(now);
        }
        self.work(now);
        self.let_time_act(now);
        while let Some(start) = self.machine.start_next(now) {
            self.in_hand.push((start.attempt, start.job));
        }
        self.take_effects(now);
        self.set_timer();
        if matches!(self.timer, Wake::At(at, _) if at <= now) && self.has(Fault::AdvancesOnce)
            || self.has(Fault::TakesOneEffect)
        {
            self.timer = Wake::Never;
        }
    }
}
