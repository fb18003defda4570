//! What has to hold for one task after each instant: between the machine, which says where the task stands, and what
//! was seen of the host.

use alloc::sync::Arc;

use super::errand::Case;
use super::finding::{Broken, Promise, broken, broken_if};
use super::task::Ending;
use crate::{OutcomeKind, Phase, Plan, Processor, Stage, TaskId};

/// A task that was admitted.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) id: TaskId,
    pub(super) case: Arc<Case>,
    /// Whether the script has cancelled it.
    pub(super) is_cancelled: bool,
    /// The end that its handler has come to last, and the value.
    pub(super) ended: Option<(Ending, u32)>,
    /// How it stood when this instant began.
    before: Before,
    /// Whether its outcome is counted.
    is_counted: bool,
    /// The steps of its handler that were looked at.
    steps: u32,
}

#[derive(Debug, Default)]
struct Before {
    stage: Option<Stage>,
    attempts: u32,
    /// Whether its handler had come to an end that the host had not seen.
    has_ended: bool,
}

impl Tracked {
    pub(super) fn new(id: TaskId, case: Arc<Case>) -> Self {
        Self {
            id,
            case,
            is_cancelled: false,
            ended: None,
            before: Before::default(),
            is_counted: false,
            steps: 0,
        }
    }

    /// Notes how the task stands, before the host has a turn.
    pub(super) fn note<P: Plan>(&mut self, machine: &Processor<P>) {
        let view = machine.view(self.id);
        self.before = Before {
            stage: view.map(|view| view.stage),
            attempts: view.map_or(0, |view| view.attempts),
            has_ended: self.case.has_ended(),
        };
    }

    /// Whether the host may report this attempt late, since it was orphaned before the host had a turn.
    pub(super) fn may_be_late(&self) -> bool {
        self.before.has_ended && matches!(self.before.stage, Some(Stage::Orphaned { .. }) | None)
    }

    /// Whether the handler was told to stop and would say in its next step that it has.
    pub(super) fn is_about_to_stop(&self) -> bool {
        self.case.is_told() && !self.case.is_deaf && !self.case.has_stopped() && self.case.jobs() > 0
    }

    /// Whether nothing can be seen of it any more.
    pub(super) fn is_gone<P: Plan>(&self, machine: &Processor<P>) -> bool {
        self.is_counted && machine.view(self.id).is_none() && self.case.jobs() + self.case.replies() == 0
    }

    /// The kind of its outcome, the first time that it is known.
    pub(super) fn count(&mut self) -> Option<OutcomeKind> {
        let (kind, _) = self.case.outcome().filter(|_| !self.is_counted)?;
        self.is_counted = true;
        Some(kind)
    }

    /// Whether all promises about this task are kept.
    pub(super) fn check<P: Plan>(&mut self, machine: &Processor<P>) -> Result<(), Broken> {
        self.check_callback(machine)?;
        self.check_report(machine)?;
        self.check_attempt(machine)?;
        if machine.view(self.id).is_some_and(|view| is_waiting(view.stage)) {
            self.case.begin_anew();
        }
        self.steps = self.case.steps();
        Ok(())
    }

    /// Called once when the task is settled, not before, and not kept afterwards.
    fn check_callback<P: Plan>(&self, machine: &Processor<P>) -> Result<(), Broken> {
        let (number, calls) = (self.case.number, self.case.calls());
        let stage = machine.view(self.id).map(|view| view.stage);
        let is_settled = stage.is_none_or(|stage| settled_as(stage).is_some());
        broken_if!(calls > 1, Callbacks, "the callback of task {number} was called {calls} times");
        broken_if!(
            is_settled && calls == 0,
            Callbacks,
            "task {number} is settled, and its callback was not called"
        );
        let Some((kind, value)) = self.case.outcome() else { return Ok(()) };
        broken_if!(
            !is_settled,
            Callbacks,
            "the callback of task {number} was called, and the task is {stage:?}"
        );
        let settled = stage.and_then(settled_as).unwrap_or(kind);
        broken_if!(
            settled != kind,
            Callbacks,
            "task {number} is settled as {settled}, and its callback was told {kind}"
        );
        broken_if!(
            self.case.replies() > 0,
            Callbacks,
            "the callback of task {number} was called, and is kept"
        );
        let expected = self.ended.filter(|(ending, _)| ending.kind() == kind).map(|(_, value)| value);
        broken_if!(
            kind.has_value() && expected != Some(value),
            Callbacks,
            "the callback of task {number} was told {kind} with {value}; its handler had {:?}",
            self.ended
        );
        let may_be_cancelled = self.is_cancelled || machine.phase() != Phase::Open;
        broken_if!(
            kind == OutcomeKind::Cancelled && !may_be_cancelled,
            Reports,
            "task {number} is settled as cancelled, and nobody has cancelled it: its attempt was reported as stopped"
        );
        Ok(())
    }

