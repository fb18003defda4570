//! Showing settled tasks to the hook.

use std::sync::atomic::Ordering;

use plimsoll_core::Outcome;

use super::effects::Aftermath;
use super::hook::Hook;
use super::machine::Shared;
use super::types::Types;
use crate::carried::Carried;
use crate::meter::Seen;
use crate::panics::PanicMessage;
use crate::settlement::Settlement;
use crate::task_error::TaskError;
use crate::trace::Origin;
use crate::work::AnyWork;

impl<W: AnyWork> Shared<W> {
    /// From now on this function sees every task that is settled. The one before is dropped.
    pub(crate) fn set_hook(&self, hook: Hook<W>) {
        let replaced = self.hook.replace(Some(hook));
        self.discard(replaced);
        self.act(|machine| machine.observe(true));
        if self.is_closed() {
            self.drop_hook();
        }
    }

    /// Drops the function: the engine is closed.
    pub(super) fn drop_hook(&self) {
        let hook = self.hook.replace(None);
        self.discard(hook);
    }

    /// Publishes the counters and gauges, if there are any. A panic of the recorder is caught and counted.
    pub(crate) fn publish_metrics(&self) {
        if self.meter.is_on() {
            let now = self.now();
            let seen = self.read(|machine| Seen::of(machine, now));
            self.guarded(|| self.meter.publish(&seen));
        }
    }

    /// Shows a settled task to the metrics and the hook, if there are any. A panic of theirs is caught and counted.
    pub(super) fn show(&self, settled: &Settlement<W>) {
        if self.meter.is_on() {
            self.guarded(|| self.meter.note_settled(settled));
        }
        if let Some(hook) = self.hook.get() {
            self.guarded(|| hook(settled));
            self.discard(hook);
        }
    }

    /// Shows a task whose result is for a handle or is retained, and gives the result back.
    pub(super) fn show_and_return(&self, settlement: plimsoll_core::Settlement<Types<W>>) {
        let settled = self.settlement_of(settlement);
        self.show(&settled);
        let Settlement { task, result, job, .. } = settled;
        let outcome = match result {
            Ok(output) => Outcome::Completed(output),
            Err(error) => outcome_of(error),
        };
        let now = self.now();
        // The origin was dropped: the task is settled.
        let job = job.map(|job| Carried::new(job, Origin::inside(now)));
        if let Err((outcome, job)) = self.act(|machine| machine.observed(now, task, outcome, job)) {
            // Nobody wants it any more.
            self.discard(outcome);
            self.discard_carried(job);
        }
        if self.has_ended.load(Ordering::SeqCst) {
            self.take_last_effects();
        }
    }

    /// Takes the effects that come after the end, such as the wake of a handle whose outcome the hook was shown: no worker
    /// takes them any more.
    fn take_last_effects(&self) {
        loop {
            let mut aftermath = Aftermath::new();
            if !self.change(|state| state.take_effects(self, &mut aftermath)) {
                return;
            }
            self.perform(&mut aftermath);
        }
    }
}

fn outcome_of<O, E>(error: TaskError<E>) -> Outcome<O, E, PanicMessage> {
    match error {
        TaskError::Failed(error) => Outcome::Failed(error),
        TaskError::TimedOut => Outcome::TimedOut,
        TaskError::Expired => Outcome::Expired,
        TaskError::Shed => Outcome::Shed,
        TaskError::Panicked(message) => Outcome::Panicked(message),
        TaskError::Cancelled(reason) => Outcome::Cancelled(reason),
        // A settled task did not end with its processor.
        TaskError::Ended => Outcome::Cancelled(None),
    }
}
