//! What the machine keeps as the payload of a task.

use crate::trace::Origin;

/// A job on its way through the machine, with where it came from.
pub(crate) struct Carried<J> {
    pub(crate) job: J,
    /// Nothing without the feature `tracing`. It may hold a span, and so is made and dropped without a lock.
    pub(crate) origin: Origin,
}

impl<J> Carried<J> {
    pub(crate) const fn new(job: J, origin: Origin) -> Self {
        Self { job, origin }
    }

    /// Leaves the origin behind.
    pub(crate) fn into_job(self) -> J {
        self.job
    }
}
