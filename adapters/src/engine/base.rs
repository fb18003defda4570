//! What the workers of an engine share.

use std::pin::Pin;
use std::sync::Arc;

use super::machine::Shared;
use super::place::Cell;
use super::places::Places;
use crate::work::AnyWork;

/// The cell of a place, in which attempts live one after the other.
pub(super) type BoxCell<W, H, F> = Pin<Box<Cell<W, H, F>>>;

/// The most attempts that a worker polls in one step, and the most that it takes at a time.
pub(crate) const MOST_IN_HAND: u32 = 64;

/// The most timers that fire in one hold of the lock.
pub(super) const TIMERS_A_HOLD: u32 = 64;

/// The machine, the places, and how attempts are run. It is kept alive by the workers, the timekeeper and the owner, but the
/// owner can empty it.
pub(super) struct Engine<W: AnyWork, H, F> {
    pub(super) shared: Arc<Shared<W>>,
    pub(super) places: Places<BoxCell<W, H, F>, W::Sharing>,
    pub(super) manner: Manner<W::Job>,
}

/// How many attempts run where: with the limits and the types it decides the size of an engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) workers: u32,
    /// How many attempts a worker takes at a time at most.
    pub(crate) in_hand: u32,
    /// Whether workers may run at the same time.
    pub(crate) has_several_threads: bool,
    /// Whether attempts have a grace period.
    pub(crate) has_grace: bool,
}

/// How attempts are run.
pub(crate) struct Manner<J> {
    /// How a job is cloned for a further try.
    pub(crate) clone: Option<fn(&J) -> J>,
    pub(crate) shape: Shape,
    /// Whether the runtime lets the task that is being polled go on.
    pub(crate) may_go_on: fn() -> bool,
}

impl<W: AnyWork, H, F> Engine<W, H, F> {
    /// How many places are ready and in nobody's hand. Without the locks it may be out of date by the holds that are going
    /// on.
    #[inline]
    pub(super) fn count_ready(&self) -> u32 {
        self.shared.wakes.count_ready().saturating_add(self.places.count_ready())
    }
}
