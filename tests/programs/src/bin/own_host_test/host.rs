//! The host, as it would be in an application, but for the faults that can be planted in it.

use std::mem;

use plimsoll_core::{
    AttemptId, Drain, Effect, Instant, Offer, Phase, Plan, Processor, Refusal, Refused, Settlement, Start,
    TaskId, Terms, Wake,
};

/// A host: whoever owns it calls [`turn`](Self::turn) when its [`timer`](Self::timer) says so, and when an attempt has
/// something new. In an application `P` is a plan of its own.
pub struct Host<P: Plan> {
    machine: Processor<P>,
    in_hand: Vec<Start<P>>,
    timer: Wake,
    fault: Option<Fault>,
}

/// What is wrong with a host, on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It lets time act before it reports: what was done in time has timed out.
    ReportsLast,
    /// It drops an attempt that it was asked to stop, and does not report that: the place is lost.
    StopsSilently,
    /// It does not look at its timer after a command: what is due earlier than before comes too late.
    ForgetsTimer,
    /// It drops what the machine hands out once it ends: callbacks are not called.
    DropsTheEnd,
}

impl Fault {
    pub const ALL: [Self; 4] =
        [Self::ReportsLast, Self::StopsSilently, Self::ForgetsTimer, Self::DropsTheEnd];
}

/// What does the work of a host, and takes its values.
pub trait Owner<P: Plan> {
    /// One step of an attempt.
    fn step(&mut self, attempt: &Start<P>) -> Step<P>;
    /// A task has ended, with everything that leaves with it.
    fn settled(&mut self, settlement: Settlement<P>);
}

pub enum Step<P: Plan> {
    GoesOn,
    Completed(P::Output),
    Failed(P::Error),
}

impl<P: Plan> Host<P> {
    pub fn new(machine: Processor<P>, fault: Option<Fault>) -> Self {
        let timer = machine.next_wake();
        Self { machine, in_hand: Vec::new(), timer, fault }
    }

    pub fn machine(&self) -> &Processor<P> {
        &self.machine
    }

    /// When it wants its next turn.
    pub fn timer(&self) -> Wake {
        self.timer
    }

    pub fn submit(
        &mut self,
        now: Instant,
        offer: Offer<P>,
        terms: &Terms,
    ) -> Result<TaskId, Refused<Offer<P>, Refusal>> {
        let admitted = self.machine.submit(now, offer, terms);
        self.set_timer_after_command();
        admitted
    }

    pub fn cancel(&mut self, now: Instant, task: TaskId) {
        // One that has ended is beyond cancelling.
        let _ = self.machine.cancel(now, task);
        self.set_timer_after_command();
    }

    pub fn drain(&mut self, now: Instant, mode: Drain) {
        self.machine.drain(now, mode);
        self.set_timer_after_command();
    }

    /// Reports first, then time, then starts: the clock rule of the core.
    pub fn turn(&mut self, now: Instant, owner: &mut impl Owner<P>) {
        if self.fault == Some(Fault::ReportsLast) {
            self.let_time_act(now, owner);
        }
        for attempt in mem::take(&mut self.in_hand) {
            self.work_on(attempt, now, owner);
        }
        self.let_time_act(now, owner);
        while let Some(start) = self.machine.start_next(now) {
            self.in_hand.push(start);
        }
        // What was overdue has not been started, but settled.
        self.take_effects(now, owner);
        self.timer = self.machine.next_wake();
    }

    /// A report that is late hands its values back: the task had ended, and nobody needs them.
    fn work_on(&mut self, attempt: Start<P>, now: Instant, owner: &mut impl Owner<P>) {
        match owner.step(&attempt) {
            Step::GoesOn => self.in_hand.push(attempt),
            Step::Completed(output) => _ = self.machine.completed(now, attempt.attempt, output),
            Step::Failed(error) => {
                let (job, text) = (Some(attempt.job), "failed".into());
                _ = self.machine.failed(now, attempt.attempt, error, job, None, &text);
            }
        }
    }

    fn let_time_act(&mut self, now: Instant, owner: &mut impl Owner<P>) {
        while self.machine.advance(now, 64).more {}
        self.take_effects(now, owner);
    }

    fn take_effects(&mut self, now: Instant, owner: &mut impl Owner<P>) {
        while let Some(effect) = self.machine.poll_effect() {
            let is_dropped = self.fault == Some(Fault::DropsTheEnd) && self.machine.phase() != Phase::Open;
            match effect {
                _ if is_dropped => {}
                Effect::Settle(settlement) => owner.settled(settlement),
                Effect::Stop(stop) => self.stop(stop.attempt, now),
                // This host uses no handles, emitters, subscribers, cache or intervals.
                _ => {}
            }
        }
    }

    fn stop(&mut self, attempt: AttemptId, now: Instant) {
        let Some(at) = self.in_hand.iter().position(|start| start.attempt == attempt) else { return };
        let job = self.in_hand.swap_remove(at).job;
        if self.fault != Some(Fault::StopsSilently) {
            // With the job it may be tried again; else that comes back.
            let _ = self.machine.stopped(now, attempt, Some(job));
        }
    }

    fn set_timer_after_command(&mut self) {
        if self.fault != Some(Fault::ForgetsTimer) {
            self.timer = self.machine.next_wake();
        }
    }
}
