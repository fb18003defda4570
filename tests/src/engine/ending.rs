//! The end of a script's processor, as far as the script can know.

use plimsoll::Instant;

/// Whether outcomes that are fixed reach their handles after the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Discards {
    #[default]
    No,
    Maybe,
    Yes,
}

/// How far the processor is from its end, as far as a script can know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    /// It takes nothing in any more.
    pub(super) is_closing: bool,
    /// What is unsettled may be cancelled from this instant on.
    pub(super) cancels_from: Option<Instant>,
    pub(super) discards: Discards,
    /// The runtime is gone.
    pub(super) is_killed: bool,
    /// The owner is gone: dropped, or shut down.
    pub(super) is_orphaned: bool,
}

impl Ending {
    /// It is aborted now, or was before.
    pub(super) fn cancel(&mut self, now: Instant) {
        self.is_closing = true;
        self.cancels_from = Some(self.cancels_from.map_or(now, |from| from.min(now)));
    }

    /// Whether what was unsettled may be cancelled by the end.
    pub(super) fn has_come(&self, now: Instant) -> bool {
        self.cancels_from.is_some_and(|from| from <= now)
    }
}
