//! What a script gives a host: jobs whose handlers the script decides, and callbacks. Both are counted.

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::task::Ending;
use crate::{Outcome, OutcomeKind};

/// A task of a script: a job, and a callback for its outcome.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "a task that is refused is dropped, and any other one goes to the machine"]
pub struct Errand {
    /// The job.
    pub job: Job,
    /// The callback.
    pub reply: Reply,
}

/// The job of a task, and its handler. It counts as in the hands of the host as long as it or a clone exists.
pub struct Job(Arc<Case>);

/// The callback of a task.
pub struct Reply(Arc<Case>);

/// What a handler does in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an attempt that has ended must be reported"]
#[non_exhaustive]
pub enum Stepped {
    /// It goes on: call [`Job::step`] again in the next turn.
    GoesOn,
    /// It has completed with this output.
    Completed(u32),
    /// It has failed with this error.
    Failed(u32),
    /// It has panicked with this value.
    Panicked(u32),
    /// It has stopped, as it was told to by [`Job::stop`].
    Stopped,
}

impl Job {
    /// The number of the task, in the order in which tasks are submitted, from 0.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.0.number
    }

    /// Runs the handler for a step. A host calls this for each attempt that runs, in each of its turns, until it
    /// answers something else than [`GoesOn`](Stepped::GoesOn). Never for a job that does not run.
    pub fn step(&self) -> Stepped {
        self.0.step()
    }

    /// Tells the handler to stop. For hosts whose attempts stop by themselves: most handlers answer
    /// [`Stopped`](Stepped::Stopped) in their next step, some go on for a while. A host that drops attempts does not
    /// need this.
    pub fn stop(&self) {
        self.0.told_to_stop.store(true, Relaxed);
    }
}

impl Reply {
    /// The number of the task.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.0.number
    }

    /// Calls the callback.
    pub fn send(&self, outcome: &Outcome<u32, u32, u32>) {
        let value = match outcome {
            Outcome::Completed(value) | Outcome::Failed(value) | Outcome::Panicked(value) => *value,
            _ => Case::NO_VALUE,
        };
        let kind = OutcomeKind::ALL.iter().position(|kind| *kind == outcome.kind());
        self.0.outcome.store(kind.and_then(|at| u32::try_from(at).ok()).unwrap_or(0), Relaxed);
        self.0.value.store(value, Relaxed);
        self.0.calls.fetch_add(1, Relaxed);
    }
}

/// What is known of a task outside of the machine. Atomic, so that a host may move its jobs to other threads.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) number: u32,
    pub(super) is_deaf: bool,
    /// How many of them there are.
    jobs: AtomicU32,
    replies: AtomicU32,
    /// What the handler does in its next step: 0 if it goes on, else one more than a kind of outcome.
    next: AtomicU32,
    next_value: AtomicU32,
    steps: AtomicU32,
    told_to_stop: AtomicBool,
    has_stopped: AtomicBool,
    /// How often the callback was called, and with what.
    calls: AtomicU32,
    outcome: AtomicU32,
    value: AtomicU32,
}

impl Case {
    pub(super) const NO_VALUE: u32 = u32::MAX;

    /// A task with its job and its callback.
    pub(super) fn new(number: u32, is_deaf: bool) -> (Arc<Self>, Errand) {
        let case = Arc::new(Self { number, is_deaf, ..Self::default() });
        case.jobs.store(1, Relaxed);
        case.replies.store(1, Relaxed);
        let errand = Errand { job: Job(case.clone()), reply: Reply(case.clone()) };
        (case, errand)
    }

    /// The handler is to come to this end.
    pub(super) fn end(&self, ending: Ending, value: u32) {
        self.next_value.store(value, Relaxed);
        self.next.store(ending as u32 + 1, Relaxed);
    }

    /// Whether the handler has come to an end that the host has not seen.
    pub(super) fn has_ended(&self) -> bool {
        self.next.load(Relaxed) > 0
    }

    fn step(&self) -> Stepped {
        self.steps.fetch_add(1, Relaxed);
        let value = self.next_value.load(Relaxed);
        match self.next.swap(0, Relaxed) {
            0 if self.is_told() && !self.is_deaf && !self.has_stopped.swap(true, Relaxed) => Stepped::Stopped,
            0 => Stepped::GoesOn,
            1 => Stepped::Completed(value),
            2 => Stepped::Failed(value),
            _ => Stepped::Panicked(value),
        }
    }

    /// Forgets the attempt, which is over: another one may follow.
    pub(super) fn begin_anew(&self) {
        self.next.store(0, Relaxed);
        self.told_to_stop.store(false, Relaxed);
        self.has_stopped.store(false, Relaxed);
    }

    pub(super) fn jobs(&self) -> u32 {
        self.jobs.load(Relaxed)
    }

    pub(super) fn replies(&self) -> u32 {
        self.replies.load(Relaxed)
    }

    pub(super) fn steps(&self) -> u32 {
        self.steps.load(Relaxed)
    }

    pub(super) fn is_told(&self) -> bool {
        self.told_to_stop.load(Relaxed)
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.has_stopped.load(Relaxed)
    }

    pub(super) fn calls(&self) -> u32 {
        self.calls.load(Relaxed)
    }

    /// The outcome that the callback was told of last, if it was called.
    pub(super) fn outcome(&self) -> Option<(OutcomeKind, u32)> {
        let at = usize::try_from(self.outcome.load(Relaxed)).unwrap_or(usize::MAX);
        let kind = OutcomeKind::ALL.get(at).filter(|_| self.calls() > 0)?;
        Some((*kind, self.value.load(Relaxed)))
    }
}

impl Clone for Job {
    fn clone(&self) -> Self {
        self.0.jobs.fetch_add(1, Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Relaxed);
    }
}

impl Clone for Reply {
    fn clone(&self) -> Self {
        self.0.replies.fetch_add(1, Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.0.replies.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Job").field(&self.0.number).finish()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.0.number).finish()
    }
}
