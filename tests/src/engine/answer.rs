//! What checks answer.

/// What must not be, if anything.
pub(super) type Answer = Result<(), String>;

pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Answer {
    if holds { Ok(()) } else { Err(what()) }
}
