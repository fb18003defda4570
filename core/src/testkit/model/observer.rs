//! Outcomes that the host observes before anybody else can have them.

use super::{Model, Parting};
use crate::testkit::calls::effects::Done;
use crate::testkit::calls::observer::{Answer, Call, Unwanted};
use crate::testkit::flaws::Flaw;
use crate::testkit::order::Way;
use crate::{OutcomeKind, TaskId};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        match *self {
            Self::Observe { on } => {
                model.observes = on;
                Answer::Nothing
            }
            Self::Observed { task, kind, value, job, .. } => {
                Answer::Observed(model.observed(task, kind, (value, job)))
            }
        }
    }
}

impl Model {
    /// The next effect of a task whose outcome is to be observed or with the host; the effect of another task if it has
    /// none.
    pub(super) fn held_effect(&mut self, meta: u32, given: Option<Done>) -> Option<Done> {
        let task = self.at(meta)?;
        let (unseen, discarded) = (task.owes_to(Parting::Observe), task.owes_to(Parting::Discard));
        self.remains.discarded += u32::from(discarded);
        match (unseen, discarded) {
            (true, true) => self.release(meta, None).map(Done::Settle),
            (false, true) => {
                self.let_go(meta);
                self.effect(given)
            }
            _ => self.show(meta),
        }
    }

    fn show(&mut self, meta: u32) -> Option<Done> {
        let task = self.at(meta)?;
        task.out = true;
        task.parting.retain(|parting| *parting != Parting::Observe);
        let settled = task.take_outcome()?;
        self.unpost(meta);
        if self.has(Flaw::FreesWhatIsShown) {
            self.let_go(meta);
        }
        Some(Done::Observe(settled))
    }

    fn observed(
        &mut self,
        id: TaskId,
        kind: OutcomeKind,
        (value, job): (Option<u32>, Option<u32>),
    ) -> Result<(), Unwanted> {
        let is_as_shown = value.is_none() || job.is_none();
        let (never_wakes, shows_twice) = (self.has(Flaw::ForgetsWhoWaits), self.has(Flaw::ShowsTwice));
        let task = self.tasks.iter_mut().find(|task| task.id == Some(id) && task.out);
        let task = task.filter(|task| task.kind == Some(kind) && !task.owes_to(Parting::Discard));
        let Some(task) = task.filter(|_| is_as_shown) else { return Err((kind, value, job)) };
        let (meta, is_retained) = (task.meta, task.way == Way::Retain);
        (task.value, task.job) = (value, job);
        task.held = shows_twice;
        task.out = false;
        if task.waiter.is_some() && !never_wakes {
            self.part(meta, Parting::Wake);
        }
        if is_retained {
            self.retain(meta);
        }
        if shows_twice {
            self.part(meta, Parting::Observe);
        }
        Ok(())
    }

    /// Handles the release of a handle before the host has given the outcome back.
    pub(super) fn release_held(&mut self, meta: u32) {
        let Some(task) = self.at(meta) else { return };
        if task.out {
            return self.let_go(meta);
        }
        task.held = false;
        task.parting = [Parting::Settle].into();
    }
}
