//! Acts on parts of the processor that are not always there, and checks what must then be seen.

use std::time::Duration;

use plimsoll::{
    Hold, HoldRefusal, Priority, PriorityRefusal, Progress, Refusal, Scope, Stage as TaskStage, TaskId,
    TaskView,
};

use super::part_action::PartAction;
use super::plan::Order;
use super::stage::{Stage, lock};
use super::world::World;

/// Which task had a key before a submission, and whether it waited.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    task: Option<TaskId>,
    waits: bool,
}

impl World {
    pub(super) fn act_on_part(&mut self, action: PartAction) {
        let stage = self.stage.clone();
        match action {
            PartAction::Schedule(order) => self.schedule(order.under(self.setup.parts())),
            PartAction::EndSchedule { by_id } => self.end_schedule(by_id),
            PartAction::SetPriority { task, class } => stage.set_priority(task, Priority::new(class)),
            PartAction::Clear(scope) => stage.clear(scope),
            PartAction::Hold(time) => {
                stage.reach("hold");
                stage.desk().hold(time);
                let hold = stage.desk().health().hold;
                let is_over = stage.now().saturating_add(time) <= stage.now();
                stage.ensure(is_over || hold != Hold::None, || "a hold holds nothing".into());
            }
            PartAction::PauseClass(class) => stage.pause_class(class),
            PartAction::PauseClassOf { task } => stage.pause_class_of(task),
            PartAction::ResumeClass(place) => stage.resume_class(place),
            PartAction::HoldLane { key, time } => stage.hold_lane(key, time),
            PartAction::Beat { context, progress } => stage.beat_from_outside(context, progress),
        }
    }
}

const fn waits(stage: TaskStage) -> bool {
    matches!(stage, TaskStage::Delayed { .. } | TaskStage::BackingOff { .. } | TaskStage::Queued { .. })
}

impl Stage {
    fn set_priority(&self, back: u8, priority: Priority) {
        let Some((task, id)) = self.task_at(back) else { return };
        let before = self.desk().view(id).map(|view| view.stage);
        let set = self.desk().set_priority(id, priority);
        let is_right = match (before, set) {
            (None, Err(PriorityRefusal::NotFound)) => true,
            (Some(stage), Err(PriorityRefusal::NotWaiting)) => !waits(stage),
            (Some(stage), Ok(())) => {
                self.reach("set priority");
                waits(stage) && self.desk().view(id).is_some_and(|view| view.priority == priority)
            }
            _ => false,
        };
        self.ensure(is_right, || format!("task {task}, {before:?}: {priority:?} is {set:?}"));
    }

    fn clear(&self, scope: Scope) {
        let is_in = |view: &TaskView<u32>| match scope {
            Scope::Lane(key) => view.lane == Some(key),
            Scope::Class(class) => view.priority == class,
            _ => true,
        };
        let mut cleared = self.desk().inspect(0, u32::MAX).tasks;
        cleared.retain(|view| matches!(view.stage, TaskStage::Queued { .. }) && is_in(view));
        let count = self.desk().clear(scope);
        self.ensure(count == cleared.len() as u64, || format!("{count} are cleared, not {cleared:?}"));
        for view in cleared {
            self.reach("cleared");
            if let Some(task) = self.number_of(view.meta, view.task) {
                let now = self.now();
                self.book().task(task).cleared = Some(now);
            }
        }
    }

    fn hold_lane(&self, key: u64, time: Duration) {
        let held = self.desk().hold_lane(key, time);
        let is_closing = self.book().ending.is_closing;
        let is_right = match held {
            Ok(()) => self.has_lanes,
            Err(HoldRefusal::Closed) => is_closing,
            Err(_) => true,
        };
        self.ensure(is_right, || format!("a hold of lane {key} is {held:?}"));
        if held.is_ok() {
            self.reach("hold of a lane");
            let until = self.now().saturating_add(time);
            let shut_until = self.desk().lane(key).and_then(|lane| lane.shut_until);
            // An empty lane needs none once nothing is taken in.
            let is_shut = until <= self.now() || is_closing || shut_until >= Some(until);
            self.ensure(is_shut, || format!("lane {key} is shut until {shut_until:?}, not {until:?}"));
        }
    }

