//! What the machine keeps as the payload of a task.

use plimsoll_core::{Offer, Plan, Refused};

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

/// The job of a refused offer, without its route, which has no callback, and its origin. Not to be called under a lock.
pub(crate) fn only_job<P: Plan<Job = Carried<J>>, J>(refused: Refused<Offer<P>>) -> Refused<J> {
    refused.map(|offer| offer.job.into_job())
}
