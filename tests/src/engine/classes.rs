//! Classes that are paused: no attempt at a task of theirs may start.

use plimsoll::{Hold, Priority, Stage as TaskStage, TaskId};

use super::answer::{Answer, ensure};
use super::stage::{Stage, lock};

/// How many classes there are.
const CLASSES: u8 = 8;

impl Stage {
    pub(super) fn pause_class(&self, class: u8) {
        let priority = Priority::new(class);
        self.desk().pause_class(priority);
        let tasks = self.desk().inspect(0, u32::MAX).tasks;
        let (mut taken, mut waits) = (Vec::new(), false);
        for view in tasks.iter().filter(|view| view.priority == priority) {
            match view.stage {
                TaskStage::Queued { .. } => waits = true,
                TaskStage::Running { .. } if !self.is_called(view.meta, view.task) => taken.push(view.task),
                _ => {}
            }
        }
        // What was taken before the first of several pauses may be called after the last one.
        lock(&self.paused).entry(class).or_insert(taken);
        self.reach("a class is paused");
        if waits {
            self.reach("a paused class has tasks");
        }
        let hold = self.desk().health().hold;
        self.ensure(hold != Hold::None, || format!("class {class} is paused, which holds nothing"));
    }

    pub(super) fn pause_class_of(&self, back: u8) {
        let view = self.task_at(back).and_then(|(_, id)| self.desk().view(id));
        if let Some(view) = view {
            self.pause_class(view.priority.class());
        }
    }

    fn is_called(&self, meta: u32, id: TaskId) -> bool {
        self.number_of(meta, id).is_some_and(|number| self.book().tasks[number as usize].is_running())
    }

    /// Resumes the paused class at this place, if there is one.
    pub(super) fn resume_class(&self, place: u8) {
        let mut paused = lock(&self.paused);
        let Some(nth) = usize::from(place).checked_rem(paused.len()) else { return };
        let Some(class) = paused.keys().nth(nth).copied() else { return };
        paused.remove(&class);
        drop(paused);
        self.desk().resume_class(Priority::new(class));
        self.reach("a class is resumed");
    }

    /// Resumes all classes.
    pub(super) fn resume_classes(&self) {
        for class in std::mem::take(&mut *lock(&self.paused)).into_keys() {
            self.desk().resume_class(Priority::new(class));
        }
    }

    pub(super) fn is_paused(&self, priority: Priority) -> bool {
        lock(&self.paused).contains_key(&priority.class())
    }

    /// A handler is called for an attempt at a task, whose class must not be paused.
    pub(super) fn check_class(&self, id: TaskId) -> Answer {
        if lock(&self.paused).is_empty() {
            return Ok(());
        }
        let Some(class) = self.desk().view(id).map(|view| view.priority.class()) else { return Ok(()) };
        let mut paused = lock(&self.paused);
        let Some(taken) = paused.get_mut(&class) else { return Ok(()) };
        let place = taken.iter().position(|task| *task == id);
        place.map(|place| taken.swap_remove(place));
        ensure(place.is_some(), || format!("it is started, though class {class} is paused"))
    }

    /// Which classes the processor says are paused.
    pub(super) fn check_paused(&self) -> Answer {
        let told = (0..CLASSES).filter(|class| self.desk().is_class_paused(Priority::new(*class)));
        let (told, paused) = (told.collect::<Vec<_>>(), lock(&self.paused));
        ensure(told.iter().eq(paused.keys()), || format!("classes {told:?} are paused, not {paused:?}"))
    }
}
