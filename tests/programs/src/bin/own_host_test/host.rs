//! The host, as it would be in an application, but for the faults that can be planted in it.

use std::mem;

use plimsoll_core::{
    AttemptId, Effect, Failure, Instant, OutcomeKind, Plan, Processor, Settlement, Start, TaskId,
};

/// A host: whoever owns it calls [`turn`](Self::turn) again and again. In an application `P` is a plan of its own.
pub struct Host<P: Plan> {
    pub machine: Processor<P>,
    pub in_hand: Vec<Start<P>>,
    pub fault: Option<Fault>,
}

/// What is wrong with a host, on purpose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// It lets time act before it reports: what was done in time has timed out.
    ReportsLast,
    /// It drops an attempt that it was asked to stop, and does not report that: the place is lost.
    StopsSilently,
    /// It starts one attempt a turn.
    StartsOne,
    /// It drops the value that a late report hands back.
    DropsWhatIsLate,
}

impl Fault {
    pub const ALL: [Self; 4] =
        [Self::ReportsLast, Self::StopsSilently, Self::StartsOne, Self::DropsWhatIsLate];
}

/// What does the work of a host, and takes its values.
pub trait Owner<P: Plan> {
    /// One step of an attempt.
    fn step(&mut self, attempt: &Start<P>) -> Step<P>;
    /// A task has ended, with everything that leaves with it.
    fn settled(&mut self, settlement: Settlement<P>);
    /// A value that nobody needs any more. An application drops it.
    fn spare(&mut self, value: Spare<P>);
    /// A report was late, for the task had ended like this.
    fn late(&mut self, task: TaskId, settled: Option<OutcomeKind>);
}

pub enum Step<P: Plan> {
    GoesOn,
    Completed(P::Output),
    Failed(P::Error),
}

pub enum Spare<P: Plan> {
    Job(P::Job),
    Output(P::Output),
    Error(P::Error),
}

impl<P: Plan> Host<P> {
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
            if self.fault == Some(Fault::StartsOne) {
                break;
            }
        }
        // What was overdue has not been started, but settled.
        self.take_effects(now, owner);
    }

    fn work_on(&mut self, attempt: Start<P>, now: Instant, owner: &mut impl Owner<P>) {
        let (id, task) = (attempt.attempt, attempt.task);
        match owner.step(&attempt) {
            Step::GoesOn => self.in_hand.push(attempt),
            Step::Completed(output) => {
                owner.spare(Spare::Job(attempt.job));
                if let Err(late) = self.machine.completed(now, id, output) {
                    owner.late(task, late.settled);
                    if self.fault != Some(Fault::DropsWhatIsLate) {
                        owner.spare(Spare::Output(late.value));
                    }
                }
            }
            Step::Failed(error) => {
                let text = "failed".into();
                let job = match self.machine.failed(now, id, error, Some(attempt.job), None, &text) {
                    Ok(Failure::Retrying { value, .. }) => return owner.spare(Spare::Error(value)),
                    Ok(Failure::Settled { job }) => job,
                    Ok(_) => None,
                    Err(late) => {
                        let (error, job) = late.value;
                        owner.late(task, late.settled);
                        owner.spare(Spare::Error(error));
                        job
                    }
                };
                job.into_iter().for_each(|job| owner.spare(Spare::Job(job)));
            }
        }
    }

    fn let_time_act(&mut self, now: Instant, owner: &mut impl Owner<P>) {
        while self.machine.advance(now, 64).more {}
        self.take_effects(now, owner);
    }

    fn take_effects(&mut self, now: Instant, owner: &mut impl Owner<P>) {
        while let Some(effect) = self.machine.poll_effect() {
            match effect {
                Effect::Settle(settlement) => owner.settled(settlement),
                Effect::Stop(stop) => self.stop(stop.attempt, now, owner),
                // This host uses no handles, emitters, subscribers, cache or intervals.
                _ => {}
            }
        }
    }

    fn stop(&mut self, attempt: AttemptId, now: Instant, owner: &mut impl Owner<P>) {
        let Some(at) = self.in_hand.iter().position(|start| start.attempt == attempt) else { return };
        let job = self.in_hand.swap_remove(at).job;
        if self.fault == Some(Fault::StopsSilently) {
            return owner.spare(Spare::Job(job));
        }
        // With the job it may be tried again; else that comes back.
        let job = match self.machine.stopped(now, attempt, Some(job)) {
            Ok(Failure::Settled { job }) => job,
            Ok(_) => None,
            Err(late) => late.value,
        };
        job.into_iter().for_each(|job| owner.spare(Spare::Job(job)));
    }
}