    /// A context that was left behind: its attempt goes on, or is over, as is known.
    fn beat_from_outside(&self, back: u8, progress: bool) {
        let contexts = lock(&self.contexts);
        let Some(at) = usize::from(back).checked_rem(contexts.len()) else { return };
        let (task, attempt, context) =
            (contexts[at].task, contexts[at].attempt, contexts[at].context.clone());
        drop(contexts);
        let now = self.now();
        let goes_on = if progress { context.progress(Progress::new(7)) } else { context.heartbeat() };
        let mut book = self.book();
        let is_over = book.task(task).is_over(attempt);
        if goes_on {
            book.beat(task, attempt, now);
        }
        drop(book);
        self.reach(if is_over { "late heartbeat" } else { "heartbeat from outside" });
        self.ensure(!goes_on || !is_over, || format!("an attempt at task {task} goes on after its end"));
    }

    /// Looks at the key of a task that is to be submitted.
    pub(super) fn look(&self, order: Order) -> Look {
        let task = order.key().and_then(|key| self.desk().task_with_key(key));
        let view = task.and_then(|task| self.desk().view(task));
        self.ensure(view.is_some() || task.is_none(), || format!("{task:?} has a key, but is not there"));
        Look { task, waits: view.is_some_and(|view| waits(view.stage)) }
    }

    /// Notes whether a task was taken in, and whether that was right after this look at its key.
    pub(super) fn note_keyed(&self, task: u32, look: Look, entry: Result<Option<TaskId>, Refusal>) {
        let order = self.book().task(task).order;
        self.note_entry(task, entry);
        let Some(key) = order.key() else { return };
        let now = self.now();
        match entry {
            Err(Refusal::Duplicate) => {
                self.reach(if look.task.is_some() { "duplicate" } else { "duplicate in a window" });
                let is_taken = look.task.is_some() || self.book().may_be_remembered(key, now);
                self.ensure(is_taken && !order.replaces(), || {
                    format!("task {task} is refused as a duplicate, but key {key} is free")
                });
            }
            Err(Refusal::NotDeduplicated) => self.ensure(false, || format!("task {task} may have a key")),
            Err(_) => {}
            Ok(id) => {
                let is_remembered = self.remembers_all && self.book().is_remembered(key, task, now);
                let is_free = look.task.is_none() && !is_remembered;
                self.ensure(is_free || order.replaces(), || {
                    format!("task {task} is taken in, but {look:?} has key {key}, or was there")
                });
                self.ensure(id.is_none() || id == self.desk().task_with_key(key), || {
                    format!("task {task} has not got its key {key}")
                });
                self.book().enter_key(task, look.task, look.waits);
                if look.waits {
                    self.note_superseded(task, look.task);
                } else if look.task.is_some() {
                    self.reach("behind");
                }
            }
        }
    }

    /// A task has taken the place of an older one, which is settled at once.
    fn note_superseded(&self, task: u32, older: Option<TaskId>) {
        self.reach("superseded");
        let stage = older.and_then(|older| self.desk().view(older)).map(|view| view.stage);
        let is_over = matches!(stage, None | Some(TaskStage::Settled { .. }));
        self.ensure(is_over, || format!("task {task} has superseded {older:?}, which is {stage:?}"));
    }

    pub(super) fn ensure(&self, holds: bool, what: impl FnOnce() -> String) {
        self.expect(if holds { Ok(()) } else { Err(what()) });
    }

    /// Notes that a script has come to this.
    pub(super) fn reach(&self, what: &'static str) {
        *lock(&self.reached).entry(what).or_default() += 1;
    }
}
