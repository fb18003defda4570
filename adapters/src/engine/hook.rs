//! The function that sees every settled task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plimsoll_core::Outcome;

use super::machine::{Shared, Types};
use crate::panics::PanicMessage;
use crate::settlement::Settlement;
use crate::task_error::TaskError;
use crate::work::Work;

/// What is shown every settled task, before whoever gets its result.
pub(crate) type Hook<W> = Arc<dyn Fn(&Settlement<W>) + Send + Sync>;

/// Where it is kept. It goes with the engine, so that it may hold a submitter.
pub(super) struct HookPlace<W: Work> {
    is_set: AtomicBool,
    hook: Mutex<Option<Hook<W>>>,
}

impl<W: Work> HookPlace<W> {
    pub(super) const fn new() -> Self {
        Self { is_set: AtomicBool::new(false), hook: Mutex::new(None) }
    }

    fn replace(&self, hook: Option<Hook<W>>) -> Option<Hook<W>> {
        let mut place = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_set.store(hook.is_some(), Ordering::SeqCst);
        std::mem::replace(&mut place, hook)
    }

    /// Whether there is one. One atomic load.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    fn get(&self) -> Option<Hook<W>> {
        if !self.is_set() {
            return None;
        }
        self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<W: Work> Shared<W> {
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

    /// Shows a settled task to the hook, if there is one. A panic of it is caught and counted.
    pub(super) fn show(&self, settled: &Settlement<W>) {
        if let Some(hook) = self.hook.get() {
            self.guarded(|| hook(settled));
            self.discard(hook);
        }
    }

    /// Shows a task whose result is for a handle or is retained, and gives the result back.
    pub(super) fn show_and_return(&self, settlement: plimsoll_core::Settlement<Types<W>>) {
        let settled = Settlement::of(settlement);
        self.show(&settled);
        let Settlement { task, result, job, .. } = settled;
        let outcome = match result {
            Ok(output) => Outcome::Completed(output),
            Err(error) => outcome_of(error),
        };
        let now = self.now();
        let Err((outcome, job)) = self.act(|machine| machine.observed(now, task, outcome, job)) else {
            return;
        };
        // Nobody wants it any more.
        self.discard(outcome);
        self.discard(job);
    }
}

fn outcome_of<O, E>(error: TaskError<E>) -> Outcome<O, E, PanicMessage> {
    match error {
        TaskError::Failed(error) => Outcome::Failed(error),
        TaskError::TimedOut => Outcome::TimedOut,
        TaskError::Expired => Outcome::Expired,
        TaskError::Panicked(message) => Outcome::Panicked(message),
        // A settled task did not end with its processor.
        TaskError::Cancelled | TaskError::Ended => Outcome::Cancelled,
    }
}
