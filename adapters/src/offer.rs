//! A job on its way to the machine.

use plimsoll_core::Conditions;

use crate::work::AnyWork;

/// A job that was pulled, and its terms.
pub(crate) struct Offer<W: AnyWork> {
    pub(crate) job: W::Job,
    pub(crate) meta: W::Meta,
    pub(crate) conditions: Conditions,
}
