//! What a trial has seen, what it is doing, and for how long it waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// After this an event that should come at once does not come.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// What was seen, if it is wrong.
pub(super) type Verdict = Result<(), String>;

/// What a trial is doing, in case it hangs.
#[derive(Clone, Default)]
pub(super) struct Stage(Arc<Mutex<&'static str>>);

impl Stage {
    pub(super) fn set(&self, doing: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = doing;
    }

    pub(super) fn get(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes sure that something is so; if not, that is what was seen.
pub(super) fn ensure(is: bool, seen: impl FnOnce() -> String) -> Verdict {
    if is { Ok(()) } else { Err(seen()) }
}
