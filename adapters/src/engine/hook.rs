//! The function that sees every settled task.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::settlement::Settlement;
use crate::sharing::Kinds;
use crate::work::AnyWork;

/// What is shown every settled task, before its receiver has the result.
pub(crate) type Hook<W> = Arc<HookOf<W>>;

/// Its type, which is not known.
pub(crate) type HookOf<W> = <<W as AnyWork>::Sharing as Kinds>::Hook<Settlement<W>>;

/// Where it is kept. It goes with the engine, so that it may hold a submitter.
pub(super) struct HookPlace<W: AnyWork> {
    is_set: AtomicBool,
    hook: Mutex<Option<Hook<W>>>,
}

impl<W: AnyWork> HookPlace<W> {
    pub(super) const fn new() -> Self {
        Self { is_set: AtomicBool::new(false), hook: Mutex::new(None) }
    }

    pub(super) fn replace(&self, hook: Option<Hook<W>>) -> Option<Hook<W>> {
        let mut place = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_set.store(hook.is_some(), Ordering::SeqCst);
        std::mem::replace(&mut place, hook)
    }

    /// Whether there is one. One atomic load.
    #[inline]
    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    pub(super) fn get(&self) -> Option<Hook<W>> {
        if !self.is_set() {
            return None;
        }
        self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
