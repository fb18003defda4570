//! A job to submit, and where its outcome goes.

use core::fmt;

use crate::Plan;

/// A job to submit, with its metadata and its route. The [`Terms`](crate::Terms), which many tasks can share, are
/// passed separately. A refused task is handed back as an offer.
#[must_use]
#[non_exhaustive]
pub struct Offer<P: Plan> {
    /// The work to do: the payload of the task.
    pub job: P::Job,
    /// Metadata, copied into events, the last error and the settlement.
    pub meta: P::Meta,
    /// The one place to which the outcome goes.
    pub route: Route<P::Callback>,
}

impl<P: Plan> Offer<P> {
    /// A job with metadata. Its outcome goes nowhere, unless [`route`](Self::route) is called.
    #[inline]
    pub const fn new(job: P::Job, meta: P::Meta) -> Self {
        Self { job, meta, route: Route::Nowhere }
    }

    /// Sets where the outcome goes.
    #[inline]
    pub fn route(self, route: Route<P::Callback>) -> Self {
        Self { route, ..self }
    }
}

impl<P: Plan> fmt::Debug for Offer<P> {
    /// Shows the kind of the route, never contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("route", &self.route).finish_non_exhaustive()
    }
}

/// The one place to which the outcome of a task goes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route<C> {
    /// The outcome leaves by [`Effect::Settle`](crate::Effect::Settle) without a callback; the host drops it.
    Nowhere,
    /// The outcome leaves by [`Effect::Settle`](crate::Effect::Settle) together with this callback.
    Callback(C),
    /// The outcome is kept until [`claim`](crate::Processor::claim) or [`release`](crate::Processor::release) is
    /// called. From `submit` on, the task takes one place of [`Limits::unclaimed`](crate::Limits::unclaimed).
    Handle,
    /// The outcome is kept until [`take_result`](crate::Processor::take_result) is called, a newer result needs its
    /// place, or its time to live is over. See [`Limits::results`](crate::Limits::results).
    Retain,
}

impl<C> fmt::Debug for Route<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "Nowhere",
            Self::Callback(_) => "Callback",
            Self::Handle => "Handle",
            Self::Retain => "Retain",
        })
    }
}