    /// An attempt that had ended before the host had its turn was reported, and that counted unless it was an orphan.
    fn check_report<P: Plan>(&self, machine: &Processor<P>) -> Result<(), Broken> {
        let Some((ending, _)) = self.ended.filter(|_| self.before.has_ended) else { return Ok(()) };
        let (number, view) = (self.case.number, machine.view(self.id));
        let counts = matches!(self.before.stage, Some(Stage::Running { .. } | Stage::Stopping { .. }));
        let outcome =
            self.case.outcome().map(|(kind, _)| kind).filter(|_| counts && ending == Ending::Completed);
        if let Some(other) = outcome.filter(|kind| *kind != ending.kind()) {
            broken!(
                Reports,
                "the handler of task {number} had {ending} before its deadline was acted on, and the task is \
                 settled as {other}"
            );
        }
        // The attempt of a task that had been cancelled may be dropped instead.
        let is_ignored = self.case.has_ended() && (counts || self.case.jobs() > 0);
        broken_if!(is_ignored, Reports, "the handler of task {number} has {ending}, and was not asked");
        let still_runs =
            view.is_some_and(|view| has_place(view.stage) && view.attempts == self.before.attempts);
        broken_if!(
            still_runs,
            Reports,
            "the handler of task {number} has {ending}, and that was not reported"
        );
        Ok(())
    }

    /// The host runs the attempt if the machine says so, and only then.
    fn check_attempt<P: Plan>(&self, machine: &Processor<P>) -> Result<(), Broken> {
        let (case, number, jobs) = (&self.case, self.case.number, self.case.jobs());
        let Some(view) = machine.view(self.id) else {
            let runs_on = case.is_told() && case.is_deaf;
            let (is_over, limit) = (machine.phase() == Phase::Drained, machine.concurrency());
            broken_if!(
                is_over && jobs > 0 && !runs_on,
                End,
                "the end has come, and the host keeps the attempt of task {number}"
            );
            broken_if!(
                !is_over && jobs > 0,
                Starts,
                "task {number} is over for the machine, and the host has its attempt still, beside the \
                 {limit} that may run"
            );
            return Ok(());
        };
        match view.stage {
            Stage::Running { .. } if jobs == 0 => {
                broken!(Reports, "the attempt of task {number} was dropped, and not reported");
            }
            Stage::Stopping { .. } | Stage::Orphaned { .. } => self.check_stop()?,
            stage if is_waiting(stage) => {
                let waited =
                    self.before.stage.is_none_or(is_waiting) && view.attempts == self.before.attempts;
                broken_if!(
                    waited && case.steps() > self.steps,
                    Starts,
                    "the handler of task {number} runs, and no attempt was started: the task is {stage:?}"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// The attempt is asked to stop.
    fn check_stop(&self) -> Result<(), Broken> {
        let (case, number) = (&self.case, self.case.number);
        broken_if!(
            case.jobs() == 0,
            Stops,
            "the attempt of task {number} was dropped, and not reported as stopped: it keeps its place"
        );
        broken_if!(
            !case.is_told(),
            Stops,
            "the attempt of task {number} is to stop, and it was neither told nor dropped"
        );
        broken_if!(
            case.has_stopped(),
            Stops,
            "the attempt of task {number} has stopped, and that was not reported"
        );
        broken_if!(
            !case.is_deaf,
            Stops,
            "the attempt of task {number} was told to stop, and its handler was not asked again"
        );
        Ok(())
    }
}

/// Whether no attempt runs and another may follow.
fn is_waiting(stage: Stage) -> bool {
    matches!(stage, Stage::Delayed { .. } | Stage::Queued { .. } | Stage::BackingOff { .. })
}

/// Whether an attempt runs.
pub(super) fn has_place(stage: Stage) -> bool {
    matches!(stage, Stage::Running { .. } | Stage::Stopping { .. } | Stage::Orphaned { .. })
}

/// How the task has ended, if it has.
fn settled_as(stage: Stage) -> Option<OutcomeKind> {
    match stage {
        Stage::Orphaned { outcome, .. } | Stage::Settled { outcome, .. } => Some(outcome),
        _ => None,
    }
}
