//! The answers about admitted tasks.

use super::{Model, Parting, Stage};
use crate::testkit::calls::effects::Settled;
use crate::testkit::calls::tasks::{Answer, Call, Claimed};
use crate::testkit::flaws::Flaw;
use crate::testkit::order::Way;
use crate::{CancelError, CancelReason, Cancelled, TaskId};

impl Call {
    pub(in crate::testkit) fn predict(&self, model: &mut Model, _: &Answer) -> Answer {
        match *self {
            Self::Cancel { task, reason, .. } => Answer::Cancelled(model.cancel(task, reason)),
            Self::Claim { task, waiter, .. } => Answer::Claimed(model.claim(task, waiter)),
            Self::TryClaim { task } => Answer::Result(model.try_claim(task)),
            Self::Release { task, .. } => model.release_handle(task),
            Self::TakeResult { task, .. } => model.take_result(task),
        }
    }
}

impl Model {
    /// Tasks with a handle that was neither claimed nor released.
    pub(super) fn handles(&self) -> u32 {
        self.count(|task| task.way == Way::Handle && !task.released)
    }

    fn cancel(&mut self, id: TaskId, reason: Option<CancelReason>) -> Result<Cancelled, CancelError> {
        let task = self.named(id).ok_or(CancelError::NotFound)?;
        let (meta, runs) = (task.meta, task.is_running());
        if task.stage == Stage::Over {
            return Err(CancelError::Settled);
        }
        self.settle_cancelled(meta, reason);
        Ok(if runs { Cancelled::Stopping } else { Cancelled::Settled })
    }

    fn claim(&mut self, id: TaskId, waiter: u32) -> Claimed {
        let Some(task) = self.named(id).filter(|task| task.way == Way::Handle && !task.released) else {
            return Claimed::Gone(waiter);
        };
        let meta = task.meta;
        let is_held = task.held && !self.has(Flaw::ClaimsUnseen);
        if is_held && task.owes_to(Parting::Discard) {
            return Claimed::Gone(waiter);
        }
        if !task.is_kept() || is_held {
            let old = self.at(meta).and_then(|task| task.waiter.replace(waiter));
            return Claimed::Pending(old);
        }
        self.release(meta, Some(id)).map_or(Claimed::Gone(waiter), |settled| Claimed::Ready(settled, waiter))
    }

    fn try_claim(&mut self, id: TaskId) -> Option<Settled> {
        let task = self.named(id).filter(|task| task.way == Way::Handle && task.is_kept() && !task.held)?;
        let meta = task.meta;
        self.release(meta, Some(id))
    }

    fn release_handle(&mut self, id: TaskId) -> Answer {
        let nothing = Answer::Released { waiter: None, settlement: None };
        let Some(task) = self.named(id).filter(|task| task.way == Way::Handle && !task.released) else {
            return nothing;
        };
        let (meta, is_kept, is_held) = (task.meta, task.is_kept(), task.held);
        if is_kept && !is_held {
            return Answer::Released { waiter: None, settlement: self.release(meta, Some(id)) };
        }
        let Some(task) = self.at(meta) else { return nothing };
        task.way = Way::Nowhere;
        let waiter = task.waiter.take();
        if is_held {
            self.release_held(meta);
        }
        Answer::Released { waiter, settlement: None }
    }

    fn take_result(&mut self, id: TaskId) -> Answer {
        let Some(task) = self.named(id) else { return Answer::Result(None) };
        let age = self.now.saturating_since(task.retained_at);
        let too_old = self.limits.results.ttl.is_some_and(|ttl| age >= ttl);
        if !self.kept.contains(&task.meta) || too_old {
            return Answer::Result(None);
        }
        let meta = task.meta;
        Answer::Result(self.release(meta, Some(id)))
    }
}
